"""`shopkeeper up` as a person runs it: a process of its own, ended by a signal."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from shopkeeper.cli.main import main
from shopkeeper.cli.preflight import check_host
from shopkeeper.core.errors import Refused

UP = [sys.executable, "-m", "shopkeeper", "up", "--shop", "empty", "--port", "0", "--console-port", "0", "--json"]


@contextmanager
def up(home: Path, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    """The process and what it told when it was ready."""
    with (home.parent / "up.err").open("wb") as log:
        process = subprocess.Popen([*UP, "--home", str(home), *options], stdout=subprocess.PIPE, stderr=log)
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 120)[0], (home.parent / "up.err").read_text()
        line = process.stdout.readline()
        assert line, (home.parent / "up.err").read_text()
        yield process, json.loads(line)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait(30)


def gone(pid: int, within_s: float = 30.0) -> bool:
    until = time.monotonic() + within_s
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_a_signal_and_ends_cleanly(tmp_path: Path, kind: signal.Signals) -> None:
    with up(tmp_path / "home", "--no-console") as (process, told):
        assert httpx.get(f"{told['api']}/livez").json() == {"status": "alive"}
        event = {"event_type": "view", "user_id": "u", "item_id": "i"}
        assert httpx.post(f"{told['api']}/api/v1/events", json=event).status_code == 202
        with httpx.stream("GET", f"{told['api']}/api/v1/events/stream") as stream:
            process.send_signal(kind)
            list(stream.iter_bytes())  # an open stream is ended, not waited for
        assert process.wait(30) == 0
    assert not (tmp_path / "home" / "server.json").exists()
    with up(tmp_path / "home", "--no-console") as (_, told):
        assert httpx.get(f"{told['api']}/api/v1/events").json()["items"][0]["user_id"] == "u"


def test_commands_speak_to_the_live_server_and_a_second_one_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    with up(home, "--no-console") as (process, told):
        event = {"event_type": "order", "user_id": "u", "item_id": "i", "quantity": 1, "unit_price": 2}
        httpx.post(f"{told['api']}/api/v1/events", json=event)
        main(["recommend", "u", "--home", str(home), "--json"])
        assert json.loads(capsys.readouterr().out)["user_id"] == "u"
        second = subprocess.run([*UP, "--home", str(home)], capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 6
        assert str(process.pid) in second.stderr
        assert told["api"] in second.stderr
        port = told["api"].rpartition(":")[2]
        taken = [*UP, "--home", str(tmp_path / "other"), "--port", port, "--no-console"]
        third = subprocess.run(taken, capture_output=True, text=True, timeout=60, check=False)
        assert third.returncode == 6
        assert "--port 0" in third.stderr


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    sent = []
    with up(tmp_path / "home", "--no-console") as (process, told):
        with httpx.Client(base_url=told["api"]) as http:
            for number in range(50):
                event = {"event_id": f"e-{number}", "event_type": "view", "user_id": "u", "item_id": "i"}
                assert http.post("/api/v1/events", json=event).status_code == 202
                sent.append(event["event_id"])
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    with up(tmp_path / "home", "--no-console") as (_, told):
        kept = httpx.get(f"{told['api']}/api/v1/events", params={"limit": 1000}).json()["items"]
    assert sorted(one["event_id"] for one in kept) == sorted(sent)


def test_the_example_is_a_person_although_the_newest_events_are_nobodys(tmp_path: Path) -> None:
    bought = {"event_type": "order", "item_id": "i", "quantity": 1, "unit_price": 2}
    with up(tmp_path / "home", "--no-console") as (process, told):
        known = httpx.post(f"{told['api']}/api/v1/events", json=[bought | {"user_id": "ada"}])
        nobodys = httpx.post(f"{told['api']}/api/v1/events", json=[bought] * 600)
        assert (known.json()["accepted"], nobodys.json()["accepted"]) == (1, 600)
        process.send_signal(signal.SIGINT)
        process.wait(30)
    with up(tmp_path / "home", "--no-console") as (_, told):
        assert '"user_id":"ada"' in told["try"]


def test_addresses_are_told_before_the_models_are_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    orders = "".join(f"2026-01-{day:02d},c-{day % 5},sku-{day % 7},2,4.5\n" for day in range(1, 31))
    (tmp_path / "orders.csv").write_text("order date,customer,sku,qty,price\n" + orders)
    main(["import", str(tmp_path / "orders.csv"), "--home", str(tmp_path / "home"), "--json"])
    capsys.readouterr()
    with up(tmp_path / "home", "--no-console") as (process, told):
        ready = httpx.get(f"{told['api']}/readyz")
        assert ready.status_code == 503
        assert "not trained yet" in ready.json()["reasons"][0]
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 240)[0]
        trained = json.loads(process.stdout.readline())
        models = {one["name"] for one in httpx.get(f"{told['api']}/api/v1/models").json()["items"]}
        assert {"popularity", "item_knn"} <= set(trained["models"]) <= models
        assert not set(trained["models"]) & set(trained["untrained"])


def test_the_console_comes_and_goes_with_the_shop(tmp_path: Path) -> None:
    pytest.importorskip("streamlit", reason="the console's packages are not installed")
    with up(tmp_path / "home") as (process, told):
        assert told["console"]
        until = time.monotonic() + 60
        children = psutil.Process(process.pid).children(recursive=True)
        while not any("streamlit" in " ".join(child.cmdline()) for child in children):  # begun, not yet that program
            assert time.monotonic() < until
            time.sleep(0.1)
            children = psutil.Process(process.pid).children(recursive=True)
        answer = httpx.get(f"{told['api']}/", headers={"accept": "text/html"})
        assert answer.headers["location"] == told["console"]
        process.send_signal(signal.SIGKILL)  # not even a kill leaves it behind
        process.wait(30)
        assert all(gone(child.pid) for child in children)


def test_without_a_key_others_cannot_be_let_in(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(Refused, match="SHOPKEEPER_API_KEY"):
        check_host("0.0.0.0", None)
    check_host("0.0.0.0", "key")
    check_host("::1", None)
    for option in (["--host", "0.0.0.0"], ["--workers", "2"]):
        if os.environ.get("SHOPKEEPER_API_KEY") and option[0] == "--host":
            continue
        with pytest.raises(SystemExit) as ended:
            main(["up", "--home", str(tmp_path / "home"), *option])
        assert ended.value.code == 5
    assert "PostgreSQL" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()
