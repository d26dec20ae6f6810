"""Two public tasks: kinds of papers on ACM (HeCo's splits) and artists of users on last.fm (MAGNN's split)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score
from torch import Tensor

from benchmarks.graph_layers import Stack, graph_of
from benchmarks.record import SHARED_DATA
from shopkeeper.profiles.graph.hetero import HeteroGraph
from shopkeeper.profiles.graph.schema import Relation

Found = dict[str, float]
FOLDS = 5
"""Links that are asked for in a step are no messages in it: each step asks for one fold and tells the others."""


@dataclass(frozen=True)
class Budget:
    """The same for every kind of layer. `rates` x `drops` is the grid, each tried for `trial` epochs; measured on
    validation every `every` epochs, stopped after `patience` epochs without a better measure."""

    trial: int
    epochs: int
    patience: int
    every: int
    decay: float
    rates: tuple[float, ...]
    drops: tuple[float, ...]


class Papers:
    """ACM: papers and authors with their words, subjects with a learned vector; `labelled` papers of each class."""

    by = "macro-F1"
    budget = Budget(trial=30, epochs=30, patience=10, every=2, decay=1e-3, rates=(5e-3, 2e-2), drops=(0.2, 0.5))

    def __init__(self, labelled: int) -> None:
        folder = SHARED_DATA / "acm-heco"
        self.labelled, (self.graph, self.features) = labelled, _acm()
        label = np.load(folder / "labels.npy").astype(np.int64)
        self.rows = {part: np.load(folder / f"{part}_{labelled}.npy").astype(np.int64) for part in ("train", "val")}
        self.rows["test"] = np.load(folder / f"test_{labelled}.npy").astype(np.int64)
        self.label = label

    def net(self, kind: Any, width: int, drop: float, seed: int) -> Labels:
        return Labels(
            Stack(kind, self.graph, width, drop, seed), self.features, self.graph, width, 1 + self.label.max()
        )

    def edges(self, kind: Any) -> Any:
        return kind.edges(self.graph)

    def loss(self, net: torch.nn.Module, edges: Any, _epoch: int, _random: np.random.Generator) -> Tensor:
        rows = self.rows["train"]
        return torch.nn.functional.cross_entropy(net(edges)[rows], torch.from_numpy(self.label[rows]))

    def measured(self, net: torch.nn.Module, edges: Any, part: str) -> Found:
        rows = self.rows[part]
        chance = torch.softmax(net(edges)[rows], 1).numpy()
        truth, said = self.label[rows], chance.argmax(1)
        return {
            "macro-F1": 100 * f1_score(truth, said, average="macro"),
            "micro-F1": 100 * f1_score(truth, said, average="micro"),
            "AUC": 100 * roc_auc_score(truth, chance, multi_class="ovr"),
        }


@cache
def _acm() -> tuple[HeteroGraph, dict[str, Tensor]]:
    folder = SHARED_DATA / "acm-heco"
    pa, ps = (np.loadtxt(folder / name, dtype=np.int64) for name in ("pa.txt", "ps.txt"))
    features = {name: _scaled(sparse.load_npz(folder / f"{name[0]}_feat.npz")) for name in ("paper", "author")}
    nodes = {"paper": len(features["paper"]), "author": len(features["author"]), "subject": int(ps[:, 1].max()) + 1}
    writes, treats = Relation("author", "writes", "paper"), Relation("subject", "of", "paper")
    return graph_of(nodes, {writes: (pa[:, 1], pa[:, 0]), treats: (ps[:, 1], ps[:, 0])}), features


def _scaled(features: sparse.spmatrix) -> Tensor:
    """Rows of length 1."""
    rows = features.toarray().astype(np.float32)
    return torch.from_numpy(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))


class Labels(torch.nn.Module):
    """A linear map of each type's features (a learned vector where there are none); layers; a linear map to labels."""

    def __init__(self, layers: Stack, features: dict[str, Tensor], graph: HeteroGraph, width: int, labels: int) -> None:
        super().__init__()
        self.layers, self.features = layers, features
        self.maps = torch.nn.ModuleDict(
            {name: torch.nn.Linear(of.shape[1], width, bias=False) for name, of in features.items()}
        )
        self.start = torch.nn.ParameterDict(
            {name: torch.randn(n, width) for name, n in graph.nodes.items() if name not in features}
        )
        self.out = torch.nn.Linear(width, int(labels))

    def forward(self, edges: Any) -> Tensor:
        mapped = {name: each(self.features[name]) for name, each in self.maps.items()}
        return self.out(self.layers({**mapped, **self.start}, edges)["paper"])


