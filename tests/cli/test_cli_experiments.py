"""`shopkeeper experiments`, on a live server."""

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

    with serving(tmp_path_factory.mktemp("experiments")) as running:
        yield running


def shown(home: Path, capsys: pytest.CaptureFixture[str], *args: str) -> str:
    capsys.readouterr()
    main(["experiments", *args, "--home", str(home)])
    return capsys.readouterr().out


def read(home: Path, capsys: pytest.CaptureFixture[str], *args: str) -> Any:
    return json.loads(shown(home, capsys, *args, "--json"))


def test_from_a_file_to_the_roll_out(live: Running, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    home, file = live.shop.home.path, tmp_path / "plan.json"
    plan = {
        "name": "varied",
        "target": {"scenario": "home"},
        "variants": [{"name": "plain"}, {"name": "varied", "config": {"diversity": 0.4}}],
        "metric": "orders",
        "guards": ["revenue"],
    }
    file.write_text(json.dumps(plan))
    id = read(home, capsys, "create", str(file))["experiment_id"]
    assert "draft" in shown(home, capsys)
    assert read(home, capsys, "start", id)["status"] == "running"
    assert read(home, capsys, "assignment", id, "user-1")["variant"] in ("plain", "varied")
    assert "paused" in shown(home, capsys, "pause", id)
    assert "running" in shown(home, capsys, "resume", id)
    assert "90%" in shown(home, capsys, "shares", id, "--weight", "plain=1", "--weight", "varied=9")
    assert "25%" in shown(home, capsys, "roll-out", id, "varied", "--step", "0.25", "--step", "1")
    told = shown(home, capsys, "show", id)
    assert "guard revenue: ok" in told
    assert "verdict: running" in told
    shown(home, capsys, "step", id)
    done = read(home, capsys, "step", id)
    assert (done["status"], done["winner"]) == ("done", "varied")
    assert live.shop.shaped.book.get("home").diversity == 0.4
    assert "done" in shown(home, capsys, "roll-back", id)
    assert [one["experiment_id"] for one in read(home, capsys, "list", "--status", "done")] == [id]
    other = read(home, capsys, "create", str(file), "--start")["experiment_id"]
    assert read(home, capsys, "stop", other, "--reason", "no need")["reason"] == "no need"
    draft = read(home, capsys, "create", str(file))["experiment_id"]
    shown(home, capsys, "delete", draft)
    assert read(home, capsys, "size", "0.05", "0.2") == {"per_variant": 8158}


def test_what_is_wrong_is_told(live: Running, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    home, file = live.shop.home.path, tmp_path / "plan.json"
    file.write_text("[]")
    for args in (("show", "nothing"), ("create", str(file)), ("shares", "x"), ("shares", "x", "--weight", "b=c")):
        with pytest.raises(SystemExit) as ended:
            shown(home, capsys, *args)
        assert ended.value.code == (3 if args[0] == "show" else 2)
