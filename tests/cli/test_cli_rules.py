"""`shopkeeper rules`, on a live server and on a closed shop."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shopkeeper.cli.main import main

if TYPE_CHECKING:
    from api_server import Running

sys.path.insert(0, str(Path(__file__).parents[1] / "api"))
TREE = {"type": "matchAllCondition"}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    from api_server import serving

    with serving(tmp_path_factory.mktemp("rules")) as running:
        yield running


def shown(home: Path, capsys: pytest.CaptureFixture[str], *args: str) -> str:
    capsys.readouterr()
    main(["rules", *args, "--home", str(home)])
    return capsys.readouterr().out


def read(home: Path, capsys: pytest.CaptureFixture[str], *args: str) -> Any:
    return json.loads(shown(home, capsys, *args, "--json"))


def test_a_rule_from_adding_to_removing(live: Running, capsys: pytest.CaptureFixture[str]) -> None:
    home = live.shop.home.path
    made = read(home, capsys, "add", "regular", "orders >= 3", "--weight", "0.5", "--action", "[call]")
    assert (made["version"], made["weight"], made["action"]) == (1, 0.5, "[call]")
    told = shown(home, capsys, "change", "regular", "--condition", "orders >= 4", "--description", "comes back")
    assert "regular, version 2" in told
    assert "if        orders >= 4" in told
    assert "suggests  [call]" in told
    assert "orders >= 3" in shown(home, capsys, "show", "regular", "--version", "1")
    assert [one["version"] for one in read(home, capsys, "show", "regular", "--versions")] == [2, 1]
    assert read(home, capsys, "revert", "regular", "1")["condition"] == "orders >= 3"
    table = shown(home, capsys)
    assert "+0.5" in table
    assert "[call]" in table
    assert "at_risk_churn" in table
    assert read(home, capsys, "list") == read(home, capsys)
    assert read(home, capsys, "remove", "regular") == {"removed": "regular"}
    assert "regular" not in {one["name"] for one in read(home, capsys)}


def test_a_preview_and_the_fields(live: Running, capsys: pytest.CaptureFixture[str]) -> None:
    home = live.shop.home.path
    told = shown(home, capsys, "preview", "orders >= 40", "--weight", "2")
    assert "matches 3 of 3 customers (100.0%)" in told
    assert "scores move by +2" in told
    assert "user-0" in told
    assert read(home, capsys, "preview", "orders > 1e6")["matches"] == 0
    assert "orders" in shown(home, capsys, "fields")
    assert {one["name"] for one in read(home, capsys, "fields")} >= {"orders", "lifecycle"}


def test_an_import(live: Running, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    home, file = live.shop.home.path, tmp_path / "rules.json"
    file.write_text(json.dumps([{"name": "all", "condition": TREE}, {"name": "odd", "condition": {"type": "x"}}]))
    told = shown(home, capsys, "import", str(file))
    assert "made all: True" in told
    assert "not made odd: condition.type" in told
    file.write_text(json.dumps({"metadata": {"id": "alone"}, "condition": TREE}))
    assert read(home, capsys, "import", str(file))["created"][0]["name"] == "alone"
    with pytest.raises(SystemExit) as caught:
        shown(home, capsys, "import", str(file))
    assert caught.value.code == 4
    file.write_text(json.dumps({"rules": [{"name": "wrapped", "condition": TREE}]}))
    assert read(home, capsys, "import", str(file))["created"][0]["name"] == "wrapped"
    for name in ("all", "alone", "wrapped"):
        shown(home, capsys, "remove", name)


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["show", "nothing"], 3, "no rule 'nothing'"),
        (["add", "x", "ordrs > 1"], 4, "at 1: unknown field 'ordrs'"),
        (["add", "x", "orders.real > 1"], 4, "no attributes or calls"),
        (["change", "high_value"], 2, "nothing to change"),
        (["remove", "nothing"], 3, "no rule"),
        (["revert", "high_value", "0"], 2, "0 is not in the range"),
        (["revert", "high_value", "99"], 3, "no version 99"),
        (["preview", "orders"], 4, "compare it with something"),
        (["import", __file__], 4, "is not JSON"),
    ],
)
def test_what_goes_wrong_is_said(
    live: Running, capsys: pytest.CaptureFixture[str], args: list[str], code: int, words: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        shown(live.shop.home.path, capsys, *args)
    assert caught.value.code == code
    assert words in capsys.readouterr().err


def test_without_a_server_the_shop_is_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("order date,customer,sku,qty,price\n2026-01-01,ada,mug,1,4.5\n")
    main(["import", str(file), "--home", str(tmp_path / "home"), "--json"])
    assert read(tmp_path / "home", capsys, "preview", "orders >= 1")["sample"] == ["ada"]
    read(tmp_path / "home", capsys, "add", "kept", "orders >= 1")
    assert read(tmp_path / "home", capsys, "show", "kept")["condition"] == "orders >= 1"
