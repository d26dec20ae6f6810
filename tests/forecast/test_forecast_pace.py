"""How fast items sell these weeks."""

from __future__ import annotations

from panel_shop import at, batch, new_panel

from shopkeeper.core.clock import StoppedClock
from shopkeeper.forecast.panel.pace import PACE_DAYS, SellingPace


def test_pieces_a_day_of_the_last_four_whole_weeks() -> None:
    panel = new_panel()
    panel.apply(
        batch(
            {"time": at(0), "quantity": 1000},
            {"time": at(40), "quantity": 28},
            {"time": at(41), "quantity": 28, "item": 1, "store": 1},
            {"time": at(41), "type": "return", "quantity": -28},
            {"time": at(42), "quantity": 5000},
        )
    )
    pace = SellingPace(panel, StoppedClock(at(42)))
    assert pace().tolist() == [28 / PACE_DAYS, 28 / PACE_DAYS]
    assert pace() is pace(), "worked out once a day"


def test_sales_that_come_late_count_within_a_minute() -> None:
    panel, clock = new_panel(), StoppedClock(at(42))
    pace = SellingPace(panel, clock)
    assert pace().tolist() == []
    panel.apply(batch({"time": at(41), "quantity": 56}))
    clock.advance(60_000_000)
    late = pace()
    assert late.tolist() == [2.0]
    panel.apply(batch({"time": at(42), "quantity": 9}, {"time": at(10), "quantity": 9}))
    clock.advance(60_000_000)
    assert pace() is late, "neither today nor what lies further back"
    panel.apply(batch({"time": at(30), "quantity": 28}))
    clock.advance(60_000_000)
    assert pace().tolist() == [3.0]


def test_a_shop_that_sold_nothing() -> None:
    assert SellingPace(new_panel(), StoppedClock(at(1)))().tolist() == []
