"""docs/schedules.md says what the code does."""

import re
from pathlib import Path

import msgspec
import pytest

from shopkeeper.api.app import NOUNS
from shopkeeper.api.schedules import ScheduleForm
from shopkeeper.cli.pipeline import command
from shopkeeper.core.schedules import Schedule
from shopkeeper.forecast.measuring.backtest import BacktestForm
from shopkeeper.lifecycle.conditions import METRICS, Condition
from shopkeeper.lifecycle.orders import TrainOrder
from shopkeeper.operations.refreshing import RefreshOrder
from shopkeeper.operations.scheduled import CleanupOrder, UploadOrder
from shopkeeper.stores.schedules import LEASE

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "schedules.md").read_text()


def rows(part):
    """The cells of a part's table."""
    section = PAGE.split(f"\n## {part}\n")[1].split("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def names(cell):
    return re.findall(r"`([^`]+)`", cell)


@pytest.mark.parametrize(
    ("kind", "record", "without"),
    [
        ("train", TrainOrder, {"version"}),
        ("backtest", BacktestForm, set()),
        ("upload", UploadOrder, set()),
        ("cleanup", CleanupOrder, set()),
        ("refresh", RefreshOrder, set()),
    ],
)
def test_every_kind_is_listed_with_its_parameters(kind, record, without):
    listed = {names(row[0])[0]: names(row[1]) for row in rows("What")}
    assert set(listed) == {"train", "backtest", "upload", "cleanup", "refresh"}
    assert sorted(listed[kind]) == sorted(set(record.__struct_fields__) - without)


def test_the_condition_is_listed_with_its_defaults():
    fields = {one.name: one.default for one in msgspec.structs.fields(Condition)}
    told = {names(row[0])[0]: None if row[1] == "-" else float(row[1]) for row in rows("Condition")}
    assert told == fields
    metric = next(row[2] for row in rows("Condition") if "`metric`" in row[0])
    assert set(METRICS) <= set(names(metric))


def test_the_doors_are_those_of_the_api():
    told = [names(row[0])[0] for row in rows("Doors")]
    served = [f"{door.method} {door.path}" for noun in NOUNS for door in noun.all if "/schedules" in door.path]
    assert sorted(told) == sorted(served)
    form = re.search(r"`\{(name, cron[^}]*)\}`", PAGE)[1].split(", ")
    assert sorted(form) == sorted(ScheduleForm.__struct_fields__)


def test_numbers_in_the_text_are_the_codes():
    said = Schedule(name="x", cron="", kind="train")
    assert f"`retry_wait_s` ({said.retry_wait_s:.0f})" in PAGE
    assert f"`retries` ({said.retries})" in PAGE
    assert f"leased for {LEASE // 1_000_000} seconds" in PAGE


def test_options_of_the_pipeline_exist():
    known = {option for parameter in command.params for option in parameter.opts}
    told = [names(row[0])[0].split()[0] for row in rows("The pipeline")]
    assert set(told) <= known
    assert {"--skip-eval", "--skip-register", "--no-promote", "--upload", "--existing"} <= set(told)
