"""docs/fusion.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from shopkeeper.bootstrap import FIRST_MODELS
from shopkeeper.profiles.fusion import blocks, fitting, inputs, vectors
from shopkeeper.profiles.fusion.activity import ACTIVITY
from shopkeeper.profiles.fusion.algorithm import HALF_LIFE_DAYS, Fusion
from shopkeeper.profiles.fusion.model import SUMMARY

PAGE = (Path(__file__).parents[2] / "docs" / "fusion.md").read_text(encoding="utf-8")


def test_every_number_of_the_rules_and_of_the_activity_is_named() -> None:
    assert [name for name in SUMMARY if f"`{name}`" not in PAGE] == []
    plain = {re.sub(r" in \d+ days$", "", name) for name in ACTIVITY}
    assert [name for name in sorted(plain) if f"`{name}`" not in PAGE] == []


def test_the_windows_are_those_of_the_code() -> None:
    for field in ("log orders", "log spend", "log total_events", "log distinct_items"):
        (text,) = re.findall(rf"`{field}` ([^;\n]*)", PAGE)
        said = {int(number) for number in re.findall(r"\d+", text)}
        found = {int(match[1]) for name in ACTIVITY if (match := re.fullmatch(rf"{field} in (\d+) days", name))}
        assert said == found, field
        assert ("ever" in text) is (field in ACTIVITY)


def test_parameters_defaults_and_first_training_are_those_of_the_code() -> None:
    (first,) = (one.params for one in FIRST_MODELS if one.model == "fusion")
    properties = msgspec.json.schema(Fusion.Params)["$defs"]["Params"]["properties"]
    rows = dict(re.findall(r"^\| `(\w+)`[^|]*\| (.*) \|$", PAGE, re.MULTILINE))
    assert set(rows) == set(properties)
    for name, row in rows.items():
        default, bounds, given = (cell.strip().replace(",", "") for cell in row.split("|"))
        if name == "space":
            continue
        assert float(default) == properties[name]["default"]
        low, high = re.fullmatch(r"(?:above )?([\d.]+) to ([\d.]+)", bounds).groups()  # type: ignore[union-attr]
        assert float(low) == properties[name].get("minimum", properties[name].get("exclusiveMinimum"))
        assert float(high) == properties[name]["maximum"]
        assert (float(given) if given else None) == first.get(name)


def test_other_numbers_of_the_page() -> None:
    assert f"every {HALF_LIFE_DAYS:.0f} days" in PAGE
    assert f"one hidden layer of {fitting.HIDDEN}" in PAGE
    assert f"event in the {blocks.ALIVE_DAYS} days before" in PAGE
    assert f"{4 * blocks.HORIZON_DAYS} days of log, fewer than {blocks.LEAST_BLOCK} customers" in PAGE
    assert (vectors.LEAST_USERS, blocks.MOST_BLOCKS) == (5, 6)
    assert inputs._MASS.tolist() == [0.0, 1.0, 0.0, 0.25]
