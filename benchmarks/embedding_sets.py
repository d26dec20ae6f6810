"""Public graphs, baskets and sessions for vectors, how they are split, and what is measured with plain means."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.record import SHARED_DATA
from shopkeeper.quality.classification import auc
from shopkeeper.recommend.embedding.edges import Edges
from shopkeeper.recommend.orders import Orders

Pairs = NDArray[np.int64]


@dataclass(frozen=True)
class LabelledGraph:
    """Undirected edges (m, 2) between n nodes, each once, and which classes each node has, bool (n, classes)."""

    name: str
    n: int
    edges: Pairs
    labels: NDArray[np.bool_]


@dataclass(frozen=True)
class Sessions:
    """Sequences of item numbers to learn from, and tests: what came before, and the next item."""

    name: str
    train: list[list[int]]
    before: list[list[int]]
    target: NDArray[np.int64]


def blogcatalog() -> LabelledGraph:
    from scipy.io import loadmat

    found = loadmat(SHARED_DATA / "blogcatalog" / "blogcatalog.mat")
    net = found["network"].tocoo()
    labels = np.asarray(found["group"].todense()) > 0
    return LabelledGraph("BlogCatalog", net.shape[0], _once(np.stack([net.row, net.col], axis=1)), labels)


def wikipedia() -> LabelledGraph:
    folder = SHARED_DATA / "wikipedia-pos"
    pairs = np.loadtxt(folder / "wikipedia.ungraph", dtype=np.int64)
    classes = [
        np.array(line.split(), dtype=np.int64) for line in (folder / "wikipedia.cmty").read_text().splitlines() if line
    ]
    names = np.unique(pairs)
    edges = _once(np.searchsorted(names, pairs))
    labels = np.zeros((len(names), len(classes)), dtype=np.bool_)
    for at, nodes in enumerate(classes):
        nodes = nodes[np.isin(nodes, names)]
        labels[np.searchsorted(names, nodes), at] = True
    return LabelledGraph("Wikipedia POS", len(names), edges, labels)


def facebook() -> tuple[int, Pairs]:
    with gzip.open(SHARED_DATA / "facebook-ego" / "facebook_combined.txt.gz", "rt") as file:
        edges = _once(np.loadtxt(file, dtype=np.int64))
    return int(edges.max()) + 1, edges


def sessions(name: str) -> Sessions:
    """`diginetica` or `retailrocket`."""
    folder = SHARED_DATA / name
    train = pl.read_parquet(folder / "train_sessions.parquet")["items"].to_list()
    test = pl.read_parquet(folder / "test.parquet")
    return Sessions(name, train, test["items"].to_list(), test["target"].to_numpy().astype(np.int64))


def tuned_on(found: Sessions) -> Sessions:
    """For choosing settings: the last tenth of the sessions to learn from are the tests, by their last item."""
    cut = len(found.train) * 9 // 10
    later = [each for each in found.train[cut:] if len(each) > 1]
    target = np.array([each[-1] for each in later], dtype=np.int64)
    return Sessions(found.name, found.train[:cut], [each[:-1] for each in later], target)


def accounts(n: int, edges: Pairs) -> Edges:
    """As the algorithm gets them: every node is an account."""
    everybody = np.ones(n, dtype=np.bool_)
    ids = tuple(map(str, range(n)))
    return Edges(ids, edges[:, 0].astype(np.int32), edges[:, 1].astype(np.int32), None, everybody, everybody)


def halved(n: int, edges: Pairs, seed: int) -> tuple[Pairs, Pairs]:
    """(edges that stay, half of them that go), so that whoever could be reached before still can."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import minimum_spanning_tree

    random = np.random.default_rng(seed)
    drawn = random.random(len(edges)) + 0.5
    tree = minimum_spanning_tree(csr_matrix((drawn, (edges[:, 0], edges[:, 1])), shape=(n, n))).tocoo()
    needed = np.isin(edges[:, 0] * n + edges[:, 1], tree.row.astype(np.int64) * n + tree.col)
    free = random.permutation(np.flatnonzero(~needed))
    gone = np.zeros(len(edges), dtype=np.bool_)
    gone[free[: len(edges) // 2]] = True
    return edges[~gone], edges[gone]


def unlinked(n: int, edges: Pairs, many: int, seed: int) -> Pairs:
    """So many pairs of different nodes without an edge, each once."""
    random = np.random.default_rng(seed)
    known = set((edges[:, 0] * n + edges[:, 1]).tolist())
    found: dict[int, None] = {}
    while len(found) < many:
        a, b = np.sort(random.integers(0, n, (2, many)), axis=0)
        for key in (a * n + b)[a != b].tolist():
            if key not in known and len(found) < many:
                found[key] = None
    keys = np.array(list(found))
    return np.stack([keys // n, keys % n], axis=1)


def logistic(x: NDArray[Any], y: NDArray[np.bool_], strength: float) -> NDArray[np.float64]:
    """One-vs-rest logistic regression, all classes at once: (d + 1, classes), the last row the offsets, which are not
    held back. Minimises sum of log-losses + |w|^2 / (2 strength)."""
    from scipy.optimize import minimize

    x = np.ascontiguousarray(x, dtype=np.float64)
    sign = np.where(y, 1.0, -1.0)
    shape = (x.shape[1] + 1, y.shape[1])

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(shape)
        margin = sign * (x @ weights[:-1] + weights[-1])
        value = np.logaddexp(0, -margin).sum() + (weights[:-1] ** 2).sum() / (2 * strength)
        pull = -sign / (1 + np.exp(np.minimum(margin, 500)))
        return float(value), np.vstack([x.T @ pull + weights[:-1] / strength, pull.sum(axis=0)]).ravel()

    found = minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    weights: NDArray[np.float64] = found.x.reshape(shape)
    return weights


def told(x: NDArray[Any], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    scores: NDArray[np.float64] = x.astype(np.float64) @ weights[:-1] + weights[-1]
    return scores


def f1(scores: NDArray[Any], labels: NDArray[np.bool_]) -> tuple[float, float]:
    """(macro, micro) F1 where of each node as many classes are told as it has, the best ones."""
    rank = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)
    said = rank < labels.sum(axis=1, keepdims=True)
    right, given, wanted = (each.sum(axis=0) for each in (said & labels, said, labels))
    each = 2 * right / np.maximum(given + wanted, 1)
    return float(each.mean()), float(2 * right.sum() / (given.sum() + wanted.sum()))


def classified(
    vectors: NDArray[np.float32], labels: NDArray[np.bool_], seed: int, strength: float, *, tuning: bool = False
) -> tuple[float, float]:
    """F1 of the half of the labelled nodes that the regression did not see; `tuning`: of a fifth of the other half."""
    random = np.random.default_rng(seed)
    nodes = random.permutation(np.flatnonzero(labels.any(axis=1)))
    learned, asked = np.split(nodes, [len(nodes) // 2])
    if tuning:
        learned, asked = np.split(learned, [len(learned) * 4 // 5])
    weights = logistic(vectors[learned], labels[learned], strength)
    return f1(told(vectors[asked], weights), labels[asked])


def hadamard(vectors: NDArray[np.float32], pairs: Pairs) -> NDArray[np.float32]:
    product: NDArray[np.float32] = vectors[pairs[:, 0]] * vectors[pairs[:, 1]]
    return product


def link_auc(right: NDArray[Any], wrong: NDArray[Any]) -> float:
    score = np.concatenate([right, wrong]).astype(np.float64)
    return auc(np.concatenate([np.ones(len(right)), np.zeros(len(wrong))]), score)


def shared_neighbours(n: int, edges: Pairs, pairs: Pairs) -> NDArray[np.float64]:
    """How many neighbours two nodes have in common."""
    from scipy.sparse import csr_matrix

    ones = np.ones(2 * len(edges), dtype=np.float32)
    both = np.concatenate([edges, edges[:, ::-1]])
    net = csr_matrix((ones, (both[:, 0], both[:, 1])), shape=(n, n))
    common: NDArray[np.float64] = np.asarray(net[pairs[:, 0]].multiply(net[pairs[:, 1]]).sum(axis=1)).ravel()
    return common


def ranked(scores: Iterable[NDArray[Any]], target: NDArray[np.int64], k: int = 20) -> tuple[float, float]:
    """(share of targets among the first k, mean of 1 / place) over blocks of scores (b, n); ties count against."""
    places = []
    at = 0
    for block in scores:
        wanted = target[at : at + len(block)]
        own = block[np.arange(len(block)), wanted]
        places.append((block >= own[:, None]).sum(axis=1))
        at += len(block)
    place = np.concatenate(places)
    return float((place <= k).mean()), float(np.where(place <= k, 1.0 / place, 0).mean())


def _once(pairs: NDArray[Any]) -> Pairs:
    """Each undirected pair once, the smaller end first, none with itself."""
    sides = np.sort(pairs.astype(np.int64), axis=1)
    return np.unique(sides[sides[:, 0] != sides[:, 1]], axis=0)


def retail() -> Orders:
    """Lines of known customers of UCI Online Retail that were neither cancelled nor returned."""
    lines = pl.read_parquet(SHARED_DATA / "online-retail" / "online_retail.parquet")
    lines = lines.filter(
        pl.col("CustomerID").is_not_null()
        & (pl.col("Quantity") > 0)
        & ~pl.col("InvoiceNo").cast(pl.String).str.starts_with("C")
    ).sort("InvoiceDate", maintain_order=True)
    users, items = (lines[name].cast(pl.String).to_numpy() for name in ("CustomerID", "StockCode"))
    ids, item = np.unique(items, return_inverse=True)
    user = np.unique(users, return_inverse=True)[1]
    time = lines["InvoiceDate"].cast(pl.Datetime("us")).cast(pl.Int64).to_numpy()
    return Orders(user.astype(np.int32), item.astype(np.int32), time, tuple(ids.tolist()))
