"""What a ranker reads: the columns that a training replays, in the ranker's own order."""

from __future__ import annotations

import numpy as np
import pytest
from recommend_world import TYPES, UTC, batch

from shopkeeper.checks.recall import NOW, small_orders
from shopkeeper.features.base import Ask
from shopkeeper.features.registry import standard
from shopkeeper.features.state import FeatureState
from shopkeeper.features.vector import FeatureSet
from shopkeeper.recommend.bound import BoundRanker
from shopkeeper.recommend.candidates import COLUMNS, Quota, fuse
from shopkeeper.stores.vocabulary import Vocabulary


class Reader:
    """A ranker that is only asked what it wants to read."""

    def __init__(self, names: list[str]) -> None:
        self.feature_names = tuple(names)
        self.defaults = np.zeros(len(names), dtype=np.float32)


@pytest.mark.parametrize("order", ["as trained", "shuffled", "some", "features alone", "recall alone"])
def test_rows_are_the_features_and_what_recall_says(order: str) -> None:
    orders = small_orders()
    state = FeatureState(UTC, Vocabulary(TYPES))
    state.apply(batch(orders))
    random = np.random.default_rng(1)
    scores = {name: random.random(orders.n_items).astype(np.float32) for name in ("ease", "again", "trending", "als")}
    found = fuse(scores, (Quota("ease", 9), Quota("again", 6), Quota("als", 5)), None, 12)
    online = list(standard())
    names = {
        "as trained": [*online, *COLUMNS],
        "shuffled": random.permutation([*online, *COLUMNS]).tolist(),
        "some": ["recall_fused", online[3], "recall_ease", online[0], online[7]],
        "features alone": online,
        "recall alone": ["recall_trending", "recall_fused", "recall_popularity"],
    }[order]
    for user in (0, 3, -1):
        ask = Ask.live(user, NOW, found.items, state)
        rows = BoundRanker(Reader(names)).rows(ask, found)
        assert rows.shape == (len(found), len(names))
        assert rows.dtype == np.float32
        fresh = Ask.live(user, NOW, found.items, state)
        beside = dict(zip(online, FeatureSet(online).matrix(fresh).T, strict=True))
        beside |= dict(zip(COLUMNS, found.columns().T, strict=True))
        for name, column in zip(names, rows.T, strict=True):
            assert column.tolist() == beside[name].tolist(), name
