"""A FASTA file to the mean of each record's residues on disk, as a PyTorch user does it without packing: Hugging Face EsmModel,
one record at a time (--tokens 0), or padded batches of as many records as --tokens holds: in the file's order, or, --sorted, of
like length. Runs for --seconds at most, once the model is loaded, and reckons the whole from that. One JSON object.
usage: baseline.py --model DIR --begin UNIX-TIME -o OUT.npy IN.fa [--numbers fp16|fp32] [--tokens N [--sorted]] [--seconds S]"""
import argparse
import json
import os
import random
import time

import numpy
import torch
from transformers import EsmModel

import pytorch

LETTERS = {c: 4 + i for i, c in enumerate("LAGVSERTIDPKQNFYMHWCXBUZO.-")}  # as in ESM-2's vocab.txt; <unk> is 3


def records(path):
    """Token ids of each record: <cls>, residues, <eos>."""
    out = []
    with open(path) as f:
        for line in f:
            if line[0] == ">":
                out.append([0])
            else:
                out[-1] += [LETTERS.get(c, 3) for c in line.strip()]
    return [r + [2] for r in out]


def embed(net, batch, device):
    longest = max(map(len, batch))
    ids = torch.tensor([r + [1] * (longest - len(r)) for r in batch])
    lengths = torch.tensor([len(r) for r in batch])[:, None]
    at = torch.arange(longest)[None]
    residues = ((at > 0) & (at < lengths - 1)).to(device)[..., None]
    hidden = net(input_ids=ids.to(device), attention_mask=(at < lengths).long().to(device)).last_hidden_state.float()
    return ((hidden * residues).sum(1) / residues.sum(1)).cpu().numpy()  # a row a record: its mean over the residues


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--model", required=True)
    p.add_argument("--name")
    p.add_argument("--numbers", default="fp16", choices=["fp16", "fp32"])
    p.add_argument("--tokens", type=int, default=0)
    p.add_argument("--sorted", action="store_true")
    p.add_argument("--seconds", type=float, default=60)
    p.add_argument("--begin", type=float, default=time.time())
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("-o", "--output", required=True)
    p.add_argument("fasta")
    args = p.parse_args()
    dtype = torch.float16 if args.numbers == "fp16" else torch.float32
    net = EsmModel.from_pretrained(args.model, dtype=dtype, add_pooling_layer=False).to(args.device).eval()
    rows = records(args.fasta)
    plan = pytorch.filled_batches(pytorch.longest_first(rows, len) if args.sorted else rows, len, args.tokens)
    random.Random(0).shuffle(plan)  # so that some of them stand for all
    start, done = time.time(), []
    with torch.inference_mode():
        for batch in plan:
            done.append(embed(net, batch, args.device))
            if time.time() - start > args.seconds:
                break
    out = numpy.concatenate(done)
    with open(args.output, "wb") as f:
        numpy.save(f, out)
        f.flush()
        os.fsync(f.fileno())
    end = time.time()
    order = "sorted by length" if args.sorted else "in the file's order"
    how = "Hugging Face, " + (f"padded batches of {args.tokens} tokens, {order}" if args.tokens else "one record at a time")
    print(json.dumps({"what": "baseline", "how": how, "model": args.name or args.model, "numbers": args.numbers,
                      "sequences": len(out), "of": len(rows), "start_s": round(start - args.begin, 2),
                      "seconds": round(end - args.begin, 2),
                      "whole_s": round(start - args.begin + (end - start) * len(plan) / len(done), 2),
                      "finite": bool(numpy.isfinite(out).all())}), flush=True)


if __name__ == "__main__":
    main()
