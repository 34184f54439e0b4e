"""ESM-2 as a good PyTorch user runs it: packed with torch's variable-length attention, eager and compiled; Hugging Face
EsmModel, padded; and the matrix products alone (the ceiling). Random weights of the real shapes, batches on the device before
the clock starts. One JSON object a line, as each figure is done. usage: pytorch.py [--models 3B,650M,8M] [--seconds 20]
[--only ceiling,compile,eager,padded] [--limit SECONDS]; a model may also be LAYERSxHEADSxWIDTH. On a CPU (--device cpu) it
only shows that it runs."""
import argparse
import gc
import json
import math
import random
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

try:
    from torch.nn.attention.varlen import varlen_attn
except ImportError:  # an older torch: the parts without packing still run
    varlen_attn = None

SHAPES = {"3B": (36, 2560, 40), "650M": (33, 1280, 20), "8M": (6, 320, 20)}  # layers, width, heads
STRATA = ["50", "150", "300", "mix"]
BATCHES = 6
BEGUN = time.monotonic()
device = "cuda"


def shape_of(model):
    if model in SHAPES:
        return SHAPES[model]
    layers, heads, width = map(int, model.split("x"))
    return layers, width, heads


def synchronize():
    if device == "cuda":
        torch.cuda.synchronize()


def reset_peak():
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()


def peak():
    return torch.cuda.max_memory_allocated() if device == "cuda" else 0


def attend(q, k, v, cu, longest):
    """Each sequence with itself. q, k, v: tokens x heads x dimension; cu: int32, where each sequence begins."""
    if q.is_cuda:
        return varlen_attn(q, k, v, cu, cu, longest, longest)
    ends = cu.tolist()
    parts = [F.scaled_dot_product_attention(*(t[a:b].transpose(0, 1) for t in (q, k, v))) for a, b in zip(ends, ends[1:])]
    return torch.cat([p.transpose(0, 1) for p in parts])


class Layer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads, self.dim = heads, width // heads
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x, cu, longest, cos, sin):
        q, k, v = self.qkv(self.ln1(x)).view(len(x), 3, self.heads, self.dim).unbind(1)

        def rotate(t):
            a, b = t.chunk(2, -1)
            return t * cos + torch.cat((-b, a), -1) * sin

        o = attend(rotate(q).contiguous(), rotate(k).contiguous(), v.contiguous(), cu, longest)
        x = x + self.out(o.reshape(len(x), -1))
        return x + self.fc2(F.gelu(self.fc1(self.ln2(x))))


class Packed(nn.Module):
    def __init__(self, layers, width, heads):
        super().__init__()
        self.emb = nn.Embedding(33, width)
        self.layers = nn.ModuleList(Layer(width, heads) for _ in range(layers))
        self.ln, self.dim = nn.LayerNorm(width), width // heads

    def forward(self, ids, position, cu, longest):
        inverse = 1.0 / (10000 ** (torch.arange(0, self.dim, 2, device=ids.device).float() / self.dim))
        angle = position.float()[:, None] * inverse[None]
        angle = torch.cat((angle, angle), -1)[:, None, :]
        x = self.emb(ids) * 0.88
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        for layer in self.layers:
            x = layer(x, cu, longest, cos, sin)
        return self.ln(x)


def lengths(stratum, budget):
    out, total = [], 0
    while True:
        n = (min(1022, max(20, int(random.lognormvariate(math.log(150), 0.7)))) if stratum == "mix" else int(stratum)) + 2
        if total + n > budget:
            return out
        out.append(n)
        total += n


def filled_batches(items, length, budget):
    """Batches of items in their order: padded to the longest, at most `budget` tokens each, or one item."""
    batches, longest = [], 0
    for item in items:
        longest = max(longest, length(item))
        if not batches or longest * (len(batches[-1]) + 1) > budget:
            batches.append([])
            longest = length(item)
        batches[-1].append(item)
    return batches


def longest_first(items, length):
    """So that those of like lengths are batched together, with little padding."""
    return sorted(items, key=length, reverse=True)


def padded_batches(stratum, budget):
    """The lengths of full ones."""
    return filled_batches(longest_first(lengths(stratum, (BATCHES + 1) * budget), int), int, budget)[:-1]


def packed_batch(stratum, budget):
    ls = lengths(stratum, budget)
    cu = torch.tensor([0] + ls).cumsum(0).int().to(device)
    ids = torch.randint(4, 24, (sum(ls),), device=device)
    return ls, (ids, torch.cat([torch.arange(n) for n in ls]).to(device), cu, max(ls))


def flops(shape, ls):
    layers, width, _ = shape
    return layers * sum(n * (24 * width * width + 4 * n * width) for n in ls)


def sustained(run, batches, seconds):
    """Seconds, and how often each batch ran; at most one pass over the batches ahead of the device."""
    for i in range(10):
        run(batches[i % len(batches)])
    synchronize()
    start, turns = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        for b in batches:
            run(b)
        synchronize()
        turns += 1
    return time.perf_counter() - start, turns


def show(peer, model, numbers, stratum, budget, seconds, turns, all_lengths, work):
    """`work`: floating-point operations of all batches, once."""
    tokens, work = turns * sum(map(sum, all_lengths)), turns * work
    print(json.dumps({"what": "peer", "peer": peer, "model": model, "numbers": numbers, "stratum": stratum, "budget": budget,
                      "seconds": round(seconds, 3), "tokens_s": round(tokens / seconds),
                      "sequences_s": round(turns * sum(map(len, all_lengths)) / seconds),
                      "tflop_s": round(work / seconds / 1e12, 1),
                      "memory_gb": round(peak() / 1e9, 2)}), flush=True)


