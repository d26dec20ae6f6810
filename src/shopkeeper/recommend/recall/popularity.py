"""Popularity: how many users bought an item, recent buyers counting more. The baseline, and the cold user's slate."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.protocols import Params as BaseParams
from shopkeeper.core.protocols import Report
from shopkeeper.recommend.orders import Orders
from shopkeeper.recommend.recall.training import RecallData

_ARRAYS = "popularity.npz"
_IDS = "items.json"


@dataclass(frozen=True)
class PopularityModel:
    """`popularity` float32 (n_items,): buyers, each weighted by how fresh the purchase was at training."""

    item_ids: tuple[str, ...]
    popularity: NDArray[np.float32]
    half_life_days: float | None = None
    feature_names: tuple[str, ...] = ()
    for_everybody: ClassVar[bool] = True

    def scores(self, _items: NDArray[np.int32], _weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same for everybody."""
        return self.popularity.copy()

    def because(
        self, _items: NDArray[np.int32], _weights: NDArray[np.float32], wanted: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        return np.full(len(wanted), -1, dtype=np.int32)

    def save(self, folder: Path) -> None:
        np.savez(folder / _ARRAYS, popularity=self.popularity)
        (folder / _IDS).write_text(json.dumps(list(self.item_ids)), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> PopularityModel:
        with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
            popularity = arrays["popularity"]
        return cls(tuple(json.loads((folder / _IDS).read_text(encoding="utf-8"))), popularity)


class Popularity:
    """Distinct buyers of each item, weighted by 0.5 ** (days since the purchase / half life)."""

    name: ClassVar[str] = "popularity"
    family: ClassVar[str] = "recall"
    description: ClassVar[str] = "Distinct buyers, recent ones counting more; the same list for everybody"
    tags: ClassVar[tuple[str, ...]] = ("recall", "baseline", "cold-start")
    knows_new_users: ClassVar[bool] = True
    knows_new_items: ClassVar[bool] = False
    model: ClassVar[type[PopularityModel]] = PopularityModel

    class Params(BaseParams):
        half_life_days: Annotated[
            float, msgspec.Meta(gt=0, le=3650, description="Days after which a purchase counts half")
        ] = 14.0

    def __init__(self, params: Params, seed: int) -> None:
        self.params = params
        self.seed = seed

    def fit(self, data: RecallData, report: Report) -> PopularityModel:
        report(0, 1, message="counting buyers")
        return count(data.orders, data.now, self.params.half_life_days)


def count(orders: Orders, now: int, half_life_days: float | None) -> PopularityModel:
    """Popularity of all items at `now`."""
    weights = np.asarray(orders.matrix(now, half_life_days).sum(axis=0), dtype=np.float32).ravel()
    return PopularityModel(orders.item_ids, weights)
