"""Kinds of papers on ACM (HeCo's splits) and artists of users on last.fm (MAGNN's split), by three kinds of layers."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score
from torch import Tensor

from benchmarks.graph_layers import DROP, MODELS, WIDTH, graph_of
from benchmarks.record import SHARED_DATA
from shopkeeper.profiles.graph.hetero import HeteroGraph
from shopkeeper.profiles.graph.schema import Relation

LABELLED = (20, 40, 60)
EPOCHS_ACM, EPOCHS_LASTFM, PATIENCE = 80, 25, 20
RATE, DECAY, RATE_LASTFM = 5e-3, 1e-3, 1e-2
SHARE_OF_TARGETS = 0.2
Found = dict[str, float]


def acm(model: Any, labelled: int, seed: int) -> Found:
    """Macro-F1, micro-F1 and AUC on the test papers, of the epoch with the best macro-F1 on the validation papers."""
    folder = SHARED_DATA / "acm-heco"
    writes, treats = Relation("author", "writes", "paper"), Relation("subject", "of", "paper")
    pa, ps = (np.loadtxt(folder / name, dtype=np.int32) for name in ("pa.txt", "ps.txt"))
    features = {name: _scaled(sparse.load_npz(folder / f"{name[0]}_feat.npz")) for name in ("paper", "author")}
    nodes = {"paper": features["paper"].shape[0], "author": features["author"].shape[0], "subject": int(ps.max()) + 1}
    graph = graph_of(nodes, {writes: (pa[:, 1], pa[:, 0]), treats: (ps[:, 1], ps[:, 0])})
    label = np.load(folder / "labels.npy").astype(np.int64)
    split = {part: np.load(folder / f"{part}_{labelled}.npy").astype(np.int64) for part in ("train", "val", "test")}
    torch.manual_seed(seed)
    net = Labels(model(graph, seed), features, nodes, int(label.max()) + 1)
    net.layers.read(graph)
    target, rows = torch.from_numpy(label), torch.from_numpy(split["train"])

    def loss() -> Tensor:
        return torch.nn.functional.cross_entropy(net()[rows], target[rows])

    def measured(part: str) -> Found:
        chance = torch.softmax(net()[torch.from_numpy(split[part])], 1).numpy()
        truth, said = label[split[part]], chance.argmax(1)
        return {
            "macro-F1": 100 * f1_score(truth, said, average="macro"),
            "micro-F1": 100 * f1_score(truth, said, average="micro"),
            "AUC": 100 * roc_auc_score(truth, chance, multi_class="ovr"),
        }

    return _trained(net, loss, measured, "macro-F1", EPOCHS_ACM, RATE)


class Labels(torch.nn.Module):
    """A linear map of each type's features (a learned vector where there are none); layers; a linear map to labels."""

    def __init__(self, layers: Any, features: dict[str, Tensor], nodes: dict[str, int], labels: int) -> None:
        super().__init__()
        self.layers, self.features = layers, features
        self.maps = torch.nn.ModuleDict(
            {
                name: torch.nn.Linear(features[name].shape[1], WIDTH)
                if name in features
                else torch.nn.Embedding(n, WIDTH)
                for name, n in nodes.items()
            }
        )
        self.out = torch.nn.Linear(WIDTH, labels)

    def forward(self) -> Tensor:
        h = {}
        for name, each in self.maps.items():
            if name in self.features:
                h[name] = each(self.features[name])
            else:
                h[name] = each.weight
        h = {name: torch.nn.functional.dropout(torch.relu(of), DROP, self.training) for name, of in h.items()}
        return self.out(self.layers(h)["paper"])


