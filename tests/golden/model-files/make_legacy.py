#!/usr/bin/env python3
"""Writes the torch files that make.py made once more, in the form that torch had before version 1.6. Run in this folder.
The lines of expected.tsv for them are those of the files they were made from."""
import argparse, shutil
from pathlib import Path

import torch

torch.serialization.add_safe_globals([argparse.Namespace])
OLD = {"_use_new_zipfile_serialization": False}
torch.save(torch.load("fair-esm.pt", weights_only=True), "fair-esm-legacy.pt", **OLD)
Path("hf-bin-legacy").mkdir(exist_ok=True)
torch.save(torch.load("hf-bin/pytorch_model.bin", weights_only=True), "hf-bin-legacy/pytorch_model.bin", **OLD)
shutil.copy("hf-bin/config.json", "hf-bin-legacy")

lines = [l for l in Path("expected.tsv").read_text().splitlines() if "-legacy" not in l]
values = dict(l.split("\t") for l in lines)
lines += [f"fair-esm-legacy.pt\t{values['fair-esm.pt']}", f"hf-bin-legacy\t{values['hf-bin']}"]
Path("expected.tsv").write_text("\n".join(lines) + "\n")
