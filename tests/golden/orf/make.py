#!/usr/bin/env python3
"""Golden data for vnp-orf: VirNucPro's chunks and frames, letter by letter from their description, with no thought for
speed. Standard library only; what is here was made with Python 3.11.

    python3 tests/golden/orf/make.py [FOLDER-WITH-REAL-SEQUENCES (../shared/data)]

writes, beside this file, contigs.fa; for chunks of 500 and 300 letters contigs-N.nt.fa and contigs-N.aa.fa; starts.txt,
where chunks begin (length, chunk, starts); and, where the real sequences are, real.txt: a line each of file, chunk,
contigs, chunks, chunks without an open frame, frames, SHA-256 of the nucleotides and of the proteins."""

import hashlib
import math
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).resolve().parent
REAL = ["ebola_genomes.fasta", "influenza_contigs.fasta", "lassa_contigs.fasta", "viral_refs.fasta"]

# NCBI translation table 1, as NCBI prints it.
BASE1 = "TTTTTTTTTTTTTTTTCCCCCCCCCCCCCCCCAAAAAAAAAAAAAAAAGGGGGGGGGGGGGGGG"
BASE2 = "TTTTCCCCAAAAGGGG" * 4
BASE3 = "TCAG" * 16
AMINO = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"
GENETIC_CODE = {a + b + c: aa for a, b, c, aa in zip(BASE1, BASE2, BASE3, AMINO)}
OTHER_STRAND = {"A": "T", "C": "G", "G": "C", "T": "A"}


def chunk_starts(length, size):
    n = math.ceil(length / size)
    rep = n * size - length
    lo = rep // n
    need = rep - lo * (n - 1)
    shifts = [lo + 1] * need + [lo] * max(0, n - 1 - need) + [0]
    return [k * size - sum(shifts[:k]) for k in range(n)]


def frames(chunk):
    """(name, nucleotides, protein) of each open frame."""
    chunk = chunk.upper()
    reverse = "".join(OTHER_STRAND.get(c, c) for c in reversed(chunk))
    for strand, letter in ((chunk, "F"), (reverse, "R")):
        for f in range(3):
            codons = [strand[i:i + 3] for i in range(f, len(strand) - 2, 3)]
            protein = "".join(GENETIC_CODE.get(codon, "") for codon in codons)
            if protein and "*" not in protein:
                yield f"{letter}{f + 1}", strand[f:f + 3 * len(protein) + 1], protein


def orf(records, size):
    """Both outputs as text, and counts: contigs, chunks, chunks without an open frame, frames."""
    nucleotides, proteins, counts = [], [], [0, 0, 0, 0]
    for name, sequence in records:
        if not sequence:
            continue
        counts[0] += 1
        for k, start in enumerate(chunk_starts(len(sequence), size)):
            open_frames = list(frames(sequence[start:start + size]))
            counts[1] += 1
            counts[2] += not open_frames
            counts[3] += len(open_frames)
            for frame, nt, aa in open_frames:
                nucleotides.append(f">{name}_chunk_{k + 1}{frame}\n{nt}\n")
                proteins.append(f">{name}_chunk_{k + 1}{frame}\n{aa}\n")
    return "".join(nucleotides), "".join(proteins), counts


def read_fasta(text):
    for record in text.split(">")[1:]:
        header, *lines = record.splitlines()
        yield header.split()[0], "".join("".join(lines).split())


def made_up():
    """(header, sequence)."""
    rng = random.Random(20261120)
    sense = [codon for codon, aa in GENETIC_CODE.items() if aa != "*"]

    def bases(n, letters="ACGT"):
        return "".join(rng.choice(letters) for _ in range(n))

    def gene(n, reverse=False):
        s = "".join(rng.choice(sense) for _ in range(n // 3 + 1))[:n]
        return "".join(OTHER_STRAND[c] for c in reversed(s)) if reverse else s

    def spoilt(s, letters, share):
        return "".join(rng.choice(letters) if rng.random() < share else c for c in s)

    for n in range(1, 11):
        yield f"short{n}", bases(n)
        yield f"short{n}_amb a lone codon and odd letters", spoilt(bases(n), "NRYKMSWBDHVU-.x", 0.3)
    lengths = [299, 300, 301, 499, 500, 501, 599, 600, 601, 749, 750, 751, 900, 901, 999, 1000, 1001, 1500, 1501, 2250]
    for n in lengths:
        yield f"len{n}|gene len={n} strand=-", bases(n % 3) + gene(n - n % 3, reverse=n % 2 == 1)
    yield "a_chunk_1 looks like an id of ours", gene(650)
    yield "random", bases(3000)
    yield "lower", gene(777).lower()
    yield "mixed", "".join(rng.choice((c, c.lower())) for c in bases(1) + gene(1040, reverse=True))
    yield "ambiguous", spoilt(gene(1300), "NNNNRYKMSWBDHVnrykmswbdhv", 0.05)
    yield "half_ambiguous", spoilt(bases(1100), "RYKMSWBDHVNUX-.", 0.5)
    yield "ambiguous_stops", "TARTRATANNAATNATAGN" * 31
    yield "gaps", spoilt(gene(1222), "-.", 0.1)
    yield "rna", gene(520).replace("T", "U")
    yield "n_run", gene(400) + "N" * 700 + gene(400, reverse=True)
    yield "all_n", "N" * 1203
    yield "one_codon_in_n", "N" * 300 + "ATG" + "N" * 300
    yield "all_stops", "TAGC" * 300
    yield "stop_at_the_end", gene(498) + "TAA"
    yield "stop_at_the_end_short", "ATGGCATAA"
    yield "stop_only", "TAG"
    yield "poly_a", "A" * 512
    yield "poly_g_short", "GGGGG"
    yield "all_frames_open", "CCCGCAGCC" * 120


def main():
    contigs = list(made_up())
    with open(HERE / "contigs.fa", "w") as out:
        for header, sequence in contigs:
            out.write(f">{header}\n")
            out.writelines(sequence[i:i + 70] + "\n" for i in range(0, len(sequence), 70))
    with open(HERE / "starts.txt", "w") as out:
        for size in (3, 4, 100, 300, 500, 501):
            for length in [*range(1, 40), *range(size - 2, size + 3), *range(2 * size - 2, 2 * size + 3),
                           750, 999, 1001, 1501, 2250, 4711, 12345]:
                starts = [str(s) for s in chunk_starts(length, size)]
                if length > 0 and len(starts) <= 60:
                    out.write(f"{length} {size} {' '.join(starts)}\n")
    records = [(header.split()[0], sequence) for header, sequence in contigs]
    for size in (500, 300):
        nucleotides, proteins, _ = orf(records, size)
        (HERE / f"contigs-{size}.nt.fa").write_text(nucleotides)
        (HERE / f"contigs-{size}.aa.fa").write_text(proteins)
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else HERE / "../../../../shared/data")
    if all((folder / name).exists() for name in REAL):
        with open(HERE / "real.txt", "w") as out:
            for name in REAL:
                real = list(read_fasta((folder / name).read_text()))
                for size in (500, 300):
                    nucleotides, proteins, counts = orf(real, size)
                    digests = [hashlib.sha256(text.encode()).hexdigest() for text in (nucleotides, proteins)]
                    out.write(" ".join([name, str(size), *map(str, counts), *digests]) + "\n")


if __name__ == "__main__":
    assert [chunk_starts(n, 500) for n in (501, 750, 999, 1001, 1501, 2250)] == [
        [0, 250], [0, 374], [0, 499], [0, 333, 666], [0, 375, 750, 1125], [0, 449, 898, 1347, 1796]]
    main()
