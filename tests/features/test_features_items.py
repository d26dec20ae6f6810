"""Features of items and of (user, item), with numbers that can be checked by hand."""

from __future__ import annotations

import math

import numpy as np
from feature_world import T0, batch, event, rows_of, shop

from shopkeeper.core.clock import DAY, HOUR
from shopkeeper.features.base import Ask
from shopkeeper.features.copurchase import CO_PURCHASE, CoPurchases
from shopkeeper.features.item_facts import AGE, BUYERS, PRICE, REORDER_RATE, SINCE_SALE
from shopkeeper.features.item_windows import INTEREST_24H, POPULARITY_7D, TREND_7D, Tiles
from shopkeeper.features.moment import HOUR as LOCAL_HOUR
from shopkeeper.features.moment import WEEKDAY
from shopkeeper.features.pairs import LOOKED_24H, PRICE_RATIO
from shopkeeper.features.purchases import BOUGHT_BEFORE, DAYS_SINCE_BOUGHT, TIMES_BOUGHT
from shopkeeper.features.user_habits import ORDER_GAP, ORDER_VALUE, RETURN_SHARE


def read(feature, state, time, items=(0, 1, 2), user=0):
    return np.asarray(feature.read(Ask(user, T0 + time, rows_of(list(items)), state))).tolist()


def test_purchases_of_a_user():
    state = shop(event("order", 0, 1, 0), event("order", 0, 1, 2 * DAY), event("order", 1, 2, DAY))
    assert read(BOUGHT_BEFORE, state, 3 * DAY) == [0, 1, 0]
    assert read(TIMES_BOUGHT, state, 3 * DAY) == [0, 2, 0]
    assert read(DAYS_SINCE_BOUGHT, state, 3 * DAY) == [3650, 1, 3650]


def test_facts_of_items():
    state = shop(
        event("view", 0, 1, 0),
        event("order", 0, 1, 2 * DAY, price=4.0),
        event("order", 1, 1, 1 * DAY, price=3.0),
        event("order", 1, 1, 1 * DAY, price=3.0),
    )
    assert read(PRICE, state, 3 * DAY) == [0, 4.0, 0]
    assert read(AGE, state, 3 * DAY) == [0, 3.0, 0]
    assert read(SINCE_SALE, state, 3 * DAY) == [3650, 1.0, 3650]
    assert read(BUYERS, state, 3 * DAY) == [0, 2, 0]
    assert read(REORDER_RATE, state, 3 * DAY) == [0, 0.5, 0]


def test_a_late_sale_does_not_set_the_price_back():
    state = shop(event("order", 0, 1, 2 * DAY, price=4.0))
    state.apply(batch(event("order", 0, 1, 1 * DAY, price=3.0)))
    assert read(PRICE, state, 3 * DAY) == [0, 4.0, 0]


def test_of_two_prices_at_one_moment_the_later_in_the_log_stays():
    sales = event("order", 0, 1, DAY, price=4.0), event("order", 0, 1, DAY, price=3.0)
    apart = shop(sales[0])
    apart.apply(batch(sales[1]))
    assert read(PRICE, apart, 3 * DAY) == read(PRICE, shop(*sales), 3 * DAY) == [0, 3.0, 0]


def test_windows_of_items():
    sales = [event("order", -1, 1, day * DAY) for day in (1, 2, 9, 9, 10)]
    state = shop(*sales, event("cart", 0, 2, 10 * DAY))
    assert read(POPULARITY_7D, state, 11 * DAY) == [0, 3, 0]
    assert read(INTEREST_24H, state, 10 * DAY + HOUR) == [0, 0, 1]
    assert np.allclose(read(TREND_7D, state, 11 * DAY), [0, math.log(4 / 3), 0])


