"""How fast items sell these weeks."""

from __future__ import annotations

from panel_shop import at, batch, new_panel

from shopkeeper.core.clock import StoppedClock
from shopkeeper.forecast.pace import PACE_DAYS, SellingPace


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


def test_a_shop_that_sold_nothing() -> None:
    assert SellingPace(new_panel(), StoppedClock(at(1)))().tolist() == []
