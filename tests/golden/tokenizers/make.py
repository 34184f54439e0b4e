#!/usr/bin/env python3
"""Trains the tokenizers of this folder and writes what the `tokenizers` library makes of seqs.fa and of real sequences.

    python3 make.py DATA        DATA: the folder with the real sequences that the tokenizers are trained on

Needs `tokenizers` (versions.txt says which one made the files). Everything is seeded; training is deterministic.
  *.json        the tokenizers: between them, every option that vnp-fasta2tok knows
  seqs.fa       sequences of all kinds
  expected.tsv  tokenizer, record from 0, tokens, CRC-32 of the ids as little-endian 16-bit words, the ids (up to 48)
  data.tsv      tokenizer, file of DATA, records, tokens of all of them, CRC-32 of all ids
The library gets what VirNucPro gives it: upper-case text without white space.
"""
import json
import os
import platform
import random
import struct
import sys
import zlib

import tokenizers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

HERE = os.path.dirname(os.path.abspath(__file__))
DATA_DNA = ["ebola_genomes.fasta", "influenza_contigs.fasta", "lassa_contigs.fasta", "viral_refs.fasta"]
DATA_PROTEINS = ["chloroplast_proteins.faa", "palmdb_rdrp.faa"]


def read_fasta(path):
    records = []
    for line in open(path, encoding="utf-8"):
        if line.startswith(">"):
            records.append("")
        elif records:
            records[-1] += "".join(line.split())
    return [r.upper() for r in records]


def pieces(records, n):
    return [r[i:i + n] for r in records for i in range(0, len(r), n)]


def random_dna(rng, n):
    return "".join(rng.choice("ACGT") for _ in range(n))


def train(data, size, special, unk, normalizer=None):
    t = Tokenizer(models.BPE(unk_token=unk))
    if normalizer:
        t.normalizer = normalizer
    t.train_from_iterator(data, trainers.BpeTrainer(vocab_size=size, special_tokens=special, show_progress=False))
    return t


def save(t, name, string_merges=False, drop=(), compact=True):
    """As the library has it, or as its older releases did: merges as "a b", without the newer keys."""
    text = json.loads(t.to_str())
    if string_merges:
        text["model"]["merges"] = [" ".join(m) for m in text["model"]["merges"]]
    for key in drop:
        del text["model"][key]
    with open(f"{HERE}/{name}.json", "w", encoding="utf-8") as f:
        json.dump(text, f, ensure_ascii=False, **({"separators": (",", ":")} if compact else {"indent": 1}))
        f.write("\n")


def trained(data):
    rng = random.Random(1)
    dna = [r for f in DATA_DNA for r in read_fasta(f"{data}/{f}")]
    acgt = pieces(["".join(c for c in r if c in "ACGT") for r in dna], 200)
    noise = [random_dna(rng, 200) for _ in range(6000)]
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]

    # The form of DNABERT-2's and DNABERT-S's published file.
    t = train(acgt + noise, 4096, special, "[UNK]")
    t.pre_tokenizer = pre_tokenizers.Whitespace()
    t.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    save(t, "dna4096", string_merges=True, drop=("byte_fallback", "ignore_merges"))

    # Runs of N and repeats: long tokens. Unknown letters are fused.
    runs = ["N" * rng.randint(1, 300) + random_dna(rng, 100) for _ in range(200)]
    runs += [random_dna(rng, 3) * rng.randint(5, 60) for _ in range(300)] + pieces(dna, 500)
    t = Tokenizer(models.BPE(unk_token="[UNK]", fuse_unk=True))
    t.train_from_iterator(runs, trainers.BpeTrainer(vocab_size=1024, special_tokens=special, show_progress=False))
    t.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    save(t, "dna1024")

    # No unknown token, no template; two prefix tokens would be usual for this one's decoder-like use.
    t = train(noise, 300, ["<a>", "<b>"], None)
    t.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    t.post_processor = processors.TemplateProcessing(
        single="<b> <a> $A", pair="$A $B", special_tokens=[("<a>", 0), ("<b>", 1)])
    save(t, "dna300", compact=False)

    proteins = [r for f in DATA_PROTEINS for r in read_fasta(f"{data}/{f}")]
    t = Tokenizer(models.BPE(unk_token="<unk>", ignore_merges=True))
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.BertPreTokenizer()])
    t.train_from_iterator(proteins, trainers.BpeTrainer(
        vocab_size=800, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], show_progress=False))
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    t.add_tokens(["WWW", "[GAP]"])
    t.add_special_tokens(["[X]", "[XX]"])
    save(t, "protein800")


