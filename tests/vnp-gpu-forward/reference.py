"""Means over what is between the special tokens, made elsewhere, against PyTorch, one record at a time: Hugging Face EsmModel in
FP32 or, with --ids (the records' tokens by vnp-cat --json), DNABERT-S in float64 as tests/golden/dnabert/make_golden.py has it.
Each NAME=LEAST=FILE.npy holds a row a record of the FASTA file; exit 1 when the least cosine of one is under LEAST, or is NaN.
usage: reference.py --model DIR [--ids FILE] [--name MODEL] [--record FILE] IN.fa NAME=LEAST=FILE.npy ..."""
import argparse
import json
import os
import sys

import numpy
import torch

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def esm2(model, fasta):
    from transformers import EsmModel
    sys.path.insert(0, os.path.join(ROOT, "bench", "peers"))
    from baseline import embed, records
    net = EsmModel.from_pretrained(model, dtype=torch.float32, add_pooling_layer=False,
                                   attn_implementation="eager").to(DEVICE).eval()
    return [embed(net, [r], DEVICE)[0] for r in records(fasta)]


def dnabert(model, ids):
    sys.path.insert(0, os.path.join(ROOT, "tests", "golden", "dnabert"))
    from make_golden import hidden_states, load
    with open(os.path.join(model, "config.json")) as f:
        config = json.load(f)
    weights = {name: t.to(DEVICE) for name, t in load(model).items()}
    torch.set_default_device(DEVICE)  # where hidden_states() makes what it needs besides
    with open(ids) as f:
        rows = [json.loads(line)["tokens"] for line in f]
    return [hidden_states(weights, config["num_hidden_layers"], config["num_attention_heads"], r)[-1][1:-1].mean(0).cpu().numpy()
            for r in rows]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--model", required=True)
    p.add_argument("--ids")
    p.add_argument("--name", default="")
    p.add_argument("--record", default=os.devnull)
    p.add_argument("fasta")
    p.add_argument("ours", nargs="+")
    args = p.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    with torch.inference_mode():
        rows = dnabert(args.model, args.ids) if args.ids else esm2(args.model, args.fasta)
    reference = numpy.stack(rows).astype(numpy.float64)
    against = "PyTorch float64" if args.ids else "Hugging Face EsmModel FP32"
    good = True
    for what in args.ours:
        name, least, path = what.split("=", 2)
        ours = numpy.load(path).astype(numpy.float64)
        cosines = (ours * reference).sum(1) / (numpy.linalg.norm(ours, axis=1) * numpy.linalg.norm(reference, axis=1))
        agree = bool(ours.shape == reference.shape and cosines.min() >= float(least))
        good = good and agree
        line = {"what": "proof", "model": args.name, "stratum": "mixed", "numbers": name, "against": against,
                "sequences": len(ours), "min_cosine": float(cosines.min()), "mean_cosine": float(cosines.mean()),
                "max_abs_diff": float(abs(ours - reference).max()), "threshold": float(least), "agree": agree}
        with open(args.record, "a") as f:
            f.write(json.dumps(line, separators=(",", ":")) + "\n")
        if not agree:
            print(f"{name}: cosine {cosines.min():.9f} under {least}", file=sys.stderr)
    sys.exit(not good)


if __name__ == "__main__":
    main()
