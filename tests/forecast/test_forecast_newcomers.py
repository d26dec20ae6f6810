"""New products in the shop: asked, answered by neighbours, explained; and who is not new."""

from datetime import date
from typing import Any

import numpy as np
import pytest
from panel_shop import LONDON, TYPES, Words, at, batch

from shopkeeper.core.clock import StoppedClock
from shopkeeper.core.errors import NotFound
from shopkeeper.core.records import Version
from shopkeeper.core.scopes import Scope
from shopkeeper.forecast.algorithms.seasonal_naive import SeasonalNaiveModel
from shopkeeper.forecast.answering.service import ForecastService
from shopkeeper.forecast.intervals import Calibration
from shopkeeper.forecast.panel.beside import Beside
from shopkeeper.forecast.panel.sales import SalesPanel

DAYS = 200
NOW = at(DAYS, hour=15)
NAMES = (*(f"T{k}" for k in range(8)), *(f"C{k}" for k in range(8)), "new", "listed", "unlisted")
SHELVES = ["Tea"] * 8 + ["Cake"] * 8 + ["Cake", "Cake", "Cake"]


class Vectors:
    """Teas on one side, cakes on the other; the new one is said to be a tea."""

    item_ids = NAMES[:17]
    item_vectors = np.array([[1.0, 0.0]] * 8 + [[0.0, 1.0]] * 8 + [[1.0, -0.1]], dtype=np.float32)


class Loaded:
    def __init__(self, model: Any) -> None:
        self.model = model
        self.version = Version(model="als", scope="all", version=3, algorithm="als", status="ready")


class Models:
    def __init__(self, **loaded: Any) -> None:
        self._loaded = loaded

    def get(self, model: str, ref: str = "champion", scope: str = "all") -> Loaded:
        if model not in self._loaded:
            raise NotFound(f"no model {model!r} {ref} {scope}")
        return Loaded(self._loaded[model])

    def peek(self, model: str, ref: str = "champion", scope: str = "all") -> Loaded | None:
        return self.get(model, ref, scope) if model in self._loaded else None


def shop(**loaded: Any) -> ForecastService:
    """Slow teas, fast cakes; one cake there from the first day on, the others begun one after the other. One product of
    four days, one of two days without a sale."""
    random = np.random.default_rng(5)
    rows = [
        {"item": item, "time": at(day), "quantity": float(1 + random.poisson(0.5 if item < 8 else 15.0))}
        for item in range(16)
        for day in range(20 if item == 15 else 40 + 2 * item, DAYS)
    ]
    rows += [{"item": 16, "time": at(day), "quantity": 14.0} for day in range(DAYS - 4, DAYS)]
    born = np.array([at(0)] * 16 + [at(DAYS - 4), at(DAYS - 2), 0], dtype=np.int64)
    beside = Beside(categories=lambda: SHELVES, born=lambda: born)
    panel = SalesPanel(LONDON, Words(*NAMES), Words(*TYPES), beside)
    panel.apply(batch(*rows))
    models = {"sales_daily": SeasonalNaiveModel(Calibration.unknown()), **loaded}
    return ForecastService(panel, StoppedClock(NOW), Models(**models))


def test_a_new_product_is_answered_by_its_category_and_says_so() -> None:
    answer = shop().forecast("new", horizon=14)
    assert answer.fallback == "from the beginnings of 15 products, foremost 7 of category Cake"
    assert 8.0 < np.mean([point.mean for point in answer.forecast]) < 22.0


def test_a_product_that_is_listed_and_was_never_sold_has_neighbours_too() -> None:
    listed = shop().forecast("listed", horizon=14)
    assert listed.fallback is not None
    assert "from the beginnings of 15 products, foremost 7 of category Cake" in listed.fallback
    assert 0.3 < np.mean([point.mean for point in listed.forecast]) < 8.0  # cakes sell from the first day on
    unlisted = shop().forecast("unlisted", horizon=14)
    assert unlisted.fallback == "no sales before today: little is known"
    assert max(point.mean for point in unlisted.forecast) == 0.0


def test_those_near_in_a_space_come_before_the_category() -> None:
    answer = shop(als=Vectors()).forecast("new", horizon=14)
    assert answer.fallback == "from the beginnings of 15 products, foremost 8 near it in als/3"
    cakes = shop().forecast("new", horizon=14)
    assert sum(point.mean for point in answer.forecast) < sum(point.mean for point in cakes.forecast)


def test_a_forecast_from_a_past_day_does_not_ask_a_space_that_may_have_learned_later() -> None:
    service = shop(als=Vectors())
    question = service.ask(Scope("product", "new"), 14, as_of=date(2024, 12, 18))
    assert question.around is not None
    assert question.around.space is None
    assert question.around.series.last_day == question.first_day - 1


def test_an_old_product_and_a_total_have_nobody_around_them() -> None:
    service = shop()
    assert service.ask(Scope("product", "C3")).around is None
    assert service.ask(Scope()).around is None
    assert service.ask(Scope("category", "Tea")).around is None


def test_what_the_neighbours_add_is_explained() -> None:
    service = shop()
    found = service.explain(service.ask(Scope("product", "listed"), 14))
    assert found.values["neighbours"] > 5.0
    assert found.total == pytest.approx(found.base_value + sum(found.values.values()))
    said = service.forecast("listed", horizon=14)
    assert found.total == pytest.approx(sum(point.mean for point in said.forecast), rel=1e-3)


def test_who_was_gathered_is_kept_until_sales_change() -> None:
    service = shop()
    first, second = (service.ask(Scope("product", name)).around for name in ("new", "listed"))
    assert first is not None
    assert second is not None
    assert first.series is second.series


def test_neighbours_that_break_do_not_cost_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    from shopkeeper.forecast.answering.newcomers import Around

    def broken(*_: object) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(Around, "moved", broken)
    answer = shop().forecast("new", horizon=14)
    assert answer.fallback == "sales_daily failed: RuntimeError"
    assert len(answer.forecast) == 14