def report(peer, model, numbers, stratum, budget, seconds, turns, all_lengths):
    work = sum(flops(shape_of(model), ls) for ls in all_lengths)
    show(peer, model, numbers, stratum, budget, seconds, turns, all_lengths, work)


def time_for(args, seconds, figure):
    """Whether there is time left for a figure; says so when not."""
    left = args.limit - (time.monotonic() - BEGUN)
    if left >= seconds:
        return True
    print(json.dumps({"what": "skipped", "figure": figure, "wants": round(seconds), "left": round(left)}), flush=True)
    return False


def packed(model, args, compiled):
    peer = "torch.compile packed" if compiled else "torch eager packed"
    if device == "cuda" and varlen_attn is None:
        print(json.dumps({"what": "skipped", "figure": f"{peer}: torch {torch.__version__} has no varlen_attn"}), flush=True)
        return
    span = args.seconds if compiled else args.other_seconds
    torch.set_default_dtype(torch.float16)
    with torch.device(device):
        net = Packed(*shape_of(model)).eval()
    torch.set_default_dtype(torch.float32)
    run = torch.compile(net, dynamic=True) if compiled else net
    for stratum in STRATA if compiled else args.eager.split(","):
        if not time_for(args, span + (20 if compiled and stratum == STRATA[0] else 2), f"{model} {peer}, {stratum}"):
            continue
        batches = [packed_batch(stratum, args.budget) for _ in range(BATCHES)]
        reset_peak()
        with torch.inference_mode():
            seconds, turns = sustained(lambda b: run(*b[1]), batches, span)
        report(peer, model, "fp16", stratum, args.budget, seconds, turns, [b[0] for b in batches])
    torch._dynamo.reset()


def padded(model, args):
    from transformers import EsmConfig, EsmModel
    layers, width, heads = shape_of(model)
    config = EsmConfig(vocab_size=33, mask_token_id=32, pad_token_id=1, hidden_size=width, num_hidden_layers=layers,
                       num_attention_heads=heads, intermediate_size=4 * width, position_embedding_type="rotary",
                       emb_layer_norm_before=False, token_dropout=True, max_position_embeddings=1026, layer_norm_eps=1e-5)
    torch.set_default_dtype(torch.float16)
    with torch.device(device):
        net = EsmModel(config, add_pooling_layer=False).eval()
    torch.set_default_dtype(torch.float32)
    for stratum in args.eager.split(","):
        if not time_for(args, args.other_seconds + 2, f"{model} Hugging Face padded, {stratum}"):
            continue
        batches = []
        for ls in padded_batches(stratum, args.budget):
            ids = torch.full((len(ls), max(ls)), 1, device=device)
            mask = torch.zeros_like(ids)
            for i, n in enumerate(ls):
                ids[i, :n] = torch.randint(4, 24, (n,))
                mask[i, :n] = 1
            batches.append((ls, ids, mask))
        reset_peak()
        with torch.inference_mode():
            seconds, turns = sustained(lambda b: net(input_ids=b[1], attention_mask=b[2]), batches, args.other_seconds)
        report("Hugging Face padded", model, "fp16", stratum, args.budget, seconds, turns, [b[0] for b in batches])


def ceiling(model, args):
    """The four products of a layer, in turn and without a pause, as the library multiplies them."""
    if not time_for(args, args.seconds + 2, f"{model} ceiling"):
        return
    _, width, _ = shape_of(model)
    shapes = [(3 * width, width), (width, width), (4 * width, width), (width, 4 * width)]
    a = {k: torch.randn(args.budget, k, device=device).half() * 0.5 for k in {k for _, k in shapes}}
    w = [torch.randn(n, k, device=device).half() * 0.02 for n, k in shapes]
    out = [torch.empty(args.budget, n, device=device).half() for n, _ in shapes]

    def run(_):
        for (n, k), wi, o in zip(shapes, w, out):
            torch.matmul(a[k], wi.t(), out=o)

    seconds, turns = sustained(run, [0] * 20, args.seconds)
    work = turns * 20 * sum(2.0 * args.budget * n * k for n, k in shapes)
    print(json.dumps({"what": "ceiling", "model": model, "numbers": "fp16", "budget": args.budget,
                      "seconds": round(seconds, 3), "tflop_s": round(work / seconds / 1e12, 1)}), flush=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--models", default="3B,650M,8M")
    p.add_argument("--seconds", type=float, default=20)
    p.add_argument("--other-seconds", type=float, help="of what isn't compiled (as --seconds)")
    p.add_argument("--limit", type=float, default=math.inf, help="no figure is begun that would not be done by then")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--budget", type=int, default=16384)
    p.add_argument("--eager", default="150,mix", help="strata of the peers that aren't compiled")
    p.add_argument("--only", default="ceiling,compile,eager,padded")
    args = p.parse_args()
    args.other_seconds = args.other_seconds or args.seconds
    global device
    device = args.device
    torch.manual_seed(0)
    random.seed(0)
    print(json.dumps({"what": "versions", "torch": torch.__version__, "cuda": torch.version.cuda,
                      "device": torch.cuda.get_device_name() if device == "cuda" else device}), flush=True)
    parts = {"ceiling": lambda m: ceiling(m, args), "compile": lambda m: packed(m, args, True),
             "eager": lambda m: packed(m, args, False), "padded": lambda m: padded(m, args)}
    for model in args.models.split(","):
        for part in args.only.split(","):
            parts[part](model)
            gc.collect()
            if device == "cuda":
                torch.cuda.empty_cache()


if __name__ == "__main__":  # libraries start workers that import this file
    main()
