"""docs/forecasts.md says what the code does."""

import re
from pathlib import Path
from typing import get_args

from shopkeeper import plugins
from shopkeeper.api import (
    calendar,
    forecasts,
    products,
    socketio,
    stockmodels,
    stockpredictions,
    stockstores,
    stockupload,
    trainings,
)
from shopkeeper.api.forms import Aggregation
from shopkeeper.checks.forecast import small_shop
from shopkeeper.core.protocols import silent
from shopkeeper.core.records import QUANTILES
from shopkeeper.forecast import family
from shopkeeper.forecast.algorithms.seasonal_naive import SeasonalNaive
from shopkeeper.forecast.answering import analysis, explaining
from shopkeeper.forecast.answering.asking import MAX_HORIZON
from shopkeeper.forecast.measuring.evaluation import Holdout, evaluate

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "forecasts.md").read_text()
ROOMS = (forecasts, trainings, stockpredictions, stockmodels, products, stockstores, stockupload, calendar)


def section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    assert found, title
    return found[1]


def first_cells(text: str) -> list[str]:
    return [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| `")]


def test_every_algorithm_has_a_row() -> None:
    known = [name for name in plugins.names("algorithm") if plugins.describe(name).task == "forecast"]
    assert sorted(cell.strip("`") for cell in first_cells(section("Algorithms"))) == sorted(known)


def test_every_door_has_a_row() -> None:
    named = re.findall(r"`((?:GET|POST|PUT|DELETE) /[^`]+)`", "".join(first_cells(section("Doors"))))
    source = "".join(Path(room.__file__).read_text() for room in ROOMS)
    doors = {f"{method} {path}" for method, path in re.findall(r'"(GET|POST|PUT|DELETE)",\s*"(/api/[^"]+)"', source)}
    doors |= {f"GET {calendar._PATH}", f"POST {calendar._PATH}"}
    doors |= {f"{method} {calendar._PATH}/{{id}}" for method in ("PUT", "DELETE")}
    assert sorted(named) == sorted(doors)


def test_events_of_socketio() -> None:
    assert set(re.findall(r"`(training_\w+)`", PAGE)) == set(socketio._EVENTS.values())
    assert f"`{socketio.PATH}`" in PAGE


def test_groups_of_an_explanation() -> None:
    assert [cell.strip("`") for cell in first_cells(section("Why so many"))] == list(explaining.GROUPS)
    assert f"the mean over {explaining._CALENDARS} calendars {explaining._SHIFT} days apart" in PAGE
    assert f"the last {explaining.LATE[0]} days are at the level of the last {explaining.YEAR}" in PAGE
    assert f"the median price of the last {explaining.YEAR} days" in PAGE


def test_numbers() -> None:
    text = " ".join(PAGE.split())
    assert f"below {analysis.SURE:g};" in text
    assert f"low below {analysis.CALM:g} and high from {analysis.WILD:g} on" in text
    assert f"the last {analysis.RECENT} days sold" in text
    assert f"the {analysis._FACTORS} strongest groups" in text
    assert f"from {QUANTILES[0]} to {QUANTILES[-1]}" in text
    assert len(QUANTILES) == 9
    assert f"the last {family.HOLDOUT['day']} days" in text
    assert f"fewer than {family._FEWEST} days" in text
    assert f"a horizon outside 1 to {MAX_HORIZON}" in text
    assert all(f"`{one}`" in PAGE for one in get_args(Aggregation))


def test_measures_are_those_that_are_taken() -> None:
    series = small_shop()
    cutoff = series.days - 7
    naive = SeasonalNaive(SeasonalNaive.Params(horizon=7), 0).fit(series.until(cutoff), silent)
    taken = evaluate(naive, Holdout(series, [cutoff], 7, naive))
    rows = [line for line in section("How sure it is").splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named <= set(taken)
    assert {"naive_wape", "total_wape", "wape_step_7"} <= set(taken)
    told = re.compile("naive_|total_|_step_|coverage_|below_|at_most_")
    assert {name for name in taken if not told.search(name)} <= named
