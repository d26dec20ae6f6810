"""Trend, volatility and changes of a forecast, beside scipy's line and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import linregress

from shopkeeper.core.records import SalesExplanation
from shopkeeper.forecast.answering.analysis import analysed, trend_of
from shopkeeper.forecast.outlook import Floats, Outlook


def said(*mean: float) -> Outlook:
    points = np.array([mean], dtype=np.float64)
    return Outlook(points, np.repeat(points[:, :, None], 9, axis=2))


@given(arrays(np.float64, st.integers(3, 60), elements=st.floats(0, 1e4, allow_subnormal=False)))
def test_the_line_is_that_of_least_squares(y: Floats) -> None:
    found = trend_of(y)
    assert np.isfinite([found.slope, found.r2, found.volatility]).all()
    assert 0 <= found.r2 <= 1
    if np.ptp(y) > 1e-6 * y.max():
        expected = linregress(np.arange(len(y)), y)
        assert found.slope == pytest.approx(expected.slope, rel=1e-6, abs=1e-9)
        assert found.r2 == pytest.approx(expected.rvalue**2, rel=1e-6, abs=1e-9)
        assert found.p_value == pytest.approx(expected.pvalue, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(
    ("y", "kind", "level"),
    [
        ([5, 5, 5, 5], "flat", "low"),
        ([1, 2, 3, 4, 5, 6], "up", "medium"),
        ([60, 50, 40, 30, 20.0], "down", "medium"),
        ([0, 0, 9, 0, 0, 0], "flat", "high"),
        ([0, 0, 0], "flat", "low"),
        ([3, 9], "flat", "medium"),
        ([4], "flat", "low"),
    ],
)
def test_types_and_levels(y: list[float], kind: str, level: str) -> None:
    found = trend_of(np.array(y, dtype=np.float64))
    assert (found.type, found.level) == (kind, level)
    assert (found.p_value is None) == (len(y) < 3)


def test_the_block() -> None:
    factors = SalesExplanation(
        base_value=4,
        values={"calendar": 1.0, "price": -0.5, "promotion": 0.0, "trend": 3.0, "neighbours": 0.25},
        names=["calendar", "price", "promotion", "trend", "neighbours"],
        total=7.75,
        horizon=3,
    )
    found = analysed(np.array([9.0, 1, 2, 0]), said(2, 4, 3), factors)
    assert found.statistics["total"] == 9
    assert found.statistics["mean"] == found.statistics["median"] == 3
    assert (found.statistics["min"], found.statistics["max"]) == (2, 4)
    assert (found.statistics["history_mean"], found.statistics["total_before"]) == (3, 3)
    assert [(one.ahead, one.change, one.percent) for one in found.day_over_day] == [
        (1, 2, None),
        (2, 2, 100),
        (3, -1, -25),
    ]
    assert [(one.name, one.units) for one in found.factors] == [("trend", 3), ("calendar", 1), ("price", -0.5)]
    assert found.text == (
        "9 pieces expected in 3 days, 3 sold in the 3 days before. Sales of late are neither rising nor falling and "
        "vary strongly from day to day. The forecast is neither rising nor falling. What moves it most, in pieces: "
        "trend +3.0, calendar +1.0, price -0.5."
    )


def test_without_a_history_and_without_factors() -> None:
    found = analysed(np.empty(0), said(1, 2, 3.5, 4, 5.0), None)
    assert found.past_trend is None
    assert found.factors == []
    assert found.statistics["history_mean"] is None
    assert [one.ahead for one in found.day_over_day] == [2, 3, 4, 5]
    assert found.text == "16 pieces expected in 5 days. The forecast is rising by 1 pieces a day."
    alone = analysed(np.array([3.0]), said(2), None)
    assert alone.day_over_day[0].change == -1
    assert alone.text.startswith("2 pieces expected in 1 day, 3 sold in the 1 day before.")


def test_only_the_last_ninety_days_make_the_trend_of_the_past() -> None:
    found = analysed(np.concatenate([np.full(200, 50.0), np.arange(90.0)]), said(1), None)
    assert found.past_trend is not None
    assert found.past_trend.slope == pytest.approx(1)
