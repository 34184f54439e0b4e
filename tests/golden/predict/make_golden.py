#!/usr/bin/env python3
"""Makes what vnp-predict must find in tests/data/contigs.fa, with PyTorch, step by step as VirNucPro goes about it. Run in
this folder:

    python3 make_golden.py --vnp-model ../../../build/bin/vnp-model [--contigs real.fasta]

README says what is what. With --contigs, tests/data/contigs.fa is cut out of real contigs again first."""
import argparse
import importlib.util
import platform
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import safetensors
import tokenizers
import torch
import transformers

HERE = Path(__file__).resolve().parent
CONTIGS = HERE / "../../data/contigs.fa"
TOKENIZER = HERE / "../tokenizers/dna4096.json"
ESM, DNABERT = ("2x4x64", "11"), ("dnabert-s:2x4x64", "12")
HEADS, LAYERS, WIDTH, HIDDEN = 4, 2, 64, 24
LENGTHS = (500, 300)
RESIDUES = "LAGVSERTIDPKQNFYMHWCXBUZO.-"  # ESM-2's tokens from 4 on
# (record, start, length, name): one lower case, one with runs of N, one the other strand, some shorter than a chunk
PIECES = ((0, 40, 1490, "I1-4:41-1530 length=1490"), (1, 0, 1001, "I1-6:1-1001"), (2, 300, 1200, "I1-5:301-1500"),
          (3, 3, 1000, "I1-7:4-1003 lower"), (4, 0, 822, "I1-8 with N"), (5, 900, 1419, "I1-2|end other strand"),
          (6, 10, 411, "short_I1-1"), (6, 1000, 101, "short_I1-1b"), (0, 900, 62, "short_I1-4"),
          (7, 500, 1600, "I1-3 [segment 3]"))


def sibling(name):
    """A golden script of another folder, as a module."""
    spec = importlib.util.spec_from_file_location(re.sub(r"\W", "_", name), HERE.parent / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


dnabert, orf, classifier = (sibling(n) for n in ("dnabert/make_golden.py", "orf/make.py", "classifier/make_golden.py"))
MLPClassifier = classifier.MLPClassifier
MLPClassifier.__module__ = "__main__"  # as in the program that trained the published ones


def cut_contigs(path):
    records = list(orf.read_fasta(Path(path).read_text()))
    with open(CONTIGS, "w") as out:
        for record, start, length, name in PIECES:
            s = records[record][1][start:start + length]
            s = s.lower() if name.endswith("lower") else s
            if name.endswith("strand"):
                s = "".join(orf.OTHER_STRAND[c] for c in reversed(s))
            out.write(f">{name}\n" + "".join(s[i:i + 70] + "\n" for i in range(0, len(s), 70)))


def synth(args, directory, spec, seed):
    subprocess.run([args.vnp_model, "synth", spec, "--seed", seed, "-q", "-o", directory], check=True)
    text = subprocess.run([args.vnp_model, "inspect", directory], check=True, capture_output=True, text=True).stdout
    return re.search(r"fingerprint\W+([0-9a-f]+)", text).group(1)


def fasta(text):
    return [tuple(r.split("\n")[:2]) for r in text.split(">")[1:]]


def embed_nucleotides(directory, records):
    """Mean of the last hidden state over all tokens, [CLS] and [SEP] included."""
    tokenizer = tokenizers.Tokenizer.from_file(str(TOKENIZER))
    weights = dnabert.load(directory)
    return {name: dnabert.hidden_states(weights, LAYERS, HEADS, tokenizer.encode(s).ids)[-1].mean(0)
            for name, s in records}


def embed_proteins(directory, records):
    """Mean of the last hidden state over the residues."""
    model = transformers.EsmModel.from_pretrained(directory, add_pooling_layer=False, attn_implementation="eager")
    model = model.double().eval()
    token = {c: i + 4 for i, c in enumerate(RESIDUES)}
    out = {}
    with torch.no_grad():
        for name, s in records:
            x = model(torch.tensor([[0, *(token[c] for c in s), 2]])).last_hidden_state[0]
            out[name] = x[1:-1].mean(0)
    return out


def make_classifier(x):
    """Random weights; statistics and a bias from these very rows, so that scores are all over the place."""
    torch.manual_seed(7)
    model = MLPClassifier(2 * WIDTH, HIDDEN, 2)
    with torch.no_grad():
        model.output_layer.weight.mul_(4)
        h = model.hidden_layer(x.float())
        model.bn1.running_mean.copy_(h.mean(0))
        model.bn1.running_var.copy_(h.var(0))
        model.bn1.weight.uniform_(0.5, 1.5)
        model.bn1.bias.uniform_(-0.5, 0.5)
        y = model.eval()(x.float())
        model.output_layer.bias[1] -= (y[:, 1] - y[:, 0]).median() + 0.1
    return model


def check_margins(names, s):
    """No verdict may hang on a rounding."""
    top = pd.DataFrame(s, columns=["a", "b"]).groupby([n[:-2] for n in names]).max()
    for margin in (np.abs(s[:, 1] - s[:, 0]).min(), (top["b"] - top["a"]).abs().min()):
        assert margin > 1e-3, margin


def predict(args, records):
    with tempfile.TemporaryDirectory() as tmp:
        index = [f"esm {' '.join(ESM)} {synth(args, tmp + '/esm', *ESM)}",
                 f"dnabert {' '.join(DNABERT)} {synth(args, tmp + '/dnabert', *DNABERT)}"]
        model = None
        for length in LENGTHS:
            nucleotides, proteins, counts = orf.orf(records, length)
            n = embed_nucleotides(tmp + "/dnabert", fasta(nucleotides))
            p = embed_proteins(tmp + "/esm", fasta(proteins))
            assert list(n) == list(p)
            x = torch.stack([torch.cat([n[name], p[name]]) for name in n])
            if model is None:
                model = make_classifier(x)
                classifier.save(model, HERE / "classifier.pth")
            s = classifier.scores(model.double(), x).astype(np.float32)
            check_margins(list(n), s)
            classifier.write_tables(str(HERE / f"expected-{length}"), list(n), s, False)
            index.append(f"counts {length} {' '.join(map(str, counts))} {int((s[:, 1] > s[:, 0]).sum())}")
    (HERE / "index.txt").write_text("\n".join(index) + "\n")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--vnp-model", required=True)
    p.add_argument("--contigs")
    args = p.parse_args()
    torch.set_num_threads(2)
    if args.contigs:
        cut_contigs(args.contigs)
    predict(args, list(orf.read_fasta(CONTIGS.read_text())))
    (HERE / "versions.txt").write_text("".join(
        f"{name} {version}\n" for name, version in (
            ("python", platform.python_version()), ("torch", torch.__version__), ("numpy", np.__version__),
            ("pandas", pd.__version__), ("transformers", transformers.__version__),
            ("tokenizers", tokenizers.__version__), ("safetensors", safetensors.__version__))))


if __name__ == "__main__":
    main()
