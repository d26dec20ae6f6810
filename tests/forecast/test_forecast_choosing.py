from dataclasses import dataclass
from typing import Any

import pytest
from msgspec import structs
from panel_shop import LONDON, at, busy_panel

from shopkeeper.core.clock import StoppedClock
from shopkeeper.core.days import day_of
from shopkeeper.core.errors import NotFound
from shopkeeper.core.protocols import silent
from shopkeeper.core.records import Version
from shopkeeper.forecast.algorithms.seasonal_naive import SeasonalNaive
from shopkeeper.forecast.choosing import against_naive
from shopkeeper.forecast.service import ForecastService

NOW = at(119, hour=15)  # a Monday afternoon
LOSES = "sales_daily loses to seasonal naive on the total"


@dataclass
class Kept:
    version: Version
    model: Any


class Champions:
    """Champions with measures of their own; all answer alike."""

    def __init__(self, model: Any, **measured: dict[str, float]) -> None:
        self._model = model
        self._measured = measured

    def get(self, model: str, ref: str = "champion", scope: str = "all") -> Kept:
        if model not in self._measured or ref not in ("champion", "4"):
            raise NotFound(f"no model {model!r}", code="unknown_model")
        algorithm = "seasonal_naive" if model.endswith("_naive") else "trees"
        version = Version(model=model, scope=scope, version=4, algorithm=algorithm, status="ready")
        return Kept(structs.replace(version, metrics=self._measured[model]), self._model)


def measured(product: float, total: float, naive: float = 0.6) -> dict[str, float]:
    """WAPE and quantile loss alike, beside seasonal naive's."""
    both = {f"{who}{name}": value for name in ("wape", "pinball") for who, value in (("", product), ("total_", total))}
    return both | {f"{who}naive_{name}": naive for name in ("wape", "pinball") for who in ("", "total_")}


def shop(**champions: dict[str, float]) -> ForecastService:
    panel = busy_panel(119)
    naive = SeasonalNaive(SeasonalNaive.Params(), 1).fit(panel.dense(day_of(NOW, LONDON) - 1), silent)
    return ForecastService(panel, StoppedClock(NOW), Champions(naive, **champions))


def said(service: ForecastService, item: str | None, model: str | None = None) -> tuple[str, bool, str | None]:
    answer = service.forecast(item, horizon=7, model=model)
    return answer.model, answer.beats_naive, answer.fallback


WINS, LOST, NAIVE = measured(0.5, 0.5), measured(0.5, 0.7), measured(0.6, 0.6)


def test_products_and_the_total_are_judged_by_their_own_measures() -> None:
    only_total = measured(0.7, 0.5)
    assert said(shop(sales_daily=only_total), "P3") == ("sales_daily", False, None)
    assert said(shop(sales_daily=only_total), None) == ("sales_daily", True, None)
    assert said(shop(sales_daily=LOST), "P3") == ("sales_daily", True, None)


def test_a_total_that_loses_is_answered_by_smoothing_that_wins() -> None:
    service = shop(sales_daily=LOST, sales_daily_ets=WINS, sales_daily_naive=NAIVE)
    assert said(service, None) == ("sales_daily_ets", True, LOSES)
    assert said(service, "P3") == ("sales_daily", True, None)


@pytest.mark.parametrize("smoothing", [LOST, NAIVE, {}])
def test_a_total_that_nobody_wins_is_answered_by_seasonal_naive(smoothing: dict[str, float]) -> None:
    service = shop(sales_daily=LOST, sales_daily_ets=smoothing, sales_daily_naive=NAIVE)
    assert said(service, None) == ("sales_daily_naive", False, LOSES)


def test_a_total_that_loses_finds_naive_without_other_champions() -> None:
    assert said(shop(sales_daily=LOST, sales_daily_naive=NAIVE), None) == ("sales_daily_naive", False, LOSES)
    assert said(shop(sales_daily=LOST), None) == ("seasonal_naive", False, LOSES)


def test_an_asked_model_is_served_as_asked() -> None:
    service = shop(sales_daily=LOST, sales_daily_ets=WINS, sales_daily_naive=WINS)
    assert said(service, None, "sales_daily") == ("sales_daily", False, None)
    assert said(service, None, "sales_daily/4") == ("sales_daily", False, None)
    assert said(service, None, "sales_daily_ets") == ("sales_daily_ets", True, None)


def test_seasonal_naive_never_beats_itself() -> None:
    service = shop(sales_daily=LOST, sales_daily_naive=WINS)  # measured with its median, it can look better
    for item in (None, "P3"):
        assert said(service, item, "sales_daily_naive") == ("sales_daily_naive", False, None)
    assert said(service, None) == ("sales_daily_naive", False, LOSES)


def test_a_champion_that_was_not_measured_on_the_total_stays_and_claims_nothing() -> None:
    products = {name: value for name, value in WINS.items() if not name.startswith("total_")}
    service = shop(sales_daily=products, sales_daily_naive=NAIVE)
    assert said(service, None) == ("sales_daily", False, None)
    assert said(service, "P3") == ("sales_daily", True, None)


def test_to_beat_is_both_lower_and_to_lose_is_either_higher() -> None:
    total = {"total_wape": 0.505, "total_naive_wape": 0.296, "total_pinball": 0.1, "total_naive_pinball": 0.2}
    assert against_naive(total, total=True) == (False, True)
    assert against_naive({**total, "total_wape": 0.2}, total=True) == (True, False)
    assert against_naive({**total, "total_wape": 0.296}, total=True) == (False, False)
    assert against_naive({"wape": 0.1, "naive_wape": 0.2}, total=False) == (False, False)
    assert against_naive({}, total=False) == (False, False)
