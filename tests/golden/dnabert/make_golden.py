#!/usr/bin/env python3
"""Makes the DNABERT-S golden data of this folder: dnabert.txt (the index) and dnabert-*.f32 (the vectors).

    python3 tests/golden/dnabert/make_golden.py --vnp-model build/bin/vnp-model

Needs torch and safetensors (versions: README). `vnp-model synth` makes the weights, which are not kept: the index holds
their fingerprint. Reference: the model written down here from its specification, in float64, one sequence at a time,
rounded to float32 at the end.
"""
import argparse
import math
import pathlib
import random
import re
import subprocess
import tempfile

import safetensors.torch
import torch

HERE = pathlib.Path(__file__).resolve().parent
# (layers, heads, width): head dimensions 16, 32, 64; of the numbers of heads only 4 is a power of two
SHAPES = ((3, 12, 192), (3, 4, 128), (3, 3, 192))
TOKENS = (1, 2, 3, 63, 64, 65, 127, 128, 129, 511, 1022)
VOCAB = 4096
ALL_ROWS_UP_TO = 65  # tokens; of longer sequences every STEP-th row
STEP = 16
SEED = 20261121
EPS = 1e-12


def sequences():
    """name -> token ids, over the whole vocabulary."""
    rng = random.Random(SEED)
    return {f"tok{n}": [rng.randrange(VOCAB) for _ in range(n)] for n in TOKENS}


def alibi_slopes(heads):
    """Press et al. 2022: a geometric sequence that ends at 2^-8 for a power of two, else borrowed from the next one."""
    if heads & (heads - 1) == 0:
        return [2.0 ** (-8.0 * (h + 1) / heads) for h in range(heads)]
    below = 1 << (heads.bit_length() - 1)
    return alibi_slopes(below) + alibi_slopes(2 * below)[0::2][: heads - below]


def layer_norm(x, weights, name):
    mean = x.mean(-1, keepdim=True)
    variance = (x - mean).square().mean(-1, keepdim=True)
    return (x - mean) / (variance + EPS).sqrt() * weights[name + ".weight"] + weights[name + ".bias"]


def attention(x, weights, name, heads):
    n, width = x.shape
    d = width // heads
    qkv = x @ weights[name + ".Wqkv.weight"].T + weights[name + ".Wqkv.bias"]
    q, k, v = (part.reshape(n, heads, d).transpose(0, 1) for part in qkv.split(width, -1))
    position = torch.arange(n, dtype=torch.float64)
    distance = (position[:, None] - position[None, :]).abs()
    slopes = torch.tensor(alibi_slopes(heads), dtype=torch.float64)
    scores = q @ k.transpose(1, 2) / math.sqrt(d) - slopes[:, None, None] * distance
    return (scores.softmax(-1) @ v).transpose(0, 1).reshape(n, width)


def gelu(x):
    return x / 2 * (1 + torch.erf(x / math.sqrt(2)))


def feed_forward(x, weights, name):
    h = x @ weights[name + ".gated_layers.weight"].T
    gate, value = h.split(h.shape[-1] // 2, -1)
    return gelu(gate) * value @ weights[name + ".wo.weight"].T + weights[name + ".wo.bias"]


def hidden_states(weights, layers, heads, ids):
    """[layer 0 .. layers] of float64 [tokens, width]; weights by their published names, float64."""
    x = weights["embeddings.word_embeddings.weight"][ids] + weights["embeddings.token_type_embeddings.weight"][0]
    out = [layer_norm(x, weights, "embeddings.LayerNorm")]
    for l in range(layers):
        name = f"encoder.layer.{l}."
        x = out[-1]
        a = attention(x, weights, name + "attention.self", heads)
        a = a @ weights[name + "attention.output.dense.weight"].T + weights[name + "attention.output.dense.bias"]
        x = layer_norm(x + a, weights, name + "attention.output.LayerNorm")
        out.append(layer_norm(x + feed_forward(x, weights, name + "mlp"), weights, name + "mlp.layernorm"))
    return out


def load(directory):
    weights = safetensors.torch.load_file(pathlib.Path(directory) / "model.safetensors")
    return {re.sub(r"^bert\.", "", k): t.double() for k, t in weights.items()}


def make_model(args, directory, shape, outliers):
    spec = "dnabert-s:" + "x".join(map(str, shape))
    options = ["--seed", str(SEED + shape[1])] + (["--outliers"] if outliers else [])
    subprocess.run([args.vnp_model, "synth", spec, *options, "-q", "-o", directory], check=True)
    text = subprocess.run([args.vnp_model, "inspect", directory], check=True, capture_output=True, text=True).stdout
    return spec, options, re.search(r"fingerprint\W+([0-9a-f]+)", text).group(1)


class Writer:
    """Index lines and, in the same order, the vectors that they announce."""

    def __init__(self, index, path):
        self.index, self.data = index, open(path, "wb")

    def put(self, line, rows):
        self.index.append(line)
        self.data.write(rows.to(torch.float32).contiguous().numpy().astype("<f4").tobytes())

    def rows(self, layer, name, x, step):
        picked = x[::step]
        self.put(f"rows spec {layer} {name} {step} {len(picked)}", picked)

    def pools(self, layer, name, x):
        self.put(f"pool mean-all {layer} {name}", x.mean(0)[None])
        if len(x) >= 3:
            self.put(f"pool mean {layer} {name}", x[1:-1].mean(0)[None])
            self.put(f"pool max {layer} {name}", x[1:-1].max(0).values[None])


def golden(args):
    seqs = sequences()
    index = ["# made by make_golden.py; format: README one folder up", f"# torch {torch.__version__}"]
    index += [f"ids {name} {len(ids)} {' '.join(map(str, ids))}" for name, ids in seqs.items()]
    for shape in SHAPES:
        layers, heads, width = shape
        for outliers in (False, True):
            name = f"dnabert-h{heads}" + ("-outliers" if outliers else "")
            with tempfile.TemporaryDirectory() as tmp:
                spec, options, fingerprint = make_model(args, f"{tmp}/model", shape, outliers)
                weights = load(f"{tmp}/model")
            index.append(f"model {name} {fingerprint} {layers} {width} {spec} {' '.join(options)}")
            w = Writer(index, HERE / f"{name}.f32")
            largest = 0
            for s, ids in seqs.items():
                x = hidden_states(weights, layers, heads, ids)
                w.rows(layers, s, x[layers], 1 if len(ids) <= ALL_ROWS_UP_TO else STEP)
                w.pools(layers, s, x[layers])
                for layer in range(layers) if s in ("tok1", "tok65", "tok129") else ():
                    w.rows(layer, s, x[layer], STEP)
                largest = max(largest, x[layers - 1].abs().max().item())
            w.data.close()
            print(f"{name}: {fingerprint}; largest value before the last layer {largest:.1f}")
    (HERE / "dnabert.txt").write_text("\n".join(index) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vnp-model", required=True, help="the vnp-model binary")
    args = parser.parse_args()
    torch.set_num_threads(2)
    golden(args)
