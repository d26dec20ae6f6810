"""docs/explanations.md says what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fused_shop import shop

from shopkeeper.profiles.answers import MOST_MISSES, MOST_TRACED
from shopkeeper.profiles.explaining import FRESH_S
from shopkeeper.profiles.families import FAMILIES, SHORT_DAYS, TERMS
from shopkeeper.profiles.game import MOST_PLAYERS
from shopkeeper.profiles.ladder import LEVELS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "explanations.md").read_text()


def block(kind: str) -> str:
    found = re.search(rf"## An answer.*?```{kind}\n(.*?)\n```", PAGE, re.S)
    assert found is not None
    return found.group(1)


def test_the_example_is_an_answer(tmp_path: Path) -> None:
    world, _ = shop(tmp_path)
    shown, made = json.loads(block("json")), msgspec.to_builtins(world.profiles.explain("ada", k=2))
    assert shown.keys() == made.keys()
    assert same(shown, made)
    assert block("text").splitlines() == world.profiles.explain("ada", k=2, lang="zh").sentences
    world.close()


def same(shown: Any, made: Any) -> bool:
    """Equal, numbers to the six digits of the page."""
    if isinstance(made, float):
        return shown == pytest.approx(made, abs=1e-6)
    if isinstance(made, dict):
        return shown.keys() == made.keys() and all(same(shown[name], made[name]) for name in made)
    if isinstance(made, list | tuple):
        return len(shown) == len(made) and all(same(a, b) for a, b in zip(shown, made, strict=True))
    return bool(shown == made)


def test_the_example_adds_up_to_its_digits() -> None:
    shown = json.loads(block("json"))
    assert shown["base_value"] + sum(shown["shap_values"].values()) == pytest.approx(shown["final_score"], abs=1e-5)


def test_levels_and_families_are_those_of_the_code() -> None:
    assert set(re.findall(r"^\| `(\w+)` \| .*\| .*\| ", PAGE, re.M)) >= set(LEVELS)
    families = dict(re.findall(r"^\| `rules:(\w+)` \| (.*) \|$", PAGE, re.M))
    assert families.keys() == FAMILIES.keys()
    for family, fields in FAMILIES.items():
        assert tuple(re.findall(r"`(\w+)`", families[family])) == fields
    for term in TERMS:
        assert f"`activity:{term}`" in PAGE


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    assert f"up to {MOST_PLAYERS} named groups" in PAGE
    assert f"at most {2**MOST_PLAYERS:,}" in PAGE
    assert f"the {MOST_TRACED:,} heaviest" in PAGE
    assert f"the {MOST_MISSES} nearest" in PAGE
    assert f"at most {FRESH_S} seconds" in PAGE
    assert f"up to {SHORT_DAYS} days" in PAGE
