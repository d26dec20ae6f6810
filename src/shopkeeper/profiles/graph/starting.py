"""Where a training begins: a transformer that is nearly linear, and vectors of items from who took what.

At the start values and messages pass unchanged (of small numbers gelu is about half the number, and what was heard
counts half), heads are the identity, and an item's learned vector is its place in a truncated singular value
decomposition of the past. A user's vector then is about the mean of what was taken, which ranks as item-kNN would, and
a training of a few dozen steps learns from there.

References: Halko, Martinsson and Tropp, "Finding structure with randomness", SIAM Review 2011 (the decomposition).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.profiles.graph.hetero import HeteroGraph
from shopkeeper.profiles.graph.targets import target_relations
from shopkeeper.profiles.graph.weights import Floats

SIZE = 0.2
"""The spread of a learned number at the start: so small that gelu is nearly linear."""
_NOISE = 0.02
_ROUNDS = 4
_SPARE = 8


def nearly_linear(numbers: dict[str, Floats], random: np.random.Generator) -> dict[str, Floats]:
    """The numbers of `parameters.initial`, of which values, outs and heads let pass what they are given."""
    made = dict(numbers)
    for name, array in numbers.items():
        what = name.rpartition(".")[2]
        if what in ("value", "out") or (what == "weight" and array.shape[0] == array.shape[1]):
            strength = 4.0 if what == "out" else 1.0
            noise = _NOISE * random.standard_normal(array.shape)
            made[name] = (strength * np.eye(len(array)) + noise).astype(np.float32)
        elif what == "time":
            made[name] = (SIZE * array).astype(np.float32)
    return made


def takers(graph: HeteroGraph, kind: str) -> Any:
    """Who took which item of a kind, scipy CSR (users, items) of ones, from all edges of the graph."""
    from scipy.sparse import csr_matrix

    shape = (graph.nodes["user"], graph.nodes[kind])
    total = csr_matrix(shape, dtype=np.float32)
    for relation in target_relations(graph.schema):
        if relation.target == kind:
            edges = graph.edges[relation.reverse]
            total = total + csr_matrix((np.ones(len(edges), np.float32), edges.source, edges.indptr), shape=shape)
    total.sum_duplicates()
    total.data[:] = 1.0
    return total


def spectral(taken: Any, width: int, seed: int) -> Floats:
    """Places of the items, float32 (items, width), with a spread of `SIZE`; directions that the data do not have are
    zero. `taken` is divided by the roots of users' and items' degrees, so that neither drowns the others."""
    from scipy import sparse

    users, items = taken.shape
    rank = min(width, users, items)
    found = np.zeros((items, width), dtype=np.float32)
    if not taken.nnz:
        return found
    scaled = sparse.diags(_root(taken.sum(axis=1))) @ taken @ sparse.diags(_root(taken.sum(axis=0)))
    scaled = scaled.tocsr().astype(np.float32)
    random = np.random.default_rng(seed)
    basis = random.standard_normal((items, min(rank + _SPARE, items))).astype(np.float32)
    for _ in range(_ROUNDS):
        basis, _ = np.linalg.qr(scaled.T @ (scaled @ basis))
    small = scaled @ basis
    _, size, right = np.linalg.svd(small, full_matrices=False)
    rank = min(rank, len(size))
    places = (basis @ right.T)[:, :rank] * np.sqrt(size[:rank])
    found[:, :rank] = places * (SIZE / max(float(places.std()), 1e-9))
    return found


def _root(sums: Any) -> NDArray[np.float32]:
    return np.asarray(1.0 / np.sqrt(np.asarray(sums, dtype=np.float32).ravel() + 1.0))