def lastfm(model: Any, seed: int) -> Found:
    """AUC and AP of the test links against as many pairs that are no link, drawn by the seed."""
    folder = SHARED_DATA / "lastfm-hetero"
    tables = {
        name: pl.read_parquet(folder / f"{name}.parquet").to_numpy().astype(np.int64)
        for name in ("user_artist", "user_user", "artist_tag")
    }
    listens, rows = tables["user_artist"][:, :2] - 1, np.load(folder / "train_val_test_idx.npz")
    friends, tags = tables["user_user"][:, :2] - 1, tables["artist_tag"][:, :2] - 1
    nodes = {
        "user": int(max(listens[:, 0].max(), friends.max())) + 1,
        "artist": int(max(listens[:, 1].max(), tags[:, 0].max())) + 1,
        "tag": int(tags[:, 1].max()) + 1,
    }
    links = {part: listens[rows[f"{part}_idx"]] for part in ("train", "val", "test")}
    random = np.random.default_rng(seed)
    taken = np.sort(listens[:, 0] * nodes["artist"] + listens[:, 1])
    wrong = {part: _others(links[part], taken, nodes, random) for part in ("val", "test")}

    def graph(kept: NDArray[np.int64]) -> HeteroGraph:
        return graph_of(
            nodes,
            {
                Relation("user", "listens", "artist"): (kept[:, 0], kept[:, 1]),
                Relation("user", "friend", "user"): (friends[:, 0], friends[:, 1]),
                Relation("artist", "tagged", "tag"): (tags[:, 0], tags[:, 1]),
            },
        )

    torch.manual_seed(seed)
    everything = graph(links["train"])
    net = Pairs(model(everything, seed), nodes)

    def loss() -> Tensor:
        # Links that are asked for in this step are no messages in it.
        asked = random.random(len(links["train"])) < SHARE_OF_TARGETS
        net.layers.read(graph(links["train"][~asked]))
        good = links["train"][asked]
        both = np.concatenate([good, _others(good, taken, nodes, random)])
        truth = torch.from_numpy(np.repeat([1.0, 0.0], len(good)).astype(np.float32))
        return torch.nn.functional.binary_cross_entropy_with_logits(net(both), truth)

    def measured(part: str) -> Found:
        net.layers.read(everything)
        score = net(np.concatenate([links[part], wrong[part]])).numpy()
        truth = np.repeat([1, 0], len(links[part]))
        return {"AUC": 100 * roc_auc_score(truth, score), "AP": 100 * average_precision_score(truth, score)}

    return _trained(net, loss, measured, "AUC", EPOCHS_LASTFM, RATE_LASTFM)


class Pairs(torch.nn.Module):
    """A learned vector of every node, layers, the inner product of the two ends' last layers and each end's offset."""

    def __init__(self, layers: Any, nodes: dict[str, int]) -> None:
        super().__init__()
        self.layers = layers
        self.start = torch.nn.ParameterDict({name: torch.randn(n, WIDTH) * 0.1 for name, n in nodes.items()})
        self.ends = torch.nn.ModuleDict({name: torch.nn.Linear(WIDTH, WIDTH + 1) for name in ("user", "artist")})

    def forward(self, pairs: NDArray[np.int64]) -> Tensor:
        last = self.layers({name: torch.nn.functional.dropout(h, 0.1, self.training) for name, h in self.start.items()})
        user, artist = (
            self.ends[name](last[name])[torch.from_numpy(pairs[:, at])] for at, name in enumerate(("user", "artist"))
        )
        return (user[:, 1:] * artist[:, 1:]).sum(1) / WIDTH**0.5 + user[:, 0] + artist[:, 0]


def _trained(
    net: torch.nn.Module,
    loss: Callable[[], Tensor],
    measured: Callable[[str], Found],
    by: str,
    epochs: int,
    rate: float,
) -> Found:
    """The same for every model: Adam, the best validation epoch, stopped after PATIENCE without a better one."""
    adam = torch.optim.Adam(net.parameters(), lr=rate, weight_decay=DECAY if by != "AUC" else 0.0)
    best, at, kept = -1.0, 0, copy.deepcopy(net.state_dict())
    began = time.process_time()
    for epoch in range(epochs):
        net.train()
        adam.zero_grad()
        loss().backward()
        adam.step()
        net.eval()
        with torch.no_grad():
            now = measured("val")[by]
        if now > best:
            best, at, kept = now, epoch, copy.deepcopy(net.state_dict())
        if epoch - at >= PATIENCE:
            break
    seconds = time.process_time() - began
    net.load_state_dict(kept)
    with torch.no_grad():
        return {**measured("test"), "seconds": seconds}


def _scaled(features: sparse.spmatrix) -> Tensor:
    """Rows that sum to one, as HeCo prepares them."""
    rows = features.toarray().astype(np.float32)
    return torch.from_numpy(rows / np.maximum(rows.sum(axis=1, keepdims=True), 1e-12))


def _others(
    links: NDArray[np.int64], taken: NDArray[np.int64], nodes: dict[str, int], random: np.random.Generator
) -> NDArray[np.int64]:
    """As many pairs that are no link, both ends drawn evenly."""
    found = np.empty((0, 2), dtype=np.int64)
    while len(found) < len(links):
        pairs = np.stack([random.integers(0, nodes[name], len(links)) for name in ("user", "artist")], axis=1)
        found = np.concatenate([found, pairs[~np.isin(pairs[:, 0] * nodes["artist"] + pairs[:, 1], taken)]])
    return found[: len(links)]


__all__ = ["LABELLED", "MODELS", "acm", "lastfm"]
