#!/usr/bin/env python3
"""Makes the ESM-2 golden data of this folder: esm2.txt (the index) and esm2-*.f32 (the vectors).

    python3 tests/golden/make_golden.py --vnp-model build/bin/vnp-model

Needs torch, transformers and fair-esm (versions: README). `vnp-model synth` makes the weights, which are not kept: the
index holds their fingerprint. Reference: Hugging Face EsmModel and fair-esm's ESM2, each in float64 on those weights, one
sequence at a time, rounded to float32 at the end.
"""
import argparse
import pathlib
import random
import re
import subprocess
import tempfile

import esm
import safetensors.torch
import torch
import transformers

HERE = pathlib.Path(__file__).resolve().parent
# head dimension: (layers, heads, width)
SHAPES = {16: (3, 4, 64), 24: (3, 4, 96), 32: (3, 3, 96), 64: (3, 2, 128), 128: (3, 2, 256)}
LENGTHS = (1, 2, 3, 63, 64, 65, 127, 128, 129, 511, 1022)
ALL_ROWS_UP_TO = 67  # tokens; of longer sequences every STEP-th row
STEP = 8
SEED = 20261120
CLS, EOS, UNK, MASK = 0, 2, 3, 32
LETTERS = "LAGVSERTIDPKQNFYMHWCXBUZO"


def sequences():
    """name -> token ids. Mostly the twenty residues; X B U Z O, <unk> (J) and, in `masked`, <mask> as well."""
    rng = random.Random(SEED)
    seqs = {}
    for n in LENGTHS:
        ids = [4 + rng.randrange(20) for _ in range(n)]
        if n >= 63:
            for id_ in [4 + i for i in range(20, 25)] + [UNK]:
                ids[rng.randrange(n)] = id_
        seqs[f"len{n}"] = [CLS] + ids + [EOS]
    ids = [4 + rng.randrange(20) for _ in range(40)]
    for at in (0, 7, 8, 39):
        ids[at] = MASK
    seqs["masked"] = [CLS] + ids + [EOS]
    return seqs


def hugging_face(directory, seqs):
    """(sequence name, layer) -> float64 [tokens, width], layer 0 .. layers."""
    model = transformers.EsmModel.from_pretrained(
        directory, dtype=torch.float64, attn_implementation="eager", add_pooling_layer=False
    ).eval()
    out = {}
    taps = [model.embeddings] + list(model.encoder.layer)
    current = []
    for tap in taps:
        tap.register_forward_hook(lambda m, a, y: current.append(y[0] if isinstance(y, tuple) else y))
    with torch.no_grad():
        for name, ids in seqs.items():
            current.clear()
            last = model(torch.tensor([ids])).last_hidden_state
            assert len(current) == len(taps) and last.dtype == torch.float64
            for layer, x in enumerate(current[:-1] + [last]):
                out[name, layer] = x[0].clone()
    return out


def fair_esm(directory, seqs, shape):
    """The same from fair-esm's class, its tensors filled by name."""
    layers, heads, width = shape
    model = esm.ESM2(num_layers=layers, embed_dim=width, attention_heads=heads).double().eval()
    weights = safetensors.torch.load_file(pathlib.Path(directory) / "model.safetensors")
    names = [
        (r"^embeddings\.word_embeddings\.", "embed_tokens."),
        (r"^encoder\.emb_layer_norm_after\.", "emb_layer_norm_after."),
        (r"^encoder\.layer\.(\d+)\.attention\.self\.query\.", r"layers.\1.self_attn.q_proj."),
        (r"^encoder\.layer\.(\d+)\.attention\.self\.key\.", r"layers.\1.self_attn.k_proj."),
        (r"^encoder\.layer\.(\d+)\.attention\.self\.value\.", r"layers.\1.self_attn.v_proj."),
        (r"^encoder\.layer\.(\d+)\.attention\.output\.dense\.", r"layers.\1.self_attn.out_proj."),
        (r"^encoder\.layer\.(\d+)\.attention\.LayerNorm\.", r"layers.\1.self_attn_layer_norm."),
        (r"^encoder\.layer\.(\d+)\.intermediate\.dense\.", r"layers.\1.fc1."),
        (r"^encoder\.layer\.(\d+)\.output\.dense\.", r"layers.\1.fc2."),
        (r"^encoder\.layer\.(\d+)\.LayerNorm\.", r"layers.\1.final_layer_norm."),
    ]
    state = {}
    for key, tensor in weights.items():
        key = re.sub(r"^esm\.", "", key)
        for pattern, repl in names:
            if re.match(pattern, key):
                state[re.sub(pattern, repl, key)] = tensor.double()
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected, unexpected
    assert all(re.match(r"contact_head|lm_head|layers\.\d+\.self_attn\.rot_emb\.inv_freq", k) for k in missing), missing
    out = {}
    with torch.no_grad():
        for name, ids in seqs.items():
            reps = model(torch.tensor([ids]), repr_layers=range(layers + 1))["representations"]
            for layer, x in reps.items():
                out[name, layer] = x[0].clone()
    return out


