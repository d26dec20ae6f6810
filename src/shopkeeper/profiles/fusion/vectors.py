"""Item vectors learned from who took what: a truncated singular value decomposition (PureSVD).

Users x items, log(1 + events) in each place, every item's column divided by the root of its length, so that what
everybody buys does not drown the rest. An item's vector is its row of V.

References: Cremonesi, Koren and Turrin, "Performance of recommender algorithms on top-n recommendation tasks",
RecSys 2010.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.lifecycle.spaces import ItemSpace
from shopkeeper.profiles.fusion.inputs import ItemIds

LEAST_USERS = 5
"""An item that fewer have taken has no vector: it would be a picture of these few."""


@dataclass(frozen=True)
class Takings:
    """Who took what: rows of user and item (n,)."""

    user: NDArray[np.int32]
    item: NDArray[np.int32]


def learned_vectors(taken: Takings, shop: ItemIds, dims: int, seed: int) -> ItemSpace:
    """Vectors of `dims` numbers; of little data the last of them are 0, of hardly any no item has a vector."""
    from scipy import sparse
    from scipy.sparse.linalg import svds

    users, u = np.unique(taken.user, return_inverse=True)
    items, i = np.unique(taken.item, return_inverse=True)
    counts = sparse.csr_matrix((np.ones(len(u)), (u, i)), shape=(len(users), len(items)))
    common = np.flatnonzero(np.asarray((counts > 0).sum(axis=0)).ravel() >= LEAST_USERS)
    rank = min(dims, len(users) - 1, len(common) - 1)
    if rank < 1:
        return ItemSpace((), np.empty((0, dims), dtype=np.float32))
    matrix = counts[:, common].log1p().tocsc()
    lengths = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=0)).ravel())
    matrix = matrix @ sparse.diags(1.0 / np.sqrt(lengths))
    start = np.random.default_rng(seed).normal(size=min(matrix.shape))
    _, _, right = svds(matrix, k=rank, v0=start)
    right = right[::-1]
    # The sign of a direction is arbitrary: the largest part of each is made positive.
    right = right * np.sign(right[np.arange(rank), np.abs(right).argmax(axis=1)])[:, None]
    vectors = np.zeros((len(common), dims), dtype=np.float32)
    vectors[:, :rank] = right.T / np.sqrt(lengths)[:, None]
    return ItemSpace(tuple(shop.id(int(items[at])) for at in common), vectors)
