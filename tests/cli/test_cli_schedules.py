"""`shopkeeper schedules` on a closed shop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest

from shopkeeper.cli.main import main
from shopkeeper.cli.pairs import pairs


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scheduled")
    file = folder / "orders.csv"
    days = [f"2026-01-{day:02d},c-{day % 5},sku-{day % 7},1,4.5\n" for day in range(1, 29)]
    file.write_text("order date,customer,sku,qty,price\n" + "".join(days))
    main(["import", str(file), "--home", str(folder / "home"), "--json"])
    return folder / "home"


def read(home: Path, capsys: pytest.CaptureFixture[str], *args: str) -> Any:
    capsys.readouterr()
    main(["schedules", *args, "--home", str(home), "--json"])
    return json.loads(capsys.readouterr().out)


def shown(home: Path, capsys: pytest.CaptureFixture[str], *args: str) -> str:
    capsys.readouterr()
    main(["schedules", *args, "--home", str(home)])
    return capsys.readouterr().out


def test_a_schedule_from_adding_to_removing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("--set", "model=popularity", "--set", "algorithm=popularity", "--when", "new_events=1")
    made = read(home, capsys, "add", "daily", "--cron", "30 3 * * *", *given, "--retries", "1")
    assert (made["retries"], made["condition"]) == (1, {"new_events": 1})
    assert made["params"] == {"model": "popularity", "algorithm": "popularity"}
    assert made["next_run"] is not None
    assert [one["name"] for one in read(home, capsys)] == ["daily", "nightly"]
    assert [one["name"] for one in read(home, capsys, "list")] == ["daily", "nightly"]
    assert read(home, capsys, "disable", "daily")["next_run"] is None
    assert read(home, capsys, "enable", "daily")["next_run"] == made["next_run"]
    assert read(home, capsys, "run", "daily")["status"] == "done"
    table = shown(home, capsys)
    assert "train popularity" in table
    assert "30 3 * * *" in table
    assert read(home, capsys, "remove", "daily") == {"removed": "daily"}
    assert [one["name"] for one in read(home, capsys)] == ["nightly"]


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["run", "nothing"], 3),
        (["add", "x", "--cron", "soon"], 4),
        (["add", "x", "--cron", "0 2 * * *", "--set", "model"], 2),
        (["add", "nightly", "--cron", "0 2 * * *", "--set", "model=m", "--set", "algorithm=popularity"], 6),
    ],
)
def test_what_goes_wrong_has_its_exit_code(home: Path, args: list[str], code: int) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["schedules", *args, "--home", str(home)])
    assert ended.value.code == code


def test_pairs_nest_by_dots_and_read_json() -> None:
    given = ["a=1", "b=text", "c.d=true", "c.e.f=[1]", "g=x=y"]
    assert pairs(given, "--set") == {"a": 1, "b": "text", "c": {"d": True, "e": {"f": [1]}}, "g": "x=y"}
    for wrong in (["a"], ["=1"], ["a=1", "a.b=2"]):
        with pytest.raises(click.BadParameter):
            pairs(wrong, "--set")
