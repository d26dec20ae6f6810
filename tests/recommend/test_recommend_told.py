"""What a ranker is told of the channels is the same where a slate is made and where its training rows are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from recommend_world import NOW, UTC, Hand, World, recall_models, shop_log

from shopkeeper.checks.recall import small_orders
from shopkeeper.core.clock import DAY
from shopkeeper.core.records import RecFilters, RecRequest
from shopkeeper.features.vector import FeatureSet
from shopkeeper.recommend.bound import Binder
from shopkeeper.recommend.candidates import COLUMNS, TOLD, Quota, fuse
from shopkeeper.recommend.channels import Again, Channel, Trending
from shopkeeper.recommend.due import Due
from shopkeeper.recommend.newcomers import New
from shopkeeper.recommend.ranking.asof import answers, candidates_at
from shopkeeper.recommend.ranking.visits import Visit


class Reader:
    feature_names = COLUMNS
    defaults = np.zeros(len(COLUMNS), dtype=np.float32)
    seen: np.ndarray

    def score(self, rows: np.ndarray) -> np.ndarray:
        self.seen = rows
        return -np.arange(len(rows), dtype=np.float32)


@pytest.mark.parametrize("share", [0.95, 0.6, 0.1])
def test_what_may_not_appear_keeps_its_place_in_what_is_told(share: float) -> None:
    random = np.random.default_rng(int(share * 100))
    for ties in (False, True):
        scores = {each.channel: random.random(400).astype(np.float32) for each in TOLD}
        if ties:
            scores = {name: values.round(1) for name, values in scores.items()}
        quotas = [Quota(each.channel, 400) for each in TOLD]
        whole, some = fuse(scores, quotas, None, 400), fuse(scores, quotas, random.random(400) < share, 400)
        place = {item: at for at, item in enumerate(whole.items.tolist())}
        assert 0 < len(some) < len(whole)
        np.testing.assert_array_equal(some.columns(), whole.columns()[[place[item] for item in some.items.tolist()]])


@pytest.mark.parametrize("scenario", ["home", "content", "mail"])
@pytest.mark.parametrize("filters", [None, RecFilters(price_max=5), RecFilters(categories=["g1"])])
def test_a_ranker_reads_the_same_when_it_serves_and_when_it_learns(scenario: str, filters: RecFilters | None) -> None:
    """But for what a slate of new items is not asked: of those it says 0, and so does training."""
    reader = Reader()
    world = World(models=Hand({**recall_models(), "home_ranker": reader}))
    world.shelf.active[[3, 9, 17]] = False
    binder = Binder(world.models, world.shelf.ids)
    compared = 0
    for user in (0, 7, 31):  # the second and third have had all of g1
        request = RecRequest(user_id=f"U{user}", scenario=scenario, n_recommendations=4, filters=filters)
        found = world.service.recommend(request)
        items = [world.items.row(one.item_id) for one in found.recommendations]
        models = {name: bound[0] for name in ("ease", "item_knn", "popularity") if (bound := binder.channel(name))}
        live: dict[str, Channel] = {
            "again": Again(),
            "due": Due(world.state, user),
            "new": New(world.state),
            "trending": Trending(world.state),
        }
        replayed = candidates_at(world.state, {**live, **models}, user, NOW + 1, len(world.shelf))
        rows = dict(zip(replayed.items.tolist(), replayed.columns(), strict=True))
        both = [at for at, item in enumerate(items) if item in rows]
        compared += len(both)
        for at in both:
            assert np.abs(reader.seen - rows[items[at]]).max(axis=1).min() < 1e-5
    assert compared >= 4


def test_an_item_without_events_is_as_new_in_training_as_in_the_shop() -> None:
    shop = shop_log()
    never = len(shop.item_ids) - 1
    made = np.full(len(shop.item_ids), NOW - 400 * DAY)
    made[never] = NOW - DAY
    at = FeatureSet().names
    asked = [Visit(3, int(small_orders().time[-1]) + 1, np.array([0], dtype=np.int32))]

    def freshest(log: object) -> float:
        (row,) = answers(log, shop.orders(), asked, FeatureSet(), UTC)  # type: ignore[arg-type]
        return float(row.values[:, len(at) + COLUMNS.index("recall_new")].max())

    assert freshest(shop) == 0.0  # everything has been there for a hundred days
    assert freshest(replace(shop, made=made)) == 1.0
    made[never] = NOW + DAY
    assert freshest(replace(shop, made=made)) == 0.0
