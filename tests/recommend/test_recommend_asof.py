"""Training rows as of their moment: what happens at or after a visit must not show in its row."""

from dataclasses import replace

import numpy as np
import pytest
from recommend_world import UTC, shop_log

from shopkeeper.checks.recall import small_orders
from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import DAY, HOUR
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import silent
from shopkeeper.features.vector import FeatureSet
from shopkeeper.recommend.candidates import COLUMNS
from shopkeeper.recommend.orders import Orders
from shopkeeper.recommend.ranking.asof import Answered, answers, ranking_rows, split_of
from shopkeeper.recommend.ranking.params import RankingParams
from shopkeeper.recommend.ranking.visits import GAP, sample, visits
from shopkeeper.recommend.shoplog import ShopLog

FEATURES = FeatureSet()


def answered(shop: ShopLog, asked: list) -> list[Answered]:
    return list(answers(shop, shop.orders(), asked, FEATURES, UTC))


def test_the_future_of_the_log_does_not_change_a_row() -> None:
    orders = small_orders()
    middle = int(orders.time[len(orders) * 2 // 3])
    asked = visits(orders, middle, middle + 3 * DAY)
    assert len(asked) > 10
    whole = answered(shop_log(orders), asked)
    for number in (0, len(asked) // 2, len(asked) - 1):
        visit = asked[number]
        # All that happens at the visit or later is replaced: other users take other things at the same times.
        past = orders.time < visit.time
        turned = replace(
            orders,
            user=np.where(past, orders.user, (orders.user + 7) % 60).astype(np.int32),
            item=np.where(past, orders.item, 23 - orders.item).astype(np.int32),
        )
        again = answered(shop_log(turned), asked[: number + 1])[number]
        np.testing.assert_array_equal(whole[number].values, again.values)
        np.testing.assert_array_equal(whole[number].fused, again.fused)


def test_the_past_of_the_log_does_change_rows() -> None:
    # The counterpart: were rows blind to everything, the test above would prove nothing.
    orders = small_orders()
    middle = int(orders.time[len(orders) * 2 // 3])
    visit = visits(orders, middle, middle + 3 * DAY)[-1]
    turned = replace(orders, item=np.where(orders.time < visit.time - HOUR, 23 - orders.item, orders.item))
    one, other = answered(shop_log(orders), [visit])[0], answered(shop_log(turned), [visit])[0]
    assert one.values.shape != other.values.shape or not np.array_equal(one.values, other.values)


def test_a_visit_does_not_see_its_own_lines() -> None:
    orders = small_orders()
    visit = visits(orders, int(orders.time[len(orders) // 2]), int(orders.time[-1]))[0]
    row = answered(shop_log(orders), [visit])[0]
    since = row.values[:, FEATURES.names.index("pair_days_since_bought")]
    assert (since > 0.4).all()
    orders_seen = row.values[0, FEATURES.names.index("user_orders_all")]
    mine = np.unique(orders.time[(orders.user == visit.user) & (orders.time < visit.time)])
    assert orders_seen == len(mine)


def test_rows_of_training_end_before_those_held_out_begin() -> None:
    orders = small_orders()
    params = RankingParams(train_days=30, holdout_days=10, negatives=5)
    train, held, split = ranking_rows(shop_log(orders), UTC, params, 3, silent)
    assert split.start < split.cutoff < split.end
    assert train.names == held.names == (*FEATURES.names, *COLUMNS)
    assert train.lists is not None
    assert held.lists is not None
    assert 0 < held.label.mean() < 1
    lists = np.bincount(train.lists.number, weights=(train.label == 0))
    assert lists.max() <= 5
    # Thinned rows stand for those left out: the weighted share of 1s is that of all candidates.
    shares = (train.label * train.weight).sum() / train.weight.sum(), held.label.mean()
    assert shares[0] == pytest.approx(shares[1], abs=0.08)


def test_the_same_seed_gives_the_same_rows() -> None:
    params = RankingParams(train_days=30, holdout_days=10, negatives=5, max_visits=40)
    one, _, _ = ranking_rows(shop_log(), UTC, params, 3, silent)
    other, _, _ = ranking_rows(shop_log(), UTC, params, 3, silent)
    np.testing.assert_array_equal(one.values, other.values)
    different, _, _ = ranking_rows(shop_log(), UTC, params, 4, silent)
    assert one.values.shape != different.values.shape or not np.array_equal(one.values, different.values)


def test_a_shop_without_orders_has_nothing_to_learn_from() -> None:
    shop = replace(shop_log(), events=EventBatch.empty())
    with pytest.raises(Invalid, match="no orders of known users"):
        ranking_rows(shop, UTC, RankingParams(), 1, silent)


def test_visits_join_lines_within_half_a_day_and_start_whole() -> None:
    hours = np.array([0, 1, 11, 24, 24 + 13, 24 + 13 + 1])
    orders = Orders(
        np.zeros(6, dtype=np.int32), np.array([1, 2, 1, 3, 4, 4], dtype=np.int32), hours * HOUR, tuple("abcde")
    )
    found = visits(orders, 0, 100 * HOUR)
    assert [(v.time // HOUR, v.items.tolist()) for v in found] == [(0, [1, 2]), (24, [3]), (37, [4])]
    # One that began before the start is left out whole; what lies at the end or later is not looked at.
    assert [v.time // HOUR for v in visits(orders, 5 * HOUR, 30 * HOUR)] == [24]
    assert visits(orders, 0, 2 * HOUR)[0].items.tolist() == [1, 2]
    assert GAP == 12 * HOUR
    assert sample(found, 2, 1) == sorted(sample(found, 2, 1), key=lambda v: v.time)


def test_the_split_of_a_short_history_leaves_most_to_learn_from() -> None:
    orders = small_orders()
    split = split_of(orders, RankingParams(holdout_days=300))
    days = (split.cutoff - int(orders.time[0])) / (int(orders.time[-1]) - int(orders.time[0]))
    assert days == pytest.approx(0.8, abs=0.01)
