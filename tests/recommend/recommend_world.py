"""A small shop for tests of recommendation: the one of checks.recall as a log, its models, and a shelf by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from shopkeeper.checks.recall import NOW, USERS, small_orders
from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import StoppedClock
from shopkeeper.core.errors import NotFound
from shopkeeper.core.protocols import VectorSpace, silent
from shopkeeper.core.records import Version
from shopkeeper.features.state import FeatureState
from shopkeeper.recommend.asking import Told
from shopkeeper.recommend.bound import Binder
from shopkeeper.recommend.explore.context import ContextReader
from shopkeeper.recommend.explore.snapshots import Snapshots
from shopkeeper.recommend.explore.stage import Stage
from shopkeeper.recommend.orders import Orders
from shopkeeper.recommend.pipeline import Pipeline
from shopkeeper.recommend.recall.ease import Ease
from shopkeeper.recommend.recall.item_knn import ItemKnn
from shopkeeper.recommend.recall.popularity import Popularity
from shopkeeper.recommend.recall.training import RecallData
from shopkeeper.recommend.service import RecommendService
from shopkeeper.recommend.shoplog import ShopLog
from shopkeeper.stores.vocabulary import Vocabulary

UTC = ZoneInfo("UTC")
TYPES = ("order", "return", "view", "dislike", "cart")


def batch(orders: Orders) -> EventBatch:
    """The order lines as events: two pieces at 3.00 each."""
    rows = [
        (seq, int(user), int(item), -1, 0, 0, int(time), 2.0, 3.0, 6.0, False)
        for seq, (user, item, time) in enumerate(zip(orders.user, orders.item, orders.time, strict=True), 1)
    ]
    return EventBatch.from_rows(rows)


def shop_log(orders: Orders | None = None) -> ShopLog:
    given = small_orders() if orders is None else orders
    return ShopLog(batch(given), given.item_ids, Vocabulary(TYPES))


class Shelf:
    """25 products: odd ones cost 10, even ones 2; groups of eight are categories g0, g1, g2."""

    def __init__(self) -> None:
        self.version = 0
        n = small_orders().n_items
        self.ids = list(small_orders().item_ids)
        self.names = [f"Thing {k}" for k in range(n)]
        self.category: list[str | None] = [f"g{k // 8}" for k in range(n)]
        self.kind = ["product"] * n
        self.attributes: list[dict[str, Any]] = [{} for _ in range(n)]
        self.price = np.array([10.0 if k % 2 else 2.0 for k in range(n)], dtype=np.float32)
        self.active = np.ones(n, dtype=np.bool_)

    def sellable(self) -> np.ndarray:
        return self.active & np.array([kind == "product" for kind in self.kind], dtype=np.bool_)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass
class Held:
    version: Version
    model: Any


class Hand:
    """Models that were handed in: what `lifecycle.serving` is to a running shop."""

    def __init__(self, models: dict[str, Any]) -> None:
        self.held = {name: Held(version(name), model) for name, model in models.items()}

    def peek(self, model: str, _ref: str = "champion", _scope: str = "all") -> Held | None:
        return self.held.get(model)

    def get(self, model: str, _ref: str = "champion", _scope: str = "all") -> Held:
        if model not in self.held:
            raise NotFound(f"no model {model!r}", code="unknown_model")
        return self.held[model]


def version(name: str, number: int = 1) -> Version:
    return Version(model=name, scope="all", version=number, algorithm=name, status="ready")


def recall_models(orders: Orders | None = None) -> dict[str, Any]:
    data = RecallData(small_orders() if orders is None else orders, NOW)
    return {
        "ease": Ease(Ease.Params(l2=5), 1).fit(data, silent),
        "item_knn": ItemKnn(ItemKnn.Params(), 1).fit(data, silent),
        "popularity": Popularity(Popularity.Params(), 1).fit(data, silent),
    }


class PriceRanker:
    """Cheap first: a ranker that anybody can check by hand."""

    feature_names = ("item_price", "recall_fused")
    defaults = np.zeros(2, dtype=np.float32)

    def score(self, rows: np.ndarray) -> np.ndarray:
        return (1.0 / (1.0 + rows[:, 0])).astype(np.float32)


class BrokenRanker(PriceRanker):
    broken = True

    def score(self, rows: np.ndarray) -> np.ndarray:
        if self.broken:
            raise RuntimeError("out of order")
        return super().score(rows)


@dataclass
class World:
    models: Hand = field(default_factory=lambda: Hand(recall_models()))
    shelf: Shelf = field(default_factory=Shelf)
    on_hand: np.ndarray | None = None
    space: VectorSpace | None = None
    allows: Callable[[int], bool] = lambda _: True
    told: Told | None = None
    explores: bool = False

    def __post_init__(self) -> None:
        self.clock = StoppedClock(NOW)
        self.state = FeatureState(UTC, Vocabulary(TYPES))
        self.state.apply(shop_log().events)
        self.users = Vocabulary([f"U{k}" for k in range(USERS)])
        self.items = Vocabulary(self.shelf.ids)
        self.snapshots = Snapshots(self.items.rows)
        self.open()

    def open(self) -> None:
        self.service = RecommendService(
            features=self.state,
            catalog=self.shelf,
            users=self.users,
            items=self.items,
            models=self.models,
            clock=self.clock,
            deadline_ms=60_000,
            on_hand=None if self.on_hand is None else lambda: self.on_hand,
            allows=self.allows,
            space=self.space,
            told=self.told,
            stage=Stage(self.snapshots, ContextReader(self.state)) if self.explores else None,
        )

    def pipeline(self) -> Pipeline:
        return Pipeline(self.state, self.shelf, self.items, Binder(self.models, self.shelf.ids))

    def happens(self, type_: str, user: int, item: int, ago: int = 0) -> None:
        row = (10**6, user, item, -1, TYPES.index(type_), 0, NOW - ago, 1.0, 3.0, 3.0, False)
        self.state.apply(EventBatch.from_rows([row]))

    def bought(self, user: int) -> set[str]:
        return {self.shelf.ids[row] for row in self.state.user_items(user)}


__all__ = ["NOW", "BrokenRanker", "Hand", "PriceRanker", "Shelf", "World", "recall_models", "shop_log"]
