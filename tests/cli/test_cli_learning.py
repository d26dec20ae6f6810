"""`shopkeeper learning` and `shopkeeper rewards`, on a live server."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shopkeeper.checks.ranking import NAMES, small_rows
from shopkeeper.cli.main import main
from shopkeeper.core.clock import moment
from shopkeeper.core.records import Event

if TYPE_CHECKING:
    from api_server import Running

sys.path.insert(0, str(Path(__file__).parents[1] / "api"))


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    from api_server import serving

    with serving(tmp_path_factory.mktemp("learning")) as running:
        yield running


def shown(home: Path, capsys: pytest.CaptureFixture[str], *args: str) -> str:
    capsys.readouterr()
    main([*args, "--home", str(home)])
    return capsys.readouterr().out


def read(home: Path, capsys: pytest.CaptureFixture[str], *args: str) -> Any:
    return json.loads(shown(home, capsys, *args, "--json"))


def refused(home: Path, capsys: pytest.CaptureFixture[str], *args: str) -> tuple[Any, str]:
    """Exit code, and what was said."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([*args, "--home", str(home)])
    return ended.value.code, capsys.readouterr().err


def test_a_learner_begins_changes_and_goes(live: Running, capsys: pytest.CaptureFixture[str]) -> None:
    home = live.shop.home.path
    assert "no learners; train a model with --algorithm ftrl" in shown(home, capsys, "learning")
    code, said = refused(home, capsys, "learning", "begin", "home_online")
    assert (code, "shopkeeper train home_online --algorithm ftrl" in said.replace("\n", " ")) == (6, True), said
    rows, path = small_rows(300), home / "table.csv"
    lines = [(*one, int(label)) for one, label in zip(rows.values.tolist(), rows.label, strict=True)]
    path.write_text("\n".join(",".join(map(str, one)) for one in [(*NAMES, "taken"), *lines]))
    source = {"kind": "file", "path": str(path), "label": "taken"}
    job = live.shop.releases.train("home_online", "ftrl", source=source)
    assert live.shop.jobs.wait(job.job_id, 120).status == "done"

    begun = read(home, capsys, "learning", "begin", "home_online", "--set", "rate=0.2", "--set", "rolling=gradual")
    assert (begun["model"], begun["settings"]["rate"], begun["settings"]["rolling"]) == ("home_online", 0.2, "gradual")
    again = read(home, capsys, "learning", "begin", "home_online", "--set", "every=50")
    kept = {name: again["settings"][name] for name in ("rate", "rolling", "every")}
    assert kept == {"rate": 0.2, "rolling": "gradual", "every": 50}, "what is not named keeps its value"
    assert "home_online" in shown(home, capsys, "learning", "list")
    assert [one["model"] for one in read(home, capsys, "learning")] == ["home_online"]
    code, said = refused(home, capsys, "learning", "snapshot", "home_online")
    assert (code, "has not learned anything yet" in said.replace("\n", " ")) == (6, True), said
    code, said = refused(home, capsys, "learning", "begin", "home_online", "--set", "rate=fast")
    assert (code, "rate" in said) == (4, True), said
    assert "home_online learns no more" in shown(home, capsys, "learning", "end", "home_online")
    assert read(home, capsys, "learning") == []
    assert refused(home, capsys, "learning", "end", "home_online")[0] == 3


def test_rewards_are_shown_and_tuned_by_the_log(live: Running, capsys: pytest.CaptureFixture[str]) -> None:
    home = live.shop.home.path
    told = shown(home, capsys, "rewards")
    assert "by its value" in told
    assert read(home, capsys, "rewards")["purchase"] == 1.0
    code, said = refused(home, capsys, "rewards", "tune")
    assert (code, "too short to tell" in said.replace("\n", " ")) == (4, True), said
    # 240 pairs of user and item that begin with a view; two of three have a save, of which half have an order.
    begin = moment(live.shop.clock.now()) - timedelta(days=20)
    events = []
    for number in range(240):
        user, at = f"tuned-{number}", begin + timedelta(hours=number)
        pair = {"user_id": user, "item_id": "item-1"}
        events.append(Event(event_type="view", time=at, **pair))
        if number % 3:
            events.append(Event(event_type="save", time=at + timedelta(hours=1), **pair))
        if number % 3 == 1:
            events.append(Event(event_type="order", time=at + timedelta(days=2), quantity=1.0, unit_price=2.0, **pair))
    assert not live.shop.log.append(events).result().rejected
    found = read(home, capsys, "rewards", "tune")
    assert (found["pairs"], found["orders"]) == (240, 80)
    by_kind = {one["kind"]: one for one in found["signals"]}
    assert by_kind["save"]["ordered"] == 80
    assert by_kind["save"]["weight"] == pytest.approx(0.5, abs=0.1)
    assert "80 orders within 7 days, of 240 pairs" in shown(home, capsys, "rewards", "tune").replace("\n", " ")
