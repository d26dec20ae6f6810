"""Item-kNN: items are alike when the same users buy them (cosine with shrinkage)."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec
import numpy as np

from shopkeeper.core.protocols import Params as BaseParams
from shopkeeper.core.protocols import Report
from shopkeeper.recommend.recall.neighbours import Neighbours
from shopkeeper.recommend.recall.training import RecallData


class ItemKnn:
    """Cosine of the items' buyer columns, shrunk towards 0 where few buyers speak; the k nearest are kept.

    Purchases are weighted by freshness, in training and of the user who asks.

    References: Sarwar et al., "Item-based collaborative filtering recommendation algorithms", 2001; Ferrari Dacrema et
    al., "Are we really making much progress?", 2019 (why it must stand beside every newer model).
    """

    name: ClassVar[str] = "item_knn"
    family: ClassVar[str] = "recall"
    description: ClassVar[str] = "Items that the same customers bought: cosine with shrinkage, k nearest"
    tags: ClassVar[tuple[str, ...]] = ("recall", "baseline", "neighbours")
    knows_new_users: ClassVar[bool] = True
    knows_new_items: ClassVar[bool] = False
    model: ClassVar[type[Neighbours]] = Neighbours

    class Params(BaseParams):
        k: Annotated[int, msgspec.Meta(ge=1, le=1000, description="Neighbours kept for each item")] = 50
        shrink: Annotated[
            float, msgspec.Meta(ge=0, le=10_000, description="Added to the denominator: doubts small counts")
        ] = 10.0
        half_life_days: Annotated[
            float, msgspec.Meta(gt=0, le=3650, description="Days after which a purchase counts half")
        ] = 60.0
        max_items: Annotated[
            int, msgspec.Meta(ge=2, le=50_000, description="Most bought items that take part (memory: n x n x 4 bytes)")
        ] = 10_000

    def __init__(self, params: Params, seed: int) -> None:
        self.params = params
        self.seed = seed

    def fit(self, data: RecallData, report: Report) -> Neighbours:
        params = self.params
        report(0, 2, message="counting common buyers")
        kept = data.most_bought(params.max_items, params.half_life_days)
        bought = data.orders.matrix(data.now, params.half_life_days)[:, kept]
        common = np.asarray((bought.T @ bought).todense(), dtype=np.float32)
        length = np.sqrt(np.diag(common))
        report(1, 2, message="keeping the nearest")
        common /= np.maximum(np.outer(length, length) + params.shrink, 1e-12)
        np.fill_diagonal(common, 0)
        ids = tuple(data.orders.item_ids[i] for i in kept)
        return Neighbours.from_table(common, ids, params.k, params.half_life_days)
