"""Pictures as plain data, without a browser."""

from __future__ import annotations

import pytest

pytest.importorskip("plotly")
pytest.importorskip("streamlit")

from shopkeeper.console import charts

ENDS = ("usual", "score")


def test_a_waterfall_below_zero_has_room_for_its_numbers_on_the_left_and_begins_at_zero() -> None:
    low, high = charts.score_steps(-1.1, {"a": 0.36, "b": -0.29}, -1.03, ENDS).layout.xaxis.range
    assert low < -1.1 - 0.1
    assert high == 0


def test_a_waterfall_across_zero_has_room_on_both_sides_of_its_highest_step() -> None:
    low, high = charts.score_steps(-0.5, {"a": 2.0, "b": -0.4}, 1.1, ENDS).layout.xaxis.range
    assert low < -0.5 - 0.1
    assert high > 1.5 + 0.1
