from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pytest
from panel_shop import LONDON, Words, at, batch, busy_panel, new_panel

from shopkeeper.core.clock import StoppedClock
from shopkeeper.core.days import day_number, day_of
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.protocols import silent
from shopkeeper.core.records import QUANTILES, Version
from shopkeeper.core.scopes import Scope
from shopkeeper.forecast.algorithms.seasonal_naive import SeasonalNaive, SeasonalNaiveModel
from shopkeeper.forecast.answering.service import ForecastService, points
from shopkeeper.forecast.intervals import Calibration
from shopkeeper.forecast.outlook import Outlook
from shopkeeper.forecast.panel.beside import Beside
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.telemetry import metrics

NOW = at(119, hour=15)  # a Monday afternoon


@dataclass
class Kept:
    version: Version
    model: Any


class Models:
    """Champions by name."""

    def __init__(self, **kept: Any) -> None:
        self._kept = kept

    def get(self, model: str, ref: str = "champion", scope: str = "all") -> Kept:
        if model not in self._kept or ref != "champion":
            raise NotFound(f"no model {model!r}", code="unknown_model")
        metrics = {"wape": 0.5, "naive_wape": 0.9, "pinball": 0.3, "naive_pinball": 0.6}
        version = Version(model=model, scope=scope, version=4, algorithm="x", status="ready", metrics=metrics)
        return Kept(version, self._kept[model])


class Broken:
    def forecast(self, series, horizon):
        nan = np.full((len(series), horizon, len(QUANTILES)), np.nan)
        return Outlook(nan[:, :, 0], nan)


def naive_of(panel) -> Any:
    return SeasonalNaive(SeasonalNaive.Params(), 1).fit(panel.dense(day_of(NOW, LONDON) - 1), silent)


def test_a_forecast_says_who_made_it_and_starts_today() -> None:
    panel = busy_panel(119)
    service = ForecastService(panel, StoppedClock(NOW), Models(sales_daily=naive_of(panel)))
    answer = service.forecast("P3", horizon=14, history_days=30)
    assert (answer.item_id, answer.model, answer.version, answer.beats_naive) == ("P3", "sales_daily", 4, True)
    assert (answer.scope, answer.fallback) == ("product", None)
    assert [answer.history[-1].ds, answer.forecast[0].ds] == ["2024-09-29", "2024-09-30"]
    assert (len(answer.history), len(answer.forecast)) == (30, 14)
    for point in answer.forecast:
        assert list(point.quantiles) == ["0.025", "0.05", "0.1", "0.25", "0.5", "0.75", "0.9", "0.95", "0.975"]
        assert list(point.quantiles.values()) == sorted(point.quantiles.values())
    assert answer.forecast[6].mean == 0  # Sunday


def test_everything_together_is_a_forecast_of_its_own() -> None:
    panel = busy_panel(119)
    service = ForecastService(panel, StoppedClock(NOW), Models(sales_daily=naive_of(panel)))
    whole, one = service.forecast(None), service.forecast("P3")
    assert (whole.item_id, whole.scope) == (None, "global")
    assert whole.forecast[0].mean > 8 * one.forecast[0].mean


def test_a_sale_now_changes_history_and_todays_forecast_at_once() -> None:
    panel = busy_panel(119)
    service = ForecastService(panel, StoppedClock(NOW), Models())
    panel.apply(batch({"item": 3, "time": NOW, "quantity": 500.0}))
    answer = service.forecast("P3")
    assert (answer.history[-1].ds, answer.history[-1].y) == ("2024-09-30", 500)
    assert answer.forecast[0].mean >= 500
    assert answer.forecast[0].quantiles["0.025"] >= 500
    assert answer.forecast[1].mean < 100


def test_without_a_trained_model_the_built_in_one_answers_and_says_so() -> None:
    panel = busy_panel(119)
    answer = ForecastService(panel, StoppedClock(NOW), Models()).forecast("P3")
    assert (answer.model, answer.version, answer.beats_naive) == ("seasonal_naive", 0, False)
    assert answer.fallback == "no champion of sales_daily yet"
    second = ForecastService(panel, StoppedClock(NOW), Models(sales_daily_naive=naive_of(panel))).forecast("P3")
    assert (second.model, second.version) == ("sales_daily_naive", 4)


def test_a_model_that_gives_nan_is_answered_for_by_the_built_in_one() -> None:
    answer = ForecastService(busy_panel(119), StoppedClock(NOW), Models(sales_daily=Broken())).forecast("P3")
    assert answer.model == "seasonal_naive"
    assert answer.fallback == "sales_daily gave no finite number"
    assert np.isfinite([point.mean for point in answer.forecast]).all()


def test_an_item_that_never_sold_and_an_empty_shop_get_an_answer() -> None:
    answer = ForecastService(busy_panel(119), StoppedClock(NOW), Models()).forecast("unsold")
    assert answer.history == []
    assert answer.fallback == "no sales before today: little is known"
    empty = ForecastService(new_panel(), StoppedClock(NOW), Models()).forecast(None, horizon=3)
    assert [point.mean for point in empty.forecast] == [0, 0, 0]


