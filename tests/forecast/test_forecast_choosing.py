from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec import structs
from panel_shop import LONDON, at, busy_panel

from shopkeeper.core.clock import StoppedClock
from shopkeeper.core.days import day_of
from shopkeeper.core.errors import NotFound, Unavailable
from shopkeeper.core.protocols import silent
from shopkeeper.core.records import Version
from shopkeeper.core.scopes import ALL, Scope
from shopkeeper.forecast.algorithms.seasonal_naive import SeasonalNaive, SeasonalNaiveModel
from shopkeeper.forecast.answering.choosing import Chooser, Chosen, against_naive, holding
from shopkeeper.forecast.answering.service import ForecastService
from shopkeeper.forecast.intervals import Calibration

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


class Scoped:
    """Champions by name and scope; those in `gone` have lost their files."""

    def __init__(
        self, champions: dict[tuple[str, str], dict[str, float]], gone: Sequence[tuple[str, str]] = ()
    ) -> None:
        self._measured = champions
        self._gone = set(gone)
        self._model = SeasonalNaiveModel(Calibration.unknown())
        self.asked: list[tuple[str, str]] = []

    def names(self, family: str, scope: str = "all") -> list[str]:
        assert family == "forecast"
        return sorted(name for name, where in self._measured if where == scope)

    def get(self, model: str, ref: str = "champion", scope: str = "all") -> Kept:
        self.asked.append((model, scope))
        if (model, scope) not in self._measured or ref not in ("champion", "4"):
            raise NotFound(f"no model {model!r}", code="unknown_model")
        if (model, scope) in self._gone:
            raise Unavailable("its files are gone", code="artifact_missing")
        algorithm = "seasonal_naive" if model.endswith("_naive") else "trees"
        version = Version(
            model=model, scope=scope, version=4, algorithm=algorithm, status="ready", data={"to": "2026-01-31"}
        )
        return Kept(structs.replace(version, metrics=self._measured[model, scope]), self._model)


P1, TEA, S1 = Scope("product", "P1"), Scope("category", "Tea"), Scope("store", "S1")
GOOD, BETTER = measured(0.5, 0.5), measured(0.3, 0.3)


def chosen(
    champions: dict[tuple[str, str], dict[str, float]],
    scope: Scope = P1,
    asked: str | None = None,
    *,
    gone: Sequence[tuple[str, str]] = (),
    total: bool = False,
    category: str | None = None,
) -> Chosen:
    return Chooser(Scoped(champions, gone)).choose(asked, scope, total=total, category=category)


def test_scopes_that_hold_a_question_from_the_narrowest() -> None:
    assert holding(P1) == (P1, ALL)
    assert holding(P1, "Tea") == (P1, TEA, ALL)
    assert holding(Scope("product", "P1", "S1"), "Tea") == (
        Scope("product", "P1", "S1"), P1, Scope("category", "Tea", "S1"), TEA, S1, ALL,
    )  # fmt: skip
    assert holding(S1, "Tea") == (S1, ALL)
    assert holding(ALL) == (ALL,)


def test_the_narrowest_scope_that_beats_naive_answers() -> None:
    everywhere = {("sales_daily", "all"): GOOD, ("sales_kan", "category:Tea"): GOOD, ("sales_tcn", "product:P1"): GOOD}
    said = chosen(everywhere, category="Tea")
    assert (said.name, said.scope, said.fallback, said.until) == ("sales_tcn", P1, None, "2026-01-31")
    del everywhere["sales_tcn", "product:P1"]
    said = chosen(everywhere, category="Tea")
    assert (said.name, said.scope) == ("sales_kan", TEA)
    assert chosen(everywhere).scope == ALL
    assert chosen(everywhere, Scope("product", "P2")).name == "sales_daily"


def test_a_narrow_model_that_loses_makes_way_and_is_named() -> None:
    said = chosen({("sales_daily", "all"): GOOD, ("sales_kan", "product:P1"): LOST | {"wape": 0.9}})
    assert (said.name, said.scope) == ("sales_daily", ALL)
    assert said.fallback == "sales_kan of product:P1 does not beat seasonal naive"


def test_of_several_in_one_scope_the_best_answers() -> None:
    several = {("sales_a", "product:P1"): GOOD, ("sales_b", "product:P1"): BETTER, ("sales_c", "product:P1"): GOOD}
    assert chosen(several).name == "sales_b"


def test_a_champion_that_lost_its_files_makes_way() -> None:
    both = {("sales_daily", "all"): GOOD, ("sales_b", "product:P1"): BETTER}
    said = chosen(both, gone=[("sales_b", "product:P1")])
    assert (said.name, said.scope, said.fallback) == ("sales_daily", ALL, None)


def test_without_any_model_the_built_in_answers() -> None:
    said = chosen({})
    assert (said.name, said.version, said.fallback) == ("seasonal_naive", 0, "no champion of sales_daily yet")


def test_any_model_of_everything_that_beats_naive_stands_in() -> None:
    others = {("sales_daily", "all"): LOST, ("sales_auto", "all"): BETTER, ("sales_daily_ets", "all"): GOOD}
    said = chosen(others, ALL, total=True)
    assert (said.name, said.fallback) == ("sales_auto", LOSES)
    del others["sales_daily", "all"]
    assert chosen(others, ALL, total=True).name == "sales_auto"


def test_an_asked_model_is_that_of_the_narrowest_scope_that_has_it() -> None:
    both = {("sales_kan", "all"): GOOD, ("sales_kan", "product:P1"): LOST}
    assert chosen(both, asked="sales_kan/4").scope == P1
    assert chosen(both, Scope("product", "P2"), "sales_kan").scope == ALL
    with pytest.raises(NotFound):
        chosen(both, asked="sales_kan/9")
    with pytest.raises(Unavailable):
        chosen(both, asked="sales_kan", gone=[("sales_kan", "product:P1")])
