#!/usr/bin/env python3
"""Makes the small model files beside this script: one ESM-2 and one DNABERT-S, as the libraries that users have write
them. Every value is drawn here from a fixed seed. Run in this folder; versions.txt then says with what.

expected.tsv: folder or file, CRC-32 of all values as float32 in the order of enum vnp_role (common/model.h)."""
import argparse, io, json, os, pickle, shutil, struct, sys, zipfile, zlib
from pathlib import Path

import esm, numpy, safetensors, torch, transformers
from esm.model.esm2 import ESM2
from safetensors.torch import save_file

LAYERS, HEADS, WIDTH = 2, 2, 8
FAIR = ["self_attn_layer_norm.weight", "self_attn_layer_norm.bias", "self_attn.q_proj.weight", "self_attn.q_proj.bias",
        "self_attn.k_proj.weight", "self_attn.k_proj.bias", "self_attn.v_proj.weight", "self_attn.v_proj.bias",
        "self_attn.out_proj.weight", "self_attn.out_proj.bias", "final_layer_norm.weight", "final_layer_norm.bias",
        "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]
HF = ["attention.LayerNorm.weight", "attention.LayerNorm.bias", "attention.self.query.weight",
      "attention.self.query.bias", "attention.self.key.weight", "attention.self.key.bias",
      "attention.self.value.weight", "attention.self.value.bias", "attention.output.dense.weight",
      "attention.output.dense.bias", "LayerNorm.weight", "LayerNorm.bias", "intermediate.dense.weight",
      "intermediate.dense.bias", "output.dense.weight", "output.dense.bias"]
expected = []


def crc(tensors):
    c = 0
    for t in tensors:
        c = zlib.crc32(t.detach().float().contiguous().numpy().astype("<f4").tobytes(), c)
    return f"{c:08x}"


def fresh(name):
    shutil.rmtree(name, ignore_errors=True)
    os.makedirs(name)
    return Path(name)


def fair_names():
    names = ["embed_tokens.weight", "emb_layer_norm_after.weight", "emb_layer_norm_after.bias"]
    return names + [f"layers.{l}.{n}" for l in range(LAYERS) for n in FAIR]


def hf_names():
    names = ["embeddings.word_embeddings.weight", "encoder.emb_layer_norm_after.weight",
             "encoder.emb_layer_norm_after.bias"]
    return ["esm." + n for n in names + [f"encoder.layer.{l}.{n}" for l in range(LAYERS) for n in HF]]


def randomise(state, generator):
    for name, t in state.items():
        if t.is_floating_point() and "inv_freq" not in name:
            t.copy_(torch.randn(t.shape, generator=generator) * 0.3)


def make_esm2():
    g = torch.Generator().manual_seed(1)
    fair = ESM2(LAYERS, WIDTH, HEADS, esm.data.Alphabet.from_architecture("ESM-1b"), True)
    state = fair.state_dict()
    randomise(state, g)
    order = fair_names()
    whole = crc(state[n] for n in order)

    # As published: prefixed names, tied lm_head weight in the same storage, settings beside them.
    prefixed = {("encoder." if n.startswith("lm_head") else "encoder.sentence_encoder.") + n: t
                for n, t in state.items() if not n.startswith("contact_head")}
    settings = argparse.Namespace(encoder_layers=LAYERS, encoder_embed_dim=WIDTH, encoder_attention_heads=HEADS,
                                  token_dropout=True, arch="esm2_tiny", max_positions=1024, dropout=0.0,
                                  seed=2 ** 70, extra=None, betas=(0.9, 0.98), ids=[1, 2])
    torch.save({"cfg": {"model": settings}, "model": prefixed}, "fair-esm.pt")
    expected.append(("fair-esm.pt", whole))

    config = transformers.EsmConfig(vocab_size=33, hidden_size=WIDTH, num_hidden_layers=LAYERS,
                                    num_attention_heads=HEADS, intermediate_size=4 * WIDTH, layer_norm_eps=1e-5,
                                    position_embedding_type="rotary", emb_layer_norm_before=False, token_dropout=True,
                                    mask_token_id=32, pad_token_id=1)
    hf = transformers.EsmForMaskedLM(config)
    with torch.no_grad():
        randomise(hf.state_dict(), g)
        for theirs, ours in zip(hf_names(), order):
            hf.state_dict()[theirs].copy_(state[ours])

    d = fresh("hf-bin")
    config.save_pretrained(d)
    torch.save(hf.state_dict(), d / "pytorch_model.bin")
    expected.append((d, whole))

    d = fresh("hf-sharded")
    hf.save_pretrained(d, max_shard_size="4KB")
    expected.append((d, whole))

    d = fresh("hf-bf16")
    half = transformers.EsmModel(config, add_pooling_layer=False)
    with torch.no_grad():
        for theirs, ours in zip(hf_names(), order):
            half.state_dict()[theirs[4:]].copy_(state[ours])
    half.to(torch.bfloat16).save_pretrained(d)
    expected.append((d, crc(half.state_dict()[n[4:]] for n in hf_names())))

    # FP16 through the zip route, with the views and parameters that plain scripts leave in a file.
    d = fresh("hf-bin-f16")
    config.save_pretrained(d)
    f16 = {n[4:]: torch.nn.Parameter(hf.state_dict()[n].half()) for n in hf_names()}
    both = torch.stack([f16["encoder.layer.0.attention.self.query.bias"], f16["encoder.layer.0.attention.self.key.bias"]])
    f16["encoder.layer.0.attention.self.query.bias"], f16["encoder.layer.0.attention.self.key.bias"] = both[0], both[1]
    torch.save(f16, d / "pytorch_model.bin", pickle_protocol=4)
    expected.append((d, crc(f16[n[4:]] for n in hf_names())))

    strided = dict(hf.state_dict())
    name = "esm.encoder.layer.1.attention.self.value.weight"
    strided[name] = strided[name].t()
    torch.save(strided, "strided.bin")


def make_dnabert_s():
    g = torch.Generator().manual_seed(2)
    w, f, layers = 8, 16, 2
    shapes = [("embeddings.word_embeddings.weight", (40, w)), ("embeddings.LayerNorm.weight", (w,)),
              ("embeddings.LayerNorm.bias", (w,)), ("embeddings.token_type_embeddings.weight", (2, w))]
    for l in range(layers):
        shapes += [(f"encoder.layer.{l}.{n}", s) for n, s in [
            ("attention.output.LayerNorm.weight", (w,)), ("attention.output.LayerNorm.bias", (w,)),
            ("attention.self.Wqkv.weight", (3 * w, w)), ("attention.self.Wqkv.bias", (3 * w,)),
            ("attention.output.dense.weight", (w, w)), ("attention.output.dense.bias", (w,)),
            ("mlp.layernorm.weight", (w,)), ("mlp.layernorm.bias", (w,)), ("mlp.gated_layers.weight", (2 * f, w)),
            ("mlp.wo.weight", (w, f)), ("mlp.wo.bias", (w,))]]
    state = {"bert." + n: torch.randn(s, generator=g) * 0.3 for n, s in shapes}
    d = fresh("dnabert-s")
    json.dump({"architectures": ["BertForMaskedLM"], "model_type": "bert", "hidden_size": w, "num_hidden_layers": layers,
               "num_attention_heads": 2, "intermediate_size": f, "layer_norm_eps": 1e-12, "vocab_size": 40,
               "type_vocab_size": 2, "alibi_starting_size": 512, "pad_token_id": 0}, open(d / "config.json", "w"), indent=1)
    torch.save({**state, "cls.predictions.bias": torch.zeros(40)}, d / "pytorch_model.bin")
    expected.append((d, crc(state.values())))


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil-was-here",)


def make_evil():
    """The same archive as torch.save() makes, but its pickle calls a program."""
    torch.save({"x": torch.zeros(1), "y": Evil()}, "evil.bin")


if __name__ == "__main__":
    make_esm2()
    make_dnabert_s()
    make_evil()
    Path("expected.tsv").write_text("".join(f"{n}\t{c}\n" for n, c in expected))
    Path("versions.txt").write_text(
        f"python {sys.version.split()[0]}\n" + "".join(
            f"{m.__name__} {m.__version__}\n" for m in (torch, transformers, safetensors, numpy)) +
        f"fair-esm {esm.__version__}\n")
