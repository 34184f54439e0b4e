#!/usr/bin/env python3
"""Makes the classifiers beside this script and what PyTorch and pandas make of them. Run in this folder:

    python3 make_golden.py --vnp-model ../../../build/bin/vnp-model

The class is defined here, in __main__, as in the program that trained the published ones; README says what is what."""
import argparse, copy, os, pickle, platform, subprocess, sys, tempfile, types, warnings
from pathlib import Path

import numpy as np
import pandas as pd
import safetensors.torch
import torch
from torch import nn

WIDTH, HIDDEN, ROWS = 48, 16, 48
FULL_WIDTH, FULL_ROWS = 3328, 70


class MLPClassifier(nn.Module):
    def __init__(self, input_dim, hidden_dim, num_class):
        super().__init__()
        self.hidden_layer = nn.Linear(input_dim, hidden_dim)
        self.bn1 = nn.BatchNorm1d(hidden_dim)
        self.output_layer = nn.Linear(hidden_dim, num_class)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        return self.output_layer(self.dropout(torch.relu(self.bn1(self.hidden_layer(x)))))


def mix64(z):
    z = np.uint64(z)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def inputs(rows, width):
    """x[i] = (mix64(i) >> 40) / 2^22 - 2: from -2 to 2, the same in every language."""
    with np.errstate(over="ignore"):
        u = mix64(np.arange(rows * width, dtype=np.uint64)) >> np.uint64(40)
    return torch.from_numpy((u.astype(np.float32) / np.float32(1 << 22) - np.float32(2)).reshape(rows, width))


def trained():
    """Running statistics and weights of a real training run, if a short one."""
    g = torch.Generator().manual_seed(5)
    torch.manual_seed(5)
    model = MLPClassifier(WIDTH, HIDDEN, 2)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(60):
        x = torch.randn(64, WIDTH, generator=g) * 1.3
        y = (x[:, :5].sum(1) > 0).long()
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimiser.step()
    return model


class Backend:
    def __reduce__(self):
        return sys.modules["torch.nn.backends.thnn"]._get_thnn_function_backend, ()


def as_torch_1_3(model):
    """Until 1.3 every module had a _backend, which is pickled as a call."""
    module = types.ModuleType("torch.nn.backends.thnn")
    exec("def _get_thnn_function_backend(): pass", module.__dict__)
    module._get_thnn_function_backend.__module__ = module.__name__
    sys.modules["torch.nn.backends.thnn"] = module
    for m in model.modules():
        m._backend = Backend()
        del m.__dict__["_non_persistent_buffers_set"]
    return model


def named_source(obj, *args):
    """The legacy form keeps each module's source with the path of its file: only the name of the file here."""
    lines, first, path = SOURCE_OF(obj, *args)
    return lines, first, os.path.basename(path)


SOURCE_OF = torch.serialization.get_source_lines_and_file
torch.serialization.get_source_lines_and_file = named_source


def save(obj, name, **how):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(obj, name, **how)


def write_models(model):
    old = {"_use_new_zipfile_serialization": False}
    save(model, "zip.pth")
    save(model, "legacy.pth", **old)
    save(model, "zip-protocol4.pth", pickle_protocol=4)
    save(model.state_dict(), "state.pth")
    save(model.state_dict(), "state-legacy.pth", **old)
    save({"model_state_dict": model.state_dict(), "epoch": 3}, "checkpoint.pth")
    safetensors.torch.save_file(model.state_dict(), "state.safetensors")
    save(copy.deepcopy(model).half(), "half.pth")
    save(as_torch_1_3(copy.deepcopy(model)), "old.pth", **old)
    other = copy.deepcopy(model)
    other.bn1.eps = 0.01
    save(other, "eps.pth")
    return other


class Evil(MLPClassifier):
    def __reduce__(self):
        return os.system, ("touch evil-was-here",)


def write_refused(model):
    save(nn.Sequential(nn.Linear(4, 2)), "other-module.pth")
    save(MLPClassifier(4, 4, 3), "three-classes.pth")
    swapped = MLPClassifier(4, 4, 2)
    swapped.bn1 = nn.LayerNorm(4)
    save(swapped, "layer-norm.pth")
    save(nn.Sequential(nn.Conv1d(1, 1, 1)), "conv.pth")
    save(Evil(4, 4, 2), "evil.pth")
    save(Evil(4, 4, 2), "evil-legacy.pth", _use_new_zipfile_serialization=False)
    with open("evil-plain.pth", "wb") as f:
        pickle.dump(Evil(4, 4, 2), f, protocol=2)


def scores(model, x):
    model.eval()
    with torch.no_grad():
        return torch.softmax(model(x), dim=1).numpy()


