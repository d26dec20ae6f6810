"""Why a forecast is what it is, checked with models whose every reason is known, and with real ones."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shopkeeper.core.days import date_of, day_number
from shopkeeper.core.records import SalesExplanation
from shopkeeper.forecast.algorithms.lightgbm import LightGbm
from shopkeeper.forecast.algorithms.seasonal_naive import SeasonalNaive
from shopkeeper.forecast.answering.explaining import GROUPS, explain, in_words
from shopkeeper.forecast.covariates import Covariates
from shopkeeper.forecast.outlook import ForecastModel, Outlook
from shopkeeper.forecast.series import SeriesSet, with_total
from shopkeeper.forecast.steps import DAY, Step, week

MONDAY = day_number(date(2026, 1, 5))
Rule = Callable[[SeriesSet, int], NDArray[np.float64]]


class Known:
    """A model that is a formula; it counts what it is asked."""

    feature_names: tuple[str, ...] = ()

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.asked: list[int] = []

    def forecast(self, series: SeriesSet, horizon: int) -> Outlook:
        self.asked.append(len(series))
        mean = np.broadcast_to(self.rule(series, horizon), (len(series), horizon)).astype(np.float64)
        return Outlook(mean, np.repeat(mean[:, :, None], 9, axis=2))

    def save(self, folder: Path) -> None:
        raise AssertionError(folder)

    @classmethod
    def load(cls, folder: Path) -> ForecastModel:
        raise AssertionError(folder)


def shop(y: NDArray[np.floating], price: float | NDArray[np.floating] = 5.0, first_day: int = MONDAY) -> SeriesSet:
    """One product and the total."""
    pieces = np.asarray(y, dtype=np.float64)[None]
    return with_total(("A",), first_day, pieces, pieces * price, pieces)


def told(series: SeriesSet, own: dict[str, NDArray[np.floating]], shared: dict[str, NDArray[np.floating]]) -> SeriesSet:
    """The same with covariates of the first product's, all known ahead."""
    n, d = series.y.shape
    columns = len(next(iter([*own.values(), *shared.values()])))
    values = np.zeros((len(own), n, columns), dtype=np.float32)
    for place, row in enumerate(own.values()):
        values[place, 0] = row
    covariates = Covariates(
        shared_names=tuple(shared),
        shared=np.array(list(shared.values()), dtype=np.float32).reshape(len(shared), columns),
        own_names=tuple(own),
        own=values,
        static_names=(),
        statics=np.empty((n, 0), np.int32),
        static_words=(),
        known=frozenset([*own, *shared]),
        ahead=columns - d,
    )
    return SeriesSet(
        series.ids, series.first_day, series.y, series.price, series.sold, series.aggregate, covariates=covariates
    )


def late(series: SeriesSet, horizon: int) -> NDArray[np.float64]:
    """Mean of the last four weeks."""
    mean: NDArray[np.float64] = series.y[:, -28:].mean(axis=1, dtype=np.float64)[:, None]
    return mean


def by_date(series: SeriesSet, horizon: int) -> NDArray[np.float64]:
    days = [date_of(series.last_day + ahead).timetuple().tm_yday for ahead in range(1, horizon + 1)]
    return 10 + 5 * np.cos(2 * np.pi * np.array(days) / 365.25)[None]


def by_weekday(series: SeriesSet, horizon: int) -> NDArray[np.float64]:
    """Reads the weekday off the sales."""
    columns = [series.days - 7 + ahead % 7 for ahead in range(horizon)]
    mean: NDArray[np.float64] = series.y[:, columns].astype(np.float64)
    return mean


def only(explanation: SalesExplanation, *groups: str) -> None:
    """No other group has a part, exactly."""
    assert explanation.names == list(GROUPS)
    assert [name for name in GROUPS if explanation.values[name] != 0.0] == list(groups)


def test_a_promotion_worth_ten_pieces_is_ten_pieces() -> None:
    promoted = np.zeros(70 + 14)
    promoted[73] = 0.2
    series = told(shop(np.full(70, 4.0)), {"promotion": promoted}, {})

    def rule(known: SeriesSet, horizon: int) -> NDArray[np.float64]:
        assert known.covariates is not None
        return late(known, horizon) + 10 * (known.covariates.future(horizon)[1][0] > 0)

    found = explain(Known(rule), series, 0, 14)
    only(found, "promotion")
    assert found.values["promotion"] == pytest.approx(10)
    assert found.base_value == pytest.approx(14 * 4)
    assert found.text == (
        "66.0 pieces in 14 days: 56.0 would be usual, promotion adds 10.0; calendar, price, trend and neighbours "
        "change nothing."
    )
    only(explain(Known(rule), series.select(np.array([1])), 0, 14))  # the total is not promoted


def test_a_promotion_of_the_whole_shop_and_a_holiday() -> None:
    promoted, holiday = np.zeros(70 + 7), np.zeros(70 + 7)
    promoted[72], holiday[74], holiday[30] = 1, 1, 1
    series = told(shop(np.full(70, 4.0)), {}, {"promotion": promoted, "holiday": holiday})

    def rule(known: SeriesSet, horizon: int) -> NDArray[np.float64]:
        assert known.covariates is not None
        shared = known.covariates.future(horizon)[0]
        return late(known, horizon) + 6 * shared[0] - 3 * shared[1]

    found = explain(Known(rule), series, 0, 7)
    only(found, "calendar", "promotion")
    assert found.values["promotion"] == pytest.approx(6)
    assert found.values["calendar"] == pytest.approx(-3)