def odd(seed):
    """Merges that no training would leave: in any order, some of them twice, several for one token, some out of reach."""
    rng = random.Random(100 + seed)
    letters = "ACGT"[:rng.randint(2, 4)]
    tokens, merges = list(letters), []
    for _ in range(rng.randint(20, 120)):
        a, b = rng.choice(tokens), rng.choice(tokens)
        if len(a + b) > 24:
            continue
        merges.append((a, b))
        if a + b not in tokens:
            tokens.append(a + b)
    merges += [(t[:i], t[i:]) for t in tokens for i in range(1, len(t))
               if t[:i] in tokens and t[i:] in tokens and rng.random() < 0.3]
    rng.shuffle(merges)
    merges += rng.sample(merges, 3)
    names = tokens + ["<unk>"]
    rng.shuffle(names)
    t = Tokenizer(models.BPE(vocab={n: i for i, n in enumerate(names)}, merges=merges, unk_token="<unk>"))
    if seed % 2:
        t.pre_tokenizer = pre_tokenizers.Whitespace()
    if seed % 3 == 0:
        t.add_tokens([tokenizers.AddedToken(letters[0] * 3 + letters[1], normalized=False)])
        t.add_tokens([letters[1] * 3, letters[0] * 5])
    text = json.loads(t.to_str())
    text["model"]["merges"] = [list(m) for m in merges]  # the library's own writing would drop the doubles
    with open(f"{HERE}/odd{seed}.json", "w", encoding="utf-8") as f:
        json.dump(text, f, separators=(",", ":"))
        f.write("\n")


def sequences():
    rng = random.Random(7)
    seqs = ["", "A", "C", "N", "AC", "NN", "ACN", "NAC", "R", "acgt", "ACGTacgtnnnnACGT"]
    seqs += [random_dna(rng, n) for n in range(3, 40)]
    seqs += [random_dna(rng, n) for n in (63, 64, 65, 127, 128, 129, 500, 500, 500, 1000, 3000)]
    seqs += ["N" * n for n in (3, 17, 64, 200)] + [c * n for c in "ACGT" for n in (7, 31, 97, 300)]
    seqs += [random_dna(rng, k) * (120 // k) for k in range(2, 8)]
    seqs += ["".join(rng.choice("AC") for _ in range(400)), "".join(rng.choice("AAAAAAAC") for _ in range(400))]
    seqs += ["".join(rng.choice("ACGTACGTACGTACGTN") for _ in range(400))]
    seqs += ["".join(rng.choice("ACGTACGTACGTRYSWKMBDHVN") for _ in range(400))]
    seqs += [random_dna(rng, 200) + "N" * 100 + random_dna(rng, 200)]
    seqs += ["".join(rng.choice("ACDEFGHIKLMNPQRSTVWY") for _ in range(n)) for n in (10, 50, 300)]
    seqs += ["MKTAYIAKQR", "MKV*", "WWWW", "AWWWWWWWA", "LL", "LEU", "MWWWX[X]W", "[XX][X][XXX]", "[GAP]A[gap]C"]
    seqs += ["A.C-G*T", "AC--GT", "AC..GT..", "ACGT_ACGT", "AC1GT22AC", "[UNK]", "ACG[CLS]ACG[SEP]"]
    seqs += ["AAAC", "CAAACA", "AAAAAAAC", "CCCAAAAAC", "AAACCCC", "ACGéTTé", "Éé€ACG🧬T", "A+B=C", "ACGT!?ACGT"]
    seqs += ["".join(rng.choice("acgtACGT") for _ in range(120))]
    with open(f"{HERE}/seqs.fa", "w", encoding="utf-8") as f:
        for i, s in enumerate(seqs):
            f.write(f">s{i}\n")
            for k in range(0, len(s), 70):
                f.write(s[k:k + 70] + "\n")
    return seqs


def upper(s):
    return "".join(c.upper() if "a" <= c <= "z" else c for c in s)


def packed(ids):
    return struct.pack(f"<{len(ids)}H", *ids)


def main():
    data = sys.argv[1]
    trained(data)
    for seed in range(8):
        odd(seed)
    seqs = sequences()
    names = sorted(f[:-5] for f in os.listdir(HERE) if f.endswith(".json"))
    with open(f"{HERE}/expected.tsv", "w") as out, open(f"{HERE}/data.tsv", "w") as real:
        for name in names:
            t = Tokenizer.from_file(f"{HERE}/{name}.json")
            for i, s in enumerate(seqs):
                ids = t.encode(upper(s)).ids
                out.write(f"{name}\t{i}\t{len(ids)}\t{zlib.crc32(packed(ids)):08x}\t"
                          f"{','.join(map(str, ids)) if len(ids) <= 48 else '-'}\n")
            for file in DATA_DNA + DATA_PROTEINS:
                records = read_fasta(f"{data}/{file}")
                total, crc = 0, 0
                for r in records:
                    ids = t.encode(r).ids
                    total, crc = total + len(ids), zlib.crc32(packed(ids), crc)
                real.write(f"{name}\t{file}\t{len(records)}\t{total}\t{crc:08x}\n")
    with open(f"{HERE}/versions.txt", "w") as f:
        f.write(f"tokenizers {tokenizers.__version__}\nPython {platform.python_version()}\n")


if __name__ == "__main__":
    main()