def test_a_kept_sum_moves_on_with_time():
    tiles = Tiles(HOUR, 4)
    tiles.add(rows_of([0, 0]), np.array([0 * HOUR, 3 * HOUR]))
    assert tiles.window(4, 4 * HOUR)[0] == 2
    tiles.add(rows_of([0]), np.array([4 * HOUR]))
    assert tiles.window(4, 5 * HOUR)[0] == 2, "hour 0 left the ring and the window"
    assert tiles.window(2, 5 * HOUR)[0] == 2
    tiles.add(rows_of([0]), np.array([2 * HOUR]))
    assert tiles.window(2, 5 * HOUR)[0] == 2, "hour 2 lies just before the last two hours"
    assert tiles.window(4, 5 * HOUR)[0] == 3


def test_a_sum_of_tiles_survives_a_tile_that_leaves_the_ring():
    tiles = Tiles(HOUR, 4)
    tiles.add(rows_of([0]), np.array([0 * HOUR]))
    assert tiles.window(4, 1 * HOUR)[0] == 1
    tiles.add(rows_of([0, 0]), np.array([3 * HOUR, 4 * HOUR]))
    assert tiles.window(4, 5 * HOUR)[0] == 2
    tiles.add(rows_of([0]), np.array([0 * HOUR]))
    assert tiles.window(4, 5 * HOUR)[0] == 2, "too late for the ring"
    assert tiles.window(4, 1000 * HOUR)[0] == 0
    assert tiles.window(2, 5 * HOUR)[0] == 2


def test_what_is_bought_together():
    basket = [event("order", 0, item, 0) for item in (0, 1)]
    state = shop(*basket, event("order", 1, 0, DAY), event("order", 1, 1, 2 * DAY), event("order", 1, 2, 4 * DAY))
    counts = state.part(CoPurchases).counts(rows_of([0, 1, 2]), rows_of([0, 1, 2]))
    assert counts.tolist() == [[0, 2, 0], [2, 0, 0], [0, 0, 0]], "24 hours apart is together, 48 hours is not"


def test_a_look_at_an_item_raises_what_goes_with_it():
    basket = [event("order", 0, item, 0) for item in (0, 1)]
    state = shop(*basket, event("view", 5, 0, DAY))
    assert read(CO_PURCHASE, state, DAY, user=5) == [0, 0, 0], "the look is not before the ask"
    assert read(CO_PURCHASE, state, DAY + 1, user=5) == [0, 1.0, 0]
    assert read(CO_PURCHASE, state, 40 * DAY, user=5) == [0, 0, 0], "not recent any more"


def test_pairs_beyond_the_exact_table_are_kept_too():
    state = shop(*(event("order", 0, item, 0) for item in (7_000, 90_000, 3)))
    counts = state.part(CoPurchases).counts(rows_of([7_000]), rows_of([90_000, 3, 7_000]))
    assert counts.tolist() == [[1, 1, 0]]


def test_attention_and_purse():
    state = shop(
        event("order", 0, 0, 0, quantity=2, price=1.0), event("order", 1, 1, 0, price=4.0), event("view", 0, 1, DAY)
    )
    assert read(LOOKED_24H, state, DAY + HOUR) == [0, 1, 0]
    assert read(LOOKED_24H, state, 3 * DAY) == [0, 0, 0]
    assert np.allclose(read(PRICE_RATIO, state, DAY), [0, math.log(4), 0])


def test_habits():
    state = shop(
        event("order", 0, 0, 0, quantity=2, price=5.0),
        event("order", 0, 1, 4 * DAY, quantity=1, price=10.0),
        event("return", 0, 1, 5 * DAY, quantity=-1, price=10.0),
    )
    assert read(ORDER_GAP, state, 9 * DAY) == 4.0
    assert read(ORDER_VALUE, state, 9 * DAY) == 10.0
    assert read(RETURN_SHARE, state, 9 * DAY) == 0.5


def test_the_moment_is_local():
    """T0 + 200 days lies in British summer time: 2024-06-01 22:13 UTC is 23:13 in London, a Saturday."""
    state = shop()
    assert read(LOCAL_HOUR, state, 200 * DAY) == 23.0
    assert read(WEEKDAY, state, 200 * DAY) == 5.0
    assert read(WEEKDAY, state, 200 * DAY + HOUR) == 6.0