def ids(n):
    """Frames of chunks of contigs, in the order of vnp-orf, with names that sort otherwise."""
    frames, out = ["F1", "F2", "F3", "R1", "R2", "R3"], []
    counts = {"k141_9": 3, "k141_10": 12, "NODE_2_length_700": 2, "é|x": 2, 'quo"te': 2, "a": 1, "Z": 1}
    counts.update({f"c{i}": 2 for i in range(n)})
    k = 0
    for contig, chunks in counts.items():
        for chunk in range(1, chunks + 1):
            for frame in frames[k % 4: k % 4 + 1 + k % 2]:
                out.append(f"{contig}_chunk_{chunk}{frame}")
            k += 1
            if len(out) >= n:
                return out[:n]
    return out


def write_tables(name, names, s, highest_columns):
    """prediction_results.txt as VirNucPro writes it; the rest by its rules, by pandas."""
    with open(f"{name}.txt", "w") as f:
        f.write("Sequence_ID\tPrediction\tscore1\tscore2\n")
        for i, row in zip(names, s):
            label = "virus" if int(row.argmax()) == 1 else "others"
            f.write("\t".join([i, label, *map(str, row)]) + "\n")
    df = pd.read_csv(f"{name}.txt", sep="\t", quoting=3, dtype={"score1": np.float32, "score2": np.float32})
    df["Modified_ID"] = df["Sequence_ID"].str[:-2]
    top = df.groupby("Modified_ID")[["score1", "score2"]].max().reset_index()
    top["Is_Virus"] = top["score2"] >= top["score1"]
    top = top.rename(columns={"score1": "max_score_0", "score2": "max_score_1"})
    top[["Modified_ID", "Is_Virus"]].to_csv(f"{name}-highest.csv", sep="\t", index=False)
    if highest_columns:
        top[["Modified_ID", "Is_Virus", "max_score_0", "max_score_1"]].to_csv(f"{name}-highest-scores.csv", sep="\t",
                                                                             index=False)


def awkward_scores():
    """Pairs of floats that are hard to print: powers of two and ten, neighbours of them, subnormals, random bits."""
    rng = np.random.default_rng(11)
    v = [0.0, 1.0, 0.5, 1e-4, 1e-5, 1.2e-7, 1e-38, 1.4e-45, 1.17e-40, 0.99999994, 1 / 3, 0.1, 9.9999e-5]
    v += [float(np.nextafter(np.float32(x), np.float32(d))) for x in (1e-4, 1e-3, 0.5, 1e-5) for d in (0, 1)]
    v += [2.0 ** -k for k in range(1, 60, 7)]
    bits = rng.integers(0, 0x3F800000, 60, dtype=np.uint32)
    v = np.concatenate([np.array(v, np.float32), bits.view(np.float32)])
    return v[: len(v) // 2 * 2].reshape(-1, 2)


def write_full(vnp_model):
    """The published width, from weights that vnp-model synthesises; too large to keep, so only the scores are here."""
    with tempfile.TemporaryDirectory() as d:
        subprocess.run([vnp_model, "synth", "-q", "classifier", "--seed", "9", "-o", f"{d}/m"], check=True)
        model = MLPClassifier(FULL_WIDTH, 512, 2)
        model.load_state_dict(safetensors.torch.load_file(f"{d}/m/model.safetensors"), strict=False)
    x = inputs(FULL_ROWS, FULL_WIDTH)
    scores(model, x).astype("<f4").tofile("full-f32.scores")
    scores(model.double(), x.double()).astype("<f8").tofile("full-f64.scores")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--vnp-model", required=True)
    args = p.parse_args()
    model = trained()
    other = write_models(model)
    write_refused(model)
    x = inputs(ROWS, WIDTH)
    s = scores(model, x)
    s.astype("<f4").tofile("small-f32.scores")
    scores(model.double(), x.double()).astype("<f8").tofile("small-f64.scores")
    scores(other.double(), x.double()).astype("<f8").tofile("eps-f64.scores")
    names = ids(ROWS)
    Path("small.ids").write_text("\n".join(names) + "\n")
    write_tables("small", names, s, True)
    a = awkward_scores()
    a.astype("<f4").tofile("awkward.scores")
    names = ids(len(a))
    Path("awkward.ids").write_text("\n".join(names) + "\n")
    write_tables("awkward", names, a, True)
    write_full(args.vnp_model)
    import safetensors as st
    Path("versions.txt").write_text(f"python {platform.python_version()}\ntorch {torch.__version__}\n"
                                    f"numpy {np.__version__}\npandas {pd.__version__}\n"
                                    f"safetensors {st.__version__}\n")


if __name__ == "__main__":
    main()
