"""The server is killed, SQL is slow, thousands of sockets wait: what was acknowledged stays, and slates go on."""

from __future__ import annotations

import json
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from api_server import serving
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

V1 = "/api/v1"
DYING = Path(__file__).parent / "dying_slates.py"
MANY = 1_000


def slate(http: httpx.Client, user_id: str, **more: Any) -> dict[str, Any]:
    body = {"user_id": user_id, "scenario": "home", "use_cache": False, **more}
    answer = http.post(f"{V1}/personalization/recommend", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def written(home: Path, slate_id: str) -> bool:
    with sqlite3.connect(home / "shop.db") as connection:
        found = connection.execute("SELECT count(*) FROM slates WHERE slate_id = ?", [slate_id]).fetchone()
    return bool(found[0])


@contextmanager
def dying(home: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address of a server, and its process, which ends in any case."""
    with subprocess.Popen([sys.executable, DYING, home], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            with httpx.Client(transport=httpx.HTTPTransport(retries=8)) as http:  # it is bound, and listens soon
                assert http.get(f"{url}/livez", timeout=30).status_code == 200
            yield url, process
        finally:
            process.kill()


def test_what_was_acknowledged_outlives_a_kill(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(home):
        pass  # with its events
    with dying(home) as (url, process), httpx.Client(base_url=url, timeout=30) as http:
        shown = slate(http, "user-1")
        deadline = time.monotonic() + 30
        while not written(home, shown["request_id"]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        accepted, item = shown["request_id"], shown["recommendations"][0]["item_id"]
        with connect(f"{url.replace('http', 'ws')}{V1}/personalization/stream") as socket:
            socket.send('{"user_id": "user-1"}')
            socket.recv(30)
            socket.send(json.dumps({"type": "feedback", "item_id": item, "feedback_type": "like"}))
            assert json.loads(socket.recv(30))["type"] == "feedback_received"
            said = http.post(f"{V1}/personalization/recommendations/{accepted}/accept", json={"item_id": item})
            assert said.json() == {"success": True}
            process.send_signal(signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL
    with serving(home) as again:
        events = again.http.get(f"{V1}/events", params={"user_id": "user-1"}).json()["items"]
        kinds = [event["event_type"] for event in events]
        assert (kinds.count("like"), kinds.count("accept"), kinds.count("order")) == (1, 1, 40)
        repeated = again.http.post(f"{V1}/personalization/recommendations/{accepted}/accept", json={"item_id": item})
        assert repeated.json() == {"success": True}
        stored = again.http.get(f"{V1}/events", params={"user_id": "user-1", "event_type": "accept"}).json()["items"]
        assert len(stored) == 1


def test_slates_do_not_wait_for_a_database_that_is_busy(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as live:
        begun, go_on = threading.Event(), threading.Event()

        def busy(_: Any) -> None:
            begun.set()
            go_on.wait(60)

        held = live.shop.db.writer.submit(busy)
        assert begun.wait(30)
        shown = [slate(live.http, f"user-{k % 3}") for k in range(30)]
        assert not held.done()
        assert live.shop.slatelog.waiting == 30
        go_on.set()
        for one in shown:
            said = live.http.post(f"{V1}/personalization/recommendations/{one['request_id']}/accept")
            assert said.json() == {"success": True}


def test_a_thousand_idle_sockets_cost_nobody_an_answer(tmp_path: Path) -> None:
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    many = min(MANY, (most - 500) // 2)
    with serving(tmp_path / "home") as live, ExitStack() as held:
        url = f"{live.url.replace('http', 'ws')}{V1}/personalization/stream"
        sockets = [held.enter_context(connect(url, ping_interval=None)) for _ in range(many)]
        for socket in sockets:
            socket.send('{"user_id": "user-1"}')
        assert {json.loads(socket.recv(60))["type"] for socket in sockets} == {"connected"}
        assert slate(live.http, "user-1")["recommendations"]
        sockets[-1].send('{"type": "request"}')
        assert json.loads(sockets[-1].recv(30))["type"] == "recommendations"
        live.server.should_exit = True
        for socket in sockets:
            try:
                socket.recv(60)
            except ConnectionClosed:
                assert socket.close_code == 1012
