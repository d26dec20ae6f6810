"""The simulated stock policy, on demand where the answer can be counted."""

import numpy as np

from shopkeeper.sources.stock_simulation import LEAD_DAYS, RUN_DAYS, WINDOW_DAYS, simulate

DAYS = WINDOW_DAYS + RUN_DAYS


def test_steady_demand_settles_between_empty_and_order_up_to():
    levels = simulate(np.full((1, DAYS), 10.0), first_weekday=0)
    assert 0 <= levels.on_hand[0] <= 140
    assert levels.on_hand[0] + levels.on_order[0] <= 140  # mean 10 over 14 days, no spread


def test_what_sells_nothing_stays_where_it_was():
    levels = simulate(np.zeros((1, DAYS)), first_weekday=3)
    assert levels.on_hand[0] == 1
    assert levels.on_order[0] == 0


def test_a_run_on_the_last_day_empties_the_shelf_but_not_below_zero():
    demand = np.full((2, DAYS), 5.0)
    demand[1, -1] = 10_000
    levels = simulate(demand, first_weekday=0)
    assert levels.on_hand[1] == 0 < levels.on_hand[0]


def test_orders_arrive_after_the_lead_time():
    demand = np.full((1, DAYS), 10.0)
    order_day = next(day for day in range(DAYS - 1, 0, -1) if day % 7 == 0)
    assert DAYS - order_day <= LEAD_DAYS
    assert simulate(demand, first_weekday=0).on_order[0] > 0


def test_items_do_not_touch_each_other():
    random = np.random.default_rng(5)
    demand = random.poisson(3.0, (6, DAYS)).astype(float)
    together = simulate(demand, first_weekday=2)
    for item in range(6):
        alone = simulate(demand[item : item + 1], first_weekday=2)
        assert alone.on_hand[0] == together.on_hand[item]
        assert alone.on_order[0] == together.on_order[item]