@pytest.mark.parametrize("days", [1, 5])
def test_few_days_of_sales_are_enough_for_an_answer_that_says_so(days: int) -> None:
    panel = new_panel()
    panel.apply(batch(*({"time": at(day), "quantity": 3.0} for day in range(days))))
    answer = ForecastService(panel, StoppedClock(at(days)), Models(sales_daily=naive_of(busy_panel(119)))).forecast(
        "apple", horizon=60
    )
    assert answer.fallback == f"{days} day{'' if days == 1 else 's'} of sales are little"
    assert np.isfinite([point.mean for point in answer.forecast]).all()


def test_history_is_filled_up_to_yesterday() -> None:
    panel = new_panel()
    panel.apply(batch({"time": at(0)}, {"time": at(2)}))
    service = ForecastService(panel, StoppedClock(at(6)), Models())
    assert [point.y for point in service.forecast("apple").history] == [1, 0, 1, 0, 0, 0]
    assert service.forecast("apple", history_days=0).history == []


def test_what_does_not_exist_and_what_is_out_of_bounds_is_refused() -> None:
    panel = busy_panel(119)
    panel.beside = Beside(stores=Words("online"))
    service = ForecastService(panel, StoppedClock(NOW), Models(ranker=object()))
    with pytest.raises(NotFound, match="no item 'ghost'"):
        service.forecast("ghost")
    with pytest.raises(NotFound, match="no model"):
        service.forecast("P3", model="sales_weekly")
    with pytest.raises(NotFound, match="no store 'moon'"):
        service.forecast("P3", store_id="moon")
    with pytest.raises(Invalid, match="does not make forecasts"):
        service.forecast("P3", model="ranker")
    for horizon in (0, 366):
        with pytest.raises(Invalid, match="horizon"):
            service.forecast("P3", horizon=horizon)
    assert service.forecast("P3", store_id="online").scope == "product"
    assert service.forecast(None, store_id="online").scope == "store"


def test_nothing_that_came_later_is_read_when_a_day_in_the_past_is_asked() -> None:
    seen = []

    class Watching(SeasonalNaiveModel):
        def forecast(self, series: SeriesSet, horizon: int) -> Outlook:
            seen.append(series)
            return super().forecast(series, horizon)

    panel = busy_panel(119)
    service = ForecastService(panel, StoppedClock(NOW), Models(sales_daily=Watching(Calibration.unknown())))
    question = service.ask(Scope("product", "P3"), 14, 20, as_of=date(2024, 9, 10))
    answer = service.answer(question)
    assert [answer.history[-1].ds, answer.forecast[0].ds] == ["2024-09-09", "2024-09-10"]
    assert seen[0].last_day == day_number(date(2024, 9, 9))
    assert [point.ds for point in question.came] == [f"2024-09-{day}" for day in range(10, 24)]
    assert question.came[0].y > 0
    with pytest.raises(Invalid, match="still to come"):
        service.ask(Scope("product", "P3"), as_of=date(2024, 10, 1))
    before = service.answer(service.ask(Scope("product", "P3"), 3, as_of=date(2020, 1, 1)))
    assert (before.history, before.forecast[0].mean) == ([], 0.0)


def test_a_model_that_raises_is_answered_for_by_the_built_in_one() -> None:
    class Raises:
        def forecast(self, series: SeriesSet, horizon: int) -> Outlook:
            assert len(series) == 1, horizon
            raise RuntimeError("a stranger's bug")

    counted = metrics.forecast_fallback_total.labels("broken_model")
    before = counted._value.get()
    answer = ForecastService(busy_panel(119), StoppedClock(NOW), Models(sales_daily=Raises())).forecast("P3")
    assert (answer.model, answer.fallback) == ("seasonal_naive", "sales_daily failed: RuntimeError")
    assert answer.forecast[0].mean > 0
    assert counted._value.get() == before + 1


def test_a_question_is_not_changed_by_what_is_sold_before_its_answer() -> None:
    panel = busy_panel(119)
    service = ForecastService(panel, StoppedClock(NOW), Models())
    question = service.ask(Scope("product", "P3"), 7)
    before = service.answer(question)
    panel.apply(batch({"item": 3, "time": NOW, "quantity": 500.0}, {"item": 3, "time": at(118), "quantity": 900.0}))
    assert service.answer(question) == before
    assert service.forecast("P3", 7) != before


def test_days_are_counted_from_the_first_that_is_wanted() -> None:
    service = ForecastService(busy_panel(119), StoppedClock(NOW), Models())
    whole = service.said(service.ask(Scope("product", "P3"), 10))
    later = whole.after(4)
    assert points(later.said, later.first_day) == points(whole.said, whole.first_day)[4:]


def test_what_is_not_known_ahead_is_told() -> None:
    panel = busy_panel(119)
    facts = {"temperature": (np.arange(day_of(NOW, LONDON) - 50, day_of(NOW, LONDON)), np.full(50, 20.0))}
    panel.beside = Beside(facts=DayFacts(facts))
    answer = ForecastService(panel, StoppedClock(NOW), Models()).forecast("P3", 3)
    assert answer.assumed == ["price", "temperature"]
    assert ForecastService(new_panel(), StoppedClock(NOW), Models()).forecast(None, 3).assumed == []


class DayFacts:
    """Numbers of the shop's days."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self._facts = facts

    def names(self) -> list[str]:
        return list(self._facts)

    def column(self, fact: str, store_row: int = -1, item_row: int = -1) -> Any:
        assert (store_row, item_row) == (-1, -1)
        days, values = self._facts[fact]
        return days.astype(np.int32), values.astype(np.float32)

    def items(self, fact: str) -> dict[Any, Any]:
        assert fact
        return {}
