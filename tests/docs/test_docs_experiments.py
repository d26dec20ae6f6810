"""docs/experiments.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from shopkeeper.api.app import NOUNS
from shopkeeper.cli.experiments import command
from shopkeeper.core.experiments import Plan, Status, Verdict
from shopkeeper.lifecycle.experiments.assigning import BUCKETS
from shopkeeper.lifecycle.experiments.metrics import NAMED, read_metric
from shopkeeper.lifecycle.experiments.reckoning import BUSY_A_DAY
from shopkeeper.lifecycle.experiments.rolling import STEPS

PAGE = (Path(__file__).parents[2] / "docs" / "experiments.md").read_text(encoding="utf-8")


def test_the_plan_of_the_page_is_one() -> None:
    text = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert text is not None
    plan = msgspec.json.decode(text[1], type=Plan)
    assert plan.target.subject == "scenario:home"
    assert plan.decide == "sequential"


def test_words_and_numbers_are_those_of_the_code() -> None:
    assert set(re.findall(r"^\| `([a-z ]+)` \|", PAGE, re.MULTILINE)) >= set(get_args(Verdict)) - {"winner"}
    assert all(f"`{one}`" in PAGE for one in (*get_args(Status), *get_args(Verdict), *NAMED))
    assert f"{BUCKETS:,} buckets" in PAGE
    assert f"more than {BUSY_A_DAY:,} events a day" in PAGE
    assert ", ".join(f"{one:.0%}".replace("%", " %") for one in STEPS[:-1]) in PAGE


@pytest.mark.parametrize(
    "form", sorted(set(re.findall(r"`((?:count|share|sum|ratio|told|told_share):[A-Z/]+)`", PAGE)))
)
def test_metrics_of_the_page_are_read(form: str) -> None:
    assert read_metric(form.replace("TYPE", "view").replace("NAME", "calls"), {}).above is not None


def test_every_door_and_every_command_is_told() -> None:
    paths = {door.path for noun in NOUNS for door in noun.all if door.path.startswith("/api/v1/experiments")}
    assert len(paths) > 10
    for path in paths:
        assert f"/{path.rpartition('/')[2]}" in PAGE.replace("{id}", "{experiment_id}"), path
    told = set(re.findall(r"^shopkeeper experiments ([a-z-]+)", PAGE, re.MULTILINE))
    assert told <= set(command.commands)
