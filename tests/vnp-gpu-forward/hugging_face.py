"""Means over residues, made elsewhere, against Hugging Face EsmModel in FP32, one record at a time. Each NAME=LEAST=FILE.npy
holds a row a record of the FASTA file; exit 1 when the least cosine of one is under LEAST, or is NaN.
usage: hugging_face.py --model DIR [--name MODEL] [--record FILE] IN.fa NAME=LEAST=FILE.npy ..."""
import argparse
import json
import os
import sys

import numpy
import torch
from transformers import EsmModel

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench", "peers"))
from baseline import embed, records  # noqa: E402


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--model", required=True)
    p.add_argument("--name", default="")
    p.add_argument("--record", default=os.devnull)
    p.add_argument("fasta")
    p.add_argument("ours", nargs="+")
    args = p.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    net = EsmModel.from_pretrained(args.model, dtype=torch.float32, add_pooling_layer=False,
                                   attn_implementation="eager").to(device).eval()
    with torch.inference_mode():
        rows = [embed(net, [r], device)[0] for r in records(args.fasta)]
    reference = numpy.stack(rows).astype(numpy.float64)
    good = True
    for what in args.ours:
        name, least, path = what.split("=", 2)
        ours = numpy.load(path).astype(numpy.float64)
        cosines = (ours * reference).sum(1) / (numpy.linalg.norm(ours, axis=1) * numpy.linalg.norm(reference, axis=1))
        agree = bool(ours.shape == reference.shape and cosines.min() >= float(least))
        good = good and agree
        line = {"what": "proof", "model": args.name, "stratum": "mixed", "numbers": name, "against": "Hugging Face EsmModel FP32",
                "sequences": len(ours), "min_cosine": float(cosines.min()), "mean_cosine": float(cosines.mean()),
                "max_abs_diff": float(abs(ours - reference).max()), "threshold": float(least), "agree": agree}
        with open(args.record, "a") as f:
            f.write(json.dumps(line, separators=(",", ":")) + "\n")
        if not agree:
            print(f"{name}: cosine {cosines.min():.9f} under {least}", file=sys.stderr)
    sys.exit(not good)


if __name__ == "__main__":
    main()
