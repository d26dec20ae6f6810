"""torch-rechub's DeepFM, and scikit-learn's logistic regression, in an environment of their own: JSON on stdout.

python rechub_deepfm.py FILE: an npz with `codes_` (n, c), each column's from 0 below `sizes` (c,), and `label_` (n,) of
train, check and test; `seed`, `batch`, `epochs`, `patience`, `vector`, `hidden`, `dropout`, `rate`.

The net reads batches that are ready: its own loader makes each row a dict, which takes many times longer than learning
from it. How fast the two are together is told too, measured on the first rows.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import sys
import tempfile
import time
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from torch_rechub.basic.features import SparseFeature
from torch_rechub.models.ranking import DeepFM
from torch_rechub.trainers import CTRTrainer
from torch_rechub.utils.data import DataGenerator

_FEW = 30_000


def main() -> None:
    with np.load(sys.argv[1]) as given:
        told = {name: given[name] for name in given.files}
    torch.set_num_threads(1)
    with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as folder:
        found = {"torch-rechub DeepFM": _net(told, folder), "logistic regression": _line(told)}
    print(json.dumps(found))


def _net(told: dict[str, Any], folder: str) -> dict[str, float]:
    torch.manual_seed(int(told["seed"]))
    features = [SparseFeature(str(at), int(size), int(told["vector"])) for at, size in enumerate(told["sizes"])]
    layers = {"dims": told["hidden"].tolist(), "dropout": float(told["dropout"]), "activation": "relu"}
    model = DeepFM(features, features, layers)
    rates = {"lr": float(told["rate"]), "weight_decay": float(told["decay"])}
    trainer = CTRTrainer(model, optimizer_params=rates, device="cpu", model_path=folder)
    batch, random = int(told["batch"]), np.random.default_rng(int(told["seed"]))
    best, kept, waited, seconds, passes = 0.0, copy.deepcopy(model.state_dict()), 0, 0.0, 0
    while passes < int(told["epochs"]) and waited < int(told["patience"]):
        began = time.perf_counter()
        trainer.train_one_epoch(_ready(told, "train", batch, random), log_interval=1_000_000)
        seconds += time.perf_counter() - began
        passes += 1
        reached = roc_auc_score(told["label_check"], _said(model, told, "check"))
        waited += 1
        if reached > best:
            best, kept, waited = reached, copy.deepcopy(model.state_dict()), 0
    model.load_state_dict(kept)
    said, rows = _said(model, told, "test"), len(told["label_train"])
    return {
        "auc": float(roc_auc_score(told["label_test"], said)),
        "log_loss": float(log_loss(told["label_test"], said)),
        "seconds": seconds,
        "rows_a_second": rows * passes / seconds,
        "rows_a_second_by_its_loader": _by_loader(trainer, told, batch),
    }


def _ready(told: dict[str, Any], part: str, batch: int, random: np.random.Generator) -> Any:
    """Batches in drawn order: (codes by name, label)."""
    order = random.permutation(len(told[f"label_{part}"]))
    codes = torch.from_numpy(told[f"codes_{part}"][order].astype(np.int64))
    label = torch.from_numpy(told[f"label_{part}"][order].astype(np.float32))
    made = []
    for at in range(0, len(order), batch):
        part_of = codes[at : at + batch]
        made.append(({str(j): part_of[:, j] for j in range(codes.shape[1])}, label[at : at + batch]))
    return made


def _said(model: Any, told: dict[str, Any], part: str) -> Any:
    model.eval()
    codes = torch.from_numpy(told[f"codes_{part}"].astype(np.int64))
    with torch.no_grad():
        parts = [model({str(j): some[:, j] for j in range(codes.shape[1])}).reshape(-1) for some in codes.split(8192)]
    model.train()
    return torch.cat(parts).numpy().astype(np.float64)


def _by_loader(trainer: Any, told: dict[str, Any], batch: int) -> float:
    codes, label = told["codes_train"][:_FEW], told["label_train"][:_FEW]
    columns = {str(j): codes[:, j].astype(np.int64) for j in range(codes.shape[1])}
    loader, _, _ = DataGenerator(columns, label).generate_dataloader(
        x_val=columns, y_val=label, x_test=columns, y_test=label, batch_size=batch, num_workers=0
    )
    began = time.perf_counter()
    trainer.train_one_epoch(loader, log_interval=1_000_000)
    return len(label) / (time.perf_counter() - began)


def _line(told: dict[str, Any]) -> dict[str, float]:
    offsets = np.concatenate([[0], np.cumsum(told["sizes"])[:-1]])

    def spread(part: str) -> csr_matrix:
        codes = told[f"codes_{part}"] + offsets
        n, c = codes.shape
        shape = (n, int(told["sizes"].sum()))
        return csr_matrix((np.ones(n * c, np.float32), codes.ravel(), np.arange(0, n * c + 1, c)), shape=shape)

    began = time.perf_counter()
    model = LogisticRegression(max_iter=300).fit(spread("train"), told["label_train"])
    took = time.perf_counter() - began
    said = model.predict_proba(spread("test"))[:, 1]
    return {
        "auc": float(roc_auc_score(told["label_test"], said)),
        "log_loss": float(log_loss(told["label_test"], said)),
        "seconds": took,
        "rows_a_second": 0.0,
    }


if __name__ == "__main__":
    main()
