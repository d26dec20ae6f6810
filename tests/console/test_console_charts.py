"""Pictures as plain data, without a browser."""

from __future__ import annotations

import math
from itertools import pairwise

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


@pytest.mark.parametrize("number", [1, 2, 25, 60])
def test_names_of_neighbours_do_not_meet(number: int) -> None:
    angles = [2 * math.pi * place / number for place in range(number)]
    around = [charts.Neighbour("n", "item", "order", 0.5 * math.cos(one), 0.5 * math.sin(one)) for one in angles]
    places = charts.name_places(around)
    for side in (1, -1):
        heights = sorted(y for one, (_, y) in zip(around, places, strict=True) if (one.x >= 0) == (side > 0))
        assert all(upper - lower > 0.06 for lower, upper in pairwise(heights))
    assert all(0.99 < math.hypot(*place) < 1.2 for place in places)
    assert all(x * one.x >= 0 for one, (x, _) in zip(around, places, strict=True))


def test_all_names_of_neighbours_on_one_side_still_stand_apart() -> None:
    around = [charts.Neighbour("n", "item", "order", 0.5, 0.01 * place) for place in range(30)]
    heights = sorted(y for _, y in charts.name_places(around))
    assert all(upper - lower > 0.06 for lower, upper in pairwise(heights))
