"""`shopkeeper scenarios`, on a live server and on a closed shop."""

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


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    from api_server import serving

    with serving(tmp_path_factory.mktemp("scenarios")) as running:
        yield running


def shown(home: Path, capsys: pytest.CaptureFixture[str], *args: str) -> str:
    capsys.readouterr()
    main(["scenarios", *args, "--home", str(home)])
    return capsys.readouterr().out


def read(home: Path, capsys: pytest.CaptureFixture[str], *args: str) -> Any:
    return json.loads(shown(home, capsys, *args, "--json"))


def failed(home: Path, capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        shown(home, capsys, *args)
    return int(ended.value.code or 0), capsys.readouterr().err


def test_a_scenario_from_setting_to_removing(live: Running, capsys: pytest.CaptureFixture[str]) -> None:
    home = live.shop.home.path
    assert "home" in shown(home, capsys)
    assert "recall" in shown(home, capsys, "show", "home")
    options = ("--objective", "novelty=0.3", "--boost", "1.5: is_new", "--diversity", "0.2", "--ttl", "60")
    changed = read(home, capsys, "set", "home", *options, "--ranker", "none")
    assert changed["objectives"] == {"novelty": 0.3}
    assert changed["boosts"] == [{"rule": "is_new", "factor": 1.5}]
    assert (changed["diversity"], changed["ttl_s"], changed["ranker"], changed["version"]) == (0.2, 60, None, 2)
    further = read(home, capsys, "set", "home", "--objective", "revenue=1", "--objective", "novelty=0", "--no-boosts")
    assert (further["objectives"], further["boosts"]) == ({"revenue": 1}, [])
    told = shown(home, capsys, "set", "home", "--filter", "sellable", "--filter", "price < 20")
    assert "filter     price < 20" in told
    assert "2 (yours)" not in told
    assert "(yours)" in shown(home, capsys, "list")
    assert read(home, capsys, "remove", "home") == {"removed": "home"}
    assert read(home, capsys, "show", "home")["built_in"]


def test_what_was_changed_meanwhile_is_not_overwritten(
    live: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, file = live.shop.home.path, tmp_path / "feed.json"
    before = read(home, capsys, "show", "feed")["version"]
    file.write_text(shown(home, capsys, "show", "feed", "--json"), encoding="utf-8")
    after = read(home, capsys, "set", "feed", "--ttl", "7", "--if-version", str(before))["version"]
    assert after > before
    for late in (("set", "feed", "--ttl", "8"), ("put", "feed", str(file)), ("remove", "feed")):
        code, told = failed(home, capsys, *late, "--if-version", str(before))
        assert (code, "was changed meanwhile" in " ".join(told.split())) == (6, True)
    assert read(home, capsys, "show", "feed")["ttl_s"] == 7
    assert read(home, capsys, "remove", "feed", "--if-version", str(after)) == {"removed": "feed"}


def test_a_file_makes_one(live: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = live.shop.home.path
    file = tmp_path / "night.json"
    file.write_text(shown(home, capsys, "show", "feed", "--json"), encoding="utf-8")
    assert read(home, capsys, "put", "night", str(file))["version"] == 1
    file.write_text("[]", encoding="utf-8")
    code, told = failed(home, capsys, "put", "night", str(file))
    assert code == 2
    assert "holds no JSON object" in told
    shown(home, capsys, "remove", "night")


@pytest.mark.parametrize(
    ("args", "code", "told"),
    [
        (("set", "home"), 2, "nothing to change"),
        (("set", "home", "--objective", "novelty"), 2, "NAME=WEIGHT"),
        (("set", "home", "--boost", "is_new"), 2, "FACTOR:RULE"),
        (("set", "home", "--filter", "price >"), 4, "filters[0]: at 8"),
        (("set", "nowhere", "--ttl", "1"), 3, "no scenario 'nowhere'"),
        (("remove", "mail"), 6, "is built in and stays"),
    ],
)
def test_what_is_wrong_is_told(
    live: Running, capsys: pytest.CaptureFixture[str], args: tuple[str, ...], code: int, told: str
) -> None:
    found, said = failed(live.shop.home.path, capsys, *args)
    assert found == code
    assert told in " ".join(said.split())


def test_without_a_server_the_shop_is_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("order date,customer,sku,qty,price\n2026-01-01,ada,mug,1,4.5\n")
    home = tmp_path / "home"
    main(["import", str(file), "--home", str(home), "--json"])
    assert {"price", "is_new"} <= {one["name"] for one in read(home, capsys, "fields")}
    assert "cover_days" in shown(home, capsys, "fields")
    assert read(home, capsys, "set", "home", "--ttl", "5")["version"] == 2
    assert read(home, capsys, "show", "home")["ttl_s"] == 5
