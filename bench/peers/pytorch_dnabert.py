"""DNABERT-S's shape as a good PyTorch user runs it: scaled_dot_product_attention with ALiBi as its mask, eager and compiled,
FP16, random weights, batches on the device before the clock starts. Sequences of one length without padding; for the mix,
sequences sorted by length into batches of at most --budget tokens, padding counted, and only real tokens reported. One JSON
object a line, as of pytorch.py. usage: pytorch_dnabert.py [--seconds 20] [--budget 16384] [--only compile,eager]"""
import argparse
import gc
import random

import torch
import torch.nn as nn
import torch.nn.functional as F

import pytorch

LAYERS, HEADS, WIDTH, FFN, VOCAB = 12, 12, 768, 3072, 4096
STRATA = ["108", "mix"]


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.gated, self.wo = nn.Linear(WIDTH, 2 * FFN, bias=False), nn.Linear(FFN, WIDTH)
        self.ln1, self.ln2 = nn.LayerNorm(WIDTH, eps=1e-12), nn.LayerNorm(WIDTH, eps=1e-12)

    def forward(self, x, bias):
        batch, length, _ = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        o = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        x = self.ln1(x + self.out(o.transpose(1, 2).reshape(batch, length, WIDTH)))
        gate, up = self.gated(x).chunk(2, -1)
        return self.ln2(x + self.wo(F.gelu(gate) * up))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.word, self.ln = nn.Embedding(VOCAB, WIDTH), nn.LayerNorm(WIDTH, eps=1e-12)
        self.token_type = nn.Embedding(2, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, ids, bias, share):
        x = self.ln(self.word(ids) + self.token_type.weight[0])
        for layer in self.layers:
            x = layer(x, bias)
        return torch.einsum("blw,bl->bw", x, share)  # the mean over the real tokens


def slopes():
    return torch.tensor([2.0**-(h + 1) for h in range(8)] + [2.0 ** -(0.5 + h) for h in range(4)])


def make_batch(lengths, device):
    """Ids, the mask (ALiBi, and -inf on padding where there is any) and each token's share of its sequence's mean. The
    mask's rows begin at multiples of 16 bytes, which the fast kernels want."""
    n, longest = len(lengths), max(lengths)
    place = torch.arange(longest, device=device)
    alibi = -slopes().to(device)[:, None, None] * (place[:, None] - place[None]).abs()
    size = torch.tensor(lengths, device=device)
    real = place[None] < size[:, None]
    whole = bool(real.all())
    bias = torch.zeros(1 if whole else n, HEADS, longest, (longest + 7) // 8 * 8, device=device, dtype=torch.float16)
    bias[..., :longest] = alibi
    if not whole:
        bias[..., :longest].masked_fill_(~real[:, None, None, :], float("-inf"))
    ids = torch.randint(5, VOCAB, (n, longest), device=device)
    share = (real / size[:, None]).to(torch.float16)
    return lengths, (ids, bias[..., :longest].expand(n, -1, -1, -1), share)


def flops(lengths):
    return LAYERS * sum(n * (2 * WIDTH * (4 * WIDTH + 3 * FFN) + 4 * n * WIDTH) for n in lengths)


def measure(net, args, compiled):
    for stratum in STRATA:
        run = torch.compile(net, dynamic=stratum == "mix") if compiled else net
        batches = [make_batch(b, "cuda") for b in pytorch.padded_batches(stratum, args.budget)]
        torch.cuda.reset_peak_memory_stats()
        with torch.inference_mode():
            seconds, turns = pytorch.sustained(lambda b: run(*b[1]), batches, args.seconds)
        every = [b[0] for b in batches]
        pytorch.show("torch.compile SDPA" if compiled else "torch eager SDPA", "dnabert-s", "fp16", stratum, args.budget,
                     seconds, turns, every, sum(map(flops, every)))
    torch._dynamo.reset()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--seconds", type=float, default=20)
    p.add_argument("--budget", type=int, default=16384)
    p.add_argument("--only", default="compile,eager")
    args = p.parse_args()
    torch.manual_seed(0)
    random.seed(0)
    torch.set_default_dtype(torch.float16)
    with torch.device("cuda"):
        net = Net().eval()
    torch.set_default_dtype(torch.float32)
    for part in args.only.split(","):
        if part in ("compile", "eager"):
            measure(net, args, part == "compile")
        gc.collect()
        torch.cuda.empty_cache()


if __name__ == "__main__":  # libraries start workers that import this file
    main()
