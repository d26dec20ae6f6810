"""The page of rules says what the code does."""

import re
from pathlib import Path

import pytest
from msgspec import inspect

from shopkeeper.api.app import NOUNS
from shopkeeper.api.forms import RulesForm
from shopkeeper.cli import rules as command_line
from shopkeeper.core.errors import Invalid
from shopkeeper.profiles.defaults import OTHERWISE, STRATEGIES
from shopkeeper.profiles.fields import WINDOWS, schema_of
from shopkeeper.rules import limits, unomi
from shopkeeper.rules.parser import parse
from shopkeeper.rules.schema import FUNCTIONS
from shopkeeper.stores.rules import MOST_RULES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "rules.md").read_text()


def part(heading: str) -> str:
    return PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]


def test_every_example_of_a_condition_is_one() -> None:
    schema = schema_of([{"country": "x", "plan_type": "5G"}])
    blocks = [*re.findall(r"```\n(.*?)```", part("Windows"), re.S), *re.findall(r"```\n(.*?)```", PAGE, re.S)[:1]]
    lines = [line for block in blocks for line in block.strip().splitlines()]
    assert len(lines) == 3
    for line in lines:
        parse(line, schema)
    with pytest.raises(Invalid) as caught:
        parse("ordrs > 1", schema)
    assert caught.value.message in PAGE


def test_bounds_and_functions_are_those_of_the_code() -> None:
    rows = dict(re.findall(r"^\| ([^|]+?) \| ([\d,]+) \|$", part("Bounds"), re.M))
    bounds = [int(number.replace(",", "")) for number in rows.values()]
    assert bounds == [
        limits.TEXT_LENGTH,
        limits.DEPTH,
        limits.NODES,
        limits.LIST_LENGTH,
        limits.WORD_LENGTH,
        limits.ARGUMENTS,
    ]
    assert set(re.findall(r"`(\w+)\(", part("Operators, loosest first"))) >= set(FUNCTIONS)
    kept = [hours // 24 for hours in WINDOWS if hours % 24 == 0]
    assert f"Kept are 1 hour and {', '.join(map(str, kept))} days" in PAGE
    assert f"at most {MOST_RULES:,} rules" in PAGE


def test_every_door_and_command_is_listed() -> None:
    table = part("Changing rules")
    told = set(re.findall(r"`(GET|POST|PUT|DELETE) ([^`?]+)", table))
    doors = {
        (door.method, door.path.removeprefix("/api/v1/"))
        for noun in NOUNS
        for door in noun.all
        if {"rules", "rule-fields"} & set(door.path.split("/"))
    }
    assert told == doors | {("POST", "segments/preview")}
    commands = set(command_line.command.commands)
    assert {word for word in re.findall(r"`([a-z]+)[ `]", table) if word in commands} == commands


def test_strategies_are_those_that_a_shop_begins_with() -> None:
    told = part("Strategies")
    assert OTHERWISE in told.replace("\n", " ")
    assert {rule.name for rule in STRATEGIES} <= set(re.findall(r"`(\w+)`", told))
    assert all(rule.weight == 0 and rule.action for rule in STRATEGIES)


def test_what_can_be_imported_is_listed() -> None:
    told = part("Conditions from Unomi")
    table = set(re.findall(r"`(\w+)`", told.split("Rejected:")[0]))
    kinds = set(unomi._Reader(schema_of([]), {})._kinds)
    assert kinds <= table
    assert set(unomi._COMPARE) <= table
    for operator in unomi._CANNOT:
        assert operator not in table
    most = next(field.type.max_length for field in inspect.type_info(RulesForm).fields if field.name == "rules")
    assert f"at most {most:,}, with conditions" in told.replace("\n", " ")
