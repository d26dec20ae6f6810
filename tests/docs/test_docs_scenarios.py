"""docs/scenarios.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from shopkeeper.api.app import NOUNS
from shopkeeper.api.scenarios import ScenarioForm
from shopkeeper.cli.scenarios import command
from shopkeeper.forecast.panel.pace import PACE_DAYS
from shopkeeper.recommend import scenariocheck
from shopkeeper.recommend.cover import SOON_DAYS
from shopkeeper.recommend.itemcolumns import FIELDS
from shopkeeper.recommend.objectives import OBJECTIVES
from shopkeeper.recommend.scenarios import BUILT_IN, NAMED, RANKER, STAGES, TTL_S, Scenario
from shopkeeper.recommend.shown import LatelyShown
from shopkeeper.recommend.tastes import KEYS, LIKED_FACTOR
from shopkeeper.stores.scenarios import MOST_SCENARIOS

PAGE = (Path(__file__).parents[2] / "docs" / "scenarios.md").read_text(encoding="utf-8")


def rows(part: str) -> list[list[str]]:
    """The cells of a part's table."""
    section = PAGE.split(f"\n## {part}\n")[1].split("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def plain(cell: str) -> str:
    return cell.strip("`")


def test_built_in_scenarios_are_listed_as_they_are() -> None:
    told = [(plain(name), about == "the page", what) for name, about, what in rows("Built in")]
    assert sorted(told) == sorted((one.name, one.anchored, one.help) for one in BUILT_IN.values())


def test_fields_of_a_scenario_are_listed_with_their_defaults() -> None:
    told = {plain(name): default for name, default, _ in rows("Fields")}
    assert set(told) == set(ScenarioForm.__struct_fields__) - {"name", "version"}
    assert set(told) == set(Scenario("s", ()).facts()) - {"name", "version"}
    assert told["filters"] == ", ".join(Scenario("s", ()).filters)
    assert (told["ranker"], float(told["ttl_s"])) == (RANKER, TTL_S)
    assert int(told["candidates"]) == Scenario("s", ()).candidates
    assert all(f"`{stage}`" in PAGE for stage in STAGES)


def test_filters_objectives_and_preferences_are_those_of_the_code() -> None:
    assert [plain(row[0]) for row in rows("Filters")] == list(NAMED)
    assert {plain(name): aims for name, aims in rows("The order")} == OBJECTIVES
    assert [plain(row[0]) for row in rows("What users say")] == list(KEYS)
    assert f"count {LIKED_FACTOR:g} times" in PAGE


def test_fields_of_items_are_those_of_the_code() -> None:
    told = [(plain(name), kind, unit, what) for name, kind, unit, what in rows("Fields of items")]
    assert told == [(one.name, one.type, one.unit, one.help) for one in FIELDS]


def test_doors_and_commands_are_there() -> None:
    served = {f"{door.method} {door.path}": door.scope for noun in NOUNS for door in noun.all}
    told = {plain(row[0]): row[1] for row in rows("Doors")}
    assert told == {path: served[path] for path in told}
    assert {path for path in served if "/scenarios" in path} <= set(told)
    assert set(re.findall(r"shopkeeper scenarios (\w+)", PAGE)) <= set(command.commands)


def test_numbers_are_those_of_the_code() -> None:
    shown = LatelyShown()
    assert f"newest {shown._slates} slates of {shown._users:,} users" in PAGE
    assert f"{MOST_SCENARIOS} scenarios at most" in PAGE
    assert (SOON_DAYS, PACE_DAYS) == (2.0, 28)
    assert f"from -{scenariocheck.MOST_WEIGHT:g} to {scenariocheck.MOST_WEIGHT:g}" in PAGE