class Writer:
    """Index lines and, in the same order, the vectors that they announce."""

    def __init__(self, index, path):
        self.index, self.data = index, open(path, "wb")

    def put(self, line, rows):
        self.index.append(line)
        self.data.write(rows.to(torch.float32).contiguous().numpy().astype("<f4").tobytes())

    def rows(self, source, layer, name, x, step):
        picked = x[::step]
        self.put(f"rows {source} {layer} {name} {step} {len(picked)}", picked)

    def pools(self, layer, name, x):
        residues = x[1:-1]
        for what, v in (("mean", residues.mean(0)), ("cls", x[0]), ("max", residues.max(0).values)):
            self.put(f"pool {what} {layer} {name}", v[None])


def worst(a, b):
    """Largest |difference| as a share of the row's largest value, over all rows of all sequences."""
    return max(((a[k] - b[k]).abs().amax(1) / a[k].abs().amax(1)).max().item() for k in b)


def make_model(args, directory, dim, outliers):
    layers, heads, width = SHAPES[dim]
    shape = f"{layers}x{heads}x{width}"
    options = ["--seed", str(SEED + dim)] + (["--outliers"] if outliers else [])
    subprocess.run([args.vnp_model, "synth", shape, *options, "-q", "-o", directory], check=True)
    text = subprocess.run([args.vnp_model, "inspect", directory], check=True, capture_output=True, text=True).stdout
    return shape, options, re.search(r"fingerprint\W+([0-9a-f]+)", text).group(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vnp-model", required=True, help="the vnp-model binary")
    args = parser.parse_args()
    torch.set_num_threads(2)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    seqs = sequences()
    index = [
        "# made by make_golden.py; format: README",
        f"# torch {torch.__version__}, transformers {transformers.__version__}, fair-esm {esm.__version__}",
    ]
    index += [f"ids {name} {len(ids)} {' '.join(map(str, ids))}" for name, ids in seqs.items()]
    for dim, shape in SHAPES.items():
        for outliers in (False, True):
            name = f"esm2-d{dim}" + ("-outliers" if outliers else "")
            with tempfile.TemporaryDirectory() as tmp:
                directory = f"{tmp}/{name}"
                spec, options, fingerprint = make_model(args, directory, dim, outliers)
                hf, fair = hugging_face(directory, seqs), fair_esm(directory, seqs, shape)
            index.append(f"model {name} {fingerprint} {shape[0]} {shape[2]} {spec} {' '.join(options)}")
            w = Writer(index, HERE / f"{name}.f32")
            last = shape[0]
            for s, ids in seqs.items():
                step = 1 if len(ids) <= ALL_ROWS_UP_TO else STEP
                w.rows("hf", last, s, hf[s, last], step)
                w.pools(last, s, hf[s, last])
            for s in ("len3", "len65", "len129", "masked"):
                for layer in (0, 1):
                    w.rows("hf", layer, s, hf[s, layer], STEP)
            for s in ("len3", "len65", "len1022", "masked"):
                w.rows("fair-esm", last, s, fair[s, last], STEP)
            w.data.close()
            values = torch.cat([x for (s, layer), x in hf.items() if layer == last - 1])
            print(f"{name}: {fingerprint}; fair-esm to Hugging Face {worst(hf, fair):.1e} of the row's largest; "
                  f"largest value before the last layer {values.abs().max():.1f}")
    (HERE / "esm2.txt").write_text("\n".join(index) + "\n")


if __name__ == "__main__":
    main()
