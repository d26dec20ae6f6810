"""The privacy half of docs/people.md against the code: purposes, doors, bounds."""

from __future__ import annotations

import re
from pathlib import Path

from shopkeeper.api.app import NOUNS
from shopkeeper.operations.erasing_files import Found
from shopkeeper.stores.consents import PURPOSES
from shopkeeper.stores.preferences import DEPTH_LIMIT, SIZE_LIMIT

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "people.md").read_text()


def test_the_purposes_are_those_that_can_be_refused() -> None:
    table = PAGE.split("## Consent")[1].split("\n\n")[1]
    assert tuple(sorted(re.findall(r"^\| `(\w+)` \|", table, re.M))) == tuple(sorted(PURPOSES))


def test_every_door_that_is_named_exists() -> None:
    privacy = PAGE.split("## Consent")[1]
    paths = {door.path.replace("/api/v1", "~") for noun in NOUNS for door in noun.all}
    plain = {re.sub(r"\{\w+\}", "{}", path) for path in paths}
    named = {re.sub(r"\{\w+\}", "{}", one) for one in re.findall(r"~/[\w/{}-]+", privacy)}
    assert named <= plain
    assert len(named) >= 5


def test_bounds_and_fields_of_the_result_are_told_as_they_are() -> None:
    assert f"at most {SIZE_LIMIT // 1024} KiB and {DEPTH_LIMIT} levels" in PAGE
    for name in re.findall(r"`files\.(\w+)`", PAGE):
        assert name in Found.__struct_fields__
