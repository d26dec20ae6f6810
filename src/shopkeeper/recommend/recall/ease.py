"""EASE: the best linear map from what a user took to what the user takes, in closed form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.protocols import Params as BaseParams
from shopkeeper.core.protocols import Report
from shopkeeper.recommend.recall.beginning import Ask, Beginning, learned
from shopkeeper.recommend.recall.neighbours import Neighbours
from shopkeeper.recommend.recall.training import RecallData


@dataclass(frozen=True)
class LinearModel(Neighbours):
    """Neighbours, and for whoever has taken little yet also what everybody takes."""

    beginning: Beginning | None = None

    def scores(self, items: NDArray[np.int32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
        found = self.plain(items, weights)
        return found if self.beginning is None else self.beginning.added(found, len(items))

    def plain(self, items: NDArray[np.int32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n_items,) what goes with the items, whoever took them."""
        return super().scores(items, weights)

    def save(self, folder: Path) -> None:
        super().save(folder)
        if self.beginning is not None:
            self.beginning.save(folder)

    @classmethod
    def load(cls, folder: Path) -> LinearModel:
        loaded = super().load(folder)
        assert isinstance(loaded, LinearModel)
        beginning = Beginning.load(folder, len(loaded.item_ids))
        return loaded if beginning is None else replace(loaded, beginning=beginning)


class Ease:
    """Ridge regression of each item on all others: B = I - P / diag(P), P = (X'X + l2 I)^-1, diagonal 0.

    X is (users, items), weighted by freshness of the last purchase: on weekly cutoffs of Online Retail that raises
    NDCG@10 of new items by a seventh over X of ones. Of each row of B the k largest weights are kept.

    References: Steck, "Embarrassingly shallow autoencoders for sparse data", WWW 2019.
    """

    name: ClassVar[str] = "ease"
    family: ClassVar[str] = "recall"
    description: ClassVar[str] = "Linear item-item model in closed form (EASE), recent purchases counting more"
    tags: ClassVar[tuple[str, ...]] = ("recall", "linear", "neighbours")
    knows_new_users: ClassVar[bool] = True
    knows_new_items: ClassVar[bool] = False
    model: ClassVar[type[LinearModel]] = LinearModel

    class Params(BaseParams):
        l2: Annotated[float, msgspec.Meta(gt=0, le=1e7, description="Ridge penalty: more smooths more")] = 150.0
        k: Annotated[int, msgspec.Meta(ge=1, le=5000, description="Weights kept for each item")] = 100
        half_life_days: Annotated[
            float, msgspec.Meta(gt=0, le=3650, description="Days after which a purchase counts half")
        ] = 60.0
        max_items: Annotated[
            int,
            msgspec.Meta(ge=2, le=20_000, description="Most bought items that take part (memory: n x n x 16 bytes)"),
        ] = 6000

    def __init__(self, params: Params, seed: int) -> None:
        self.params = params
        self.seed = seed

    def fit(self, data: RecallData, report: Report) -> LinearModel:
        params = self.params
        report(0, 4, message="counting common buyers")
        kept = data.most_bought(params.max_items, params.half_life_days)
        bought = data.orders.matrix(data.now, params.half_life_days)[:, kept].tocsr()
        gram = np.asarray((bought.T @ bought).todense(), dtype=np.float64)
        report(1, 4, message=f"inverting {len(kept)} x {len(kept)}")
        inverse = _inverse(gram, params.l2)
        report(2, 4, message="keeping the largest weights")
        ids = tuple(data.orders.item_ids[i] for i in kept)
        table = _weights(inverse)
        found = Neighbours.from_table(table, ids, params.k, params.half_life_days)
        report(3, 4, message="asking how users began")
        usual = np.asarray(bought.sum(axis=0), dtype=np.float32).ravel() / max(bought.shape[0], 1)
        beginning = learned(data.orders, kept, usual, _without(bought, inverse, found), self.seed)
        return LinearModel(ids, found.start, found.other, found.weight, params.half_life_days, beginning=beginning)


def _inverse(gram: NDArray[np.float64], l2: float) -> NDArray[np.float64]:
    """P of the docstring; `gram` (n, n) is overwritten."""
    if not len(gram):
        return gram
    gram[np.diag_indices(len(gram))] += l2
    return np.linalg.inv(gram).astype(np.float64, copy=False)


def _weights(inverse: NDArray[np.float64]) -> NDArray[np.float32]:
    """B of the docstring. Row i: how much item i speaks for each other item."""
    weights: NDArray[np.float32] = (-inverse / np.diag(inverse)).astype(np.float32)
    np.fill_diagonal(weights, 0)
    return weights


def _without(bought: Any, inverse: NDArray[np.float64], table: Neighbours) -> Ask:
    """The model's own scores, had it not learned from the user who asks: X'X loses x x', so P gains z z' / (1 - x'z),
    z = P x (Sherman and Morrison), and of that only the neighbours of the items taken are needed."""
    diagonal = np.diag(inverse)

    def ask(user: int, items: NDArray[np.int32]) -> NDArray[np.float32]:
        a, b = bought.indptr[user], bought.indptr[user + 1]
        own, x = bought.indices[a:b], bought.data[a:b].astype(np.float64)
        z = x @ inverse[own]
        left = 1.0 - float(x @ z[own])
        scores = np.zeros(len(inverse))
        for item in items.tolist():
            near = table.other[table.start[item] : table.start[item + 1]]
            scores[near] -= (inverse[item, near] + z[item] * z[near] / left) / (diagonal[near] + z[near] ** 2 / left)
        return scores.astype(np.float32)

    return ask