class Artists:
    """last.fm: who listens to whom, beside friends and tags; learned vectors only. Validation and test: MAGNN's links
    against as many pairs that are no link, both ends drawn evenly, the same for all models."""

    by = "AUC"
    budget = Budget(trial=6, epochs=24, patience=24, every=6, decay=0.0, rates=(2e-2, 6e-2), drops=(0.1, 0.4))

    def __init__(self) -> None:
        folder = SHARED_DATA / "lastfm-hetero"
        listens, self.friends, self.tags = (
            pl.read_parquet(folder / f"{name}.parquet").to_numpy().astype(np.int64)[:, :2] - 1
            for name in ("user_artist", "user_user", "artist_tag")
        )
        self.nodes = {
            "user": int(max(listens[:, 0].max(), self.friends.max())) + 1,
            "artist": int(max(listens[:, 1].max(), self.tags[:, 0].max())) + 1,
            "tag": int(self.tags[:, 1].max()) + 1,
        }
        rows, random = np.load(folder / "train_val_test_idx.npz"), np.random.default_rng(1)
        self.links = {part: listens[rows[f"{part}_idx"]] for part in ("train", "val", "test")}
        self.taken = np.sort(listens[:, 0] * self.nodes["artist"] + listens[:, 1])
        self.wrong = {part: self._others(len(self.links[part]), random) for part in ("val", "test")}
        fold = random.integers(0, FOLDS, len(self.links["train"]))
        self.asked = [self.links["train"][fold == at] for at in range(FOLDS)]
        self.graphs = [self._graph(self.links["train"][fold != at]) for at in range(FOLDS)]
        self.graph = self._graph(self.links["train"])

    def net(self, kind: Any, width: int, drop: float, seed: int) -> Pairs:
        return Pairs(Stack(kind, self.graph, width, drop, seed), self.nodes, width)

    def edges(self, kind: Any) -> Any:
        return [kind.edges(graph) for graph in (*self.graphs, self.graph)]

    def loss(self, net: torch.nn.Module, edges: Any, epoch: int, random: np.random.Generator) -> Tensor:
        good = self.asked[epoch % FOLDS]
        both = np.concatenate([good, self._others(len(good), random)])
        truth = torch.from_numpy(np.repeat([1.0, 0.0], len(good)).astype(np.float32))
        return torch.nn.functional.binary_cross_entropy_with_logits(net(edges[epoch % FOLDS], both), truth)

    def measured(self, net: torch.nn.Module, edges: Any, part: str) -> Found:
        return self._found(net(edges[-1], self._both(part)).numpy(), part)

    def popular(self) -> Found:
        """How many people listen to the artist, and nothing else."""
        heard = np.bincount(self.links["train"][:, 1], minlength=self.nodes["artist"])
        return self._found(heard[self._both("test")[:, 1]].astype(np.float32), "test")

    def _both(self, part: str) -> NDArray[np.int64]:
        return np.concatenate([self.links[part], self.wrong[part]])

    def _found(self, score: NDArray[np.float32], part: str) -> Found:
        truth = np.repeat([1, 0], len(self.links[part]))
        return {"AUC": 100 * roc_auc_score(truth, score), "AP": 100 * average_precision_score(truth, score)}

    def _graph(self, kept: NDArray[np.int64]) -> HeteroGraph:
        return graph_of(
            self.nodes,
            {
                Relation("user", "listens", "artist"): (kept[:, 0], kept[:, 1]),
                Relation("user", "friend", "user"): (self.friends[:, 0], self.friends[:, 1]),
                Relation("artist", "tagged", "tag"): (self.tags[:, 0], self.tags[:, 1]),
            },
        )

    def _others(self, n: int, random: np.random.Generator) -> NDArray[np.int64]:
        found = np.empty((0, 2), dtype=np.int64)
        while len(found) < n:
            pairs = np.stack([random.integers(0, self.nodes[name], n) for name in ("user", "artist")], axis=1)
            found = np.concatenate(
                [found, pairs[~np.isin(pairs[:, 0] * self.nodes["artist"] + pairs[:, 1], self.taken)]]
            )
        return found[:n]


class Pairs(torch.nn.Module):
    """A learned vector of every node, layers, the inner product of the two ends' last layers and each end's offset."""

    def __init__(self, layers: Stack, nodes: dict[str, int], width: int) -> None:
        super().__init__()
        self.layers = layers
        self.start = torch.nn.ParameterDict({name: torch.randn(n, width) * 0.1 for name, n in nodes.items()})
        self.ends = torch.nn.ModuleDict({name: torch.nn.Linear(width, width + 1) for name in ("user", "artist")})

    def forward(self, edges: Any, pairs: NDArray[np.int64]) -> Tensor:
        last = self.layers(self.start, edges)
        user, artist = (
            self.ends[name](last[name])[torch.from_numpy(pairs[:, at])] for at, name in enumerate(("user", "artist"))
        )
        return (user[:, 1:] * artist[:, 1:]).sum(1) / user.shape[1] ** 0.5 + user[:, 0] + artist[:, 0]