def test_a_price_is_compared_with_the_usual_one() -> None:
    price = np.where(np.arange(100) < 90, 5.0, 4.0)
    series = shop(np.full(100, 10.0), price)

    def rule(known: SeriesSet, horizon: int) -> NDArray[np.float64]:
        return late(known, horizon) * (5.0 / np.nan_to_num(known.price[:, -1:], nan=5.0))

    found = explain(Known(rule), series, 0, 4)
    only(found, "price")
    assert found.values["price"] == pytest.approx(4 * 2.5)
    planned = told(shop(np.full(100, 10.0)), {"price": np.where(np.arange(110) < 102, 5.0, 4.0)}, {})

    def ahead(known: SeriesSet, horizon: int) -> NDArray[np.float64]:
        assert known.covariates is not None
        return late(known, horizon) * (5.0 / known.covariates.future(horizon)[1][0])

    found = explain(Known(ahead), planned, 0, 4)
    only(found, "price")
    assert found.values["price"] == pytest.approx(2 * 2.5)


def test_a_trend_is_sales_of_late_against_the_last_year() -> None:
    y = np.where(np.arange(364) < 336, 10.0, 23.0)  # 11 a day over the year
    found = explain(Known(late), shop(y), 0, 10)
    only(found, "trend")
    assert found.base_value == pytest.approx(110)
    assert found.values["trend"] == pytest.approx(120)


def test_over_whole_weeks_weekdays_add_nothing_and_on_a_busy_day_they_do() -> None:
    week_of = np.array([1.0, 1, 1, 1, 1, 8, 1])
    series = shop(np.tile(week_of, 52))
    assert explain(Known(by_weekday), series, 0, 28).values["calendar"] == pytest.approx(0, abs=1e-3)
    saturday = explain(Known(by_weekday), SeriesSet.until(series, 363 - 1), 0, 1)
    assert saturday.base_value == pytest.approx(2, abs=0.05)
    assert saturday.values["calendar"] == pytest.approx(6, abs=0.05)


def test_the_season_that_a_model_reads_off_the_date_is_calendar() -> None:
    found = explain(Known(by_date), shop(np.full(120, 3.0), first_day=MONDAY - 120), 0, 28)
    only(found, "calendar")
    assert found.base_value == pytest.approx(280, rel=0.01)
    assert found.values["calendar"] == pytest.approx(5 * 26.3, rel=0.02)  # the cosine of four weeks of January


def test_what_the_neighbours_add() -> None:
    def with_neighbours(series: SeriesSet, horizon: int) -> NDArray[np.float64]:
        assert series.first_day == MONDAY  # how old a product is counts from here
        return late(series, horizon) + 2

    found = explain(Known(with_neighbours), shop(np.ones(5)), 0, 10, alone=Known(late))
    assert found.values["neighbours"] == pytest.approx(20)
    assert found.total == pytest.approx(found.base_value + 20)


def test_few_calls_and_no_row_twice() -> None:
    """One call with the calendar as it is and one for each of seven others."""
    model = Known(late)
    y = np.where(np.arange(364) < 336, 10.0, 20.0)
    explain(model, shop(y, np.where(np.arange(364) < 300, 5.0, 4.0)), 0, 28)
    assert len(model.asked) == 8
    assert max(model.asked) == 4


@pytest.mark.parametrize("trainer", [SeasonalNaive, LightGbm])
@pytest.mark.parametrize("row", [0, 1, 2])
def test_the_parts_of_a_trained_model_are_its_forecast(trainer: type, row: int) -> None:
    random = np.random.default_rng(7)
    d = 400
    base = np.array([[6.0], [0.3]]) * (1 + 0.5 * np.sin(np.arange(d) * 2 * np.pi / 7)) * np.linspace(1, 2, d)
    pieces = random.poisson(base).astype(np.float64)
    series = with_total(("A", "B"), MONDAY, pieces, pieces * random.choice([4.0, 5.0], (2, d)), pieces)
    params = {} if trainer is SeasonalNaive else {"rounds": 20, "rows": 5_000}
    model = trainer(trainer.Params(**params), 1).fit(series, lambda *_, **__: None)
    found = explain(model, series, row, 28)
    assert found.base_value + sum(found.values.values()) == pytest.approx(found.total, abs=1e-9)
    assert found.total == pytest.approx(model.forecast(series, 28).mean[row].sum(), abs=1e-6)
    assert found.values["promotion"] == found.values["neighbours"] == 0.0


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 30), max_size=90),
    st.sampled_from([DAY, week(5)]),
    st.integers(1, 40),
)
def test_any_history_can_be_explained(sold: list[int], step: Step, horizon: int) -> None:
    one = shop(np.array(sold, dtype=np.float64))
    series = SeriesSet(one.ids, one.first_day, one.y, one.price, one.sold, one.aggregate, step=step)

    def rule(known: SeriesSet, ahead: int) -> NDArray[np.float64]:
        return (known.y.sum(axis=1, dtype=np.float64) + known.future_weekday(ahead)[0])[:, None]

    found = explain(Known(rule), series, 0, horizon)
    expected = rule(series.select(np.array([0])), horizon)[0, 0] * horizon
    assert found.total == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert all(np.isfinite(value) for value in found.values.values())
    if step.days == 7:
        assert found.values["calendar"] == pytest.approx(0, abs=1e-6)  # weeks begin on one weekday


def test_words() -> None:
    values = {"calendar": 1.0, "price": -2.0, "promotion": 3.0, "trend": 0.0, "neighbours": 4.0}
    assert in_words(10, values, 16, 1) == (
        "16.0 pieces in 1 day: 10.0 would be usual, neighbours adds 4.0, promotion adds 3.0, price takes 2.0, "
        "calendar adds 1.0; trend changes nothing."
    )
    assert in_words(10, values | {"trend": 1.0}, 17, 4, "week").endswith("trend adds 1.0.")
