"""What the client repeats, and what it never does: asked of a small server that answers as it is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest

from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.errors import Busy, Overloaded, Refused, ShopkeeperError, Stale, Unavailable
from shopkeeper.core.records import Event, JobEvent


@dataclass
class Script:
    """Answers in order (status, body, headers); a status of 0 drops the connection, one of -1 never comes. `seen` keeps
    what was asked."""

    answers: list[tuple[int, bytes, dict[str, str]]]
    seen: list[tuple[str, str, bytes]] = field(default_factory=list)
    last_ids: list[str | None] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def scripted(
    *answers: tuple[int, bytes, dict[str, str]], timeout_s: float = 30.0
) -> Iterator[tuple[Script, ShopkeeperClient]]:
    script = Script(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            script.seen.append((self.command, self.path, body))
            script.last_ids.append(self.headers.get("last-event-id"))
            status, content, headers = script.answers.pop(0)
            if status < 0:
                script.over.wait(20)
            if status <= 0:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "x-short" not in headers:
                self.send_header("content-length", str(len(content)))
            else:
                self.send_header("content-length", str(len(content) + 1))
                self.close_connection = True
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    for method in ("GET", "POST", "PUT", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.answer)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with ShopkeeperClient(f"http://127.0.0.1:{server.server_port}", "key", timeout_s=timeout_s) as client:
            yield script, client
    finally:
        script.over.set()
        server.shutdown()
        server.server_close()


def problem(kind: str, code: str, **more: str) -> bytes:
    return msgspec.json.encode({"detail": "told", "code": code, "type": kind, "request_id": "r", **more})


BUSY = (503, problem("Unavailable", "closing"), {"retry-after": "0"})
FULL = (429, problem("Overloaded", "overloaded"), {"retry-after": "0"})
TAKEN = (202, b'{"accepted":1,"duplicates":0}', {})


def test_reading_is_repeated_until_it_answers() -> None:
    with scripted(BUSY, (0, b"", {}), (200, b'{"ok":true}', {})) as (script, client):
        assert client.health() == {"ok": True}
    assert [method for method, _, _ in script.seen] == ["GET"] * 3


def test_an_answer_that_comes_too_late_is_no_shop_that_is_gone() -> None:
    never = (-1, b"", {})
    with scripted(never, never, never, never, TAKEN, timeout_s=0.3) as (script, client):
        with pytest.raises(Unavailable, match=r"not answered GET /health within 0\.3 s; ask later") as read:
            client.health()
        with pytest.raises(Unavailable, match="may be done all the same") as done:
            client.promote("m", 1)
        assert [read.value.code, done.value.code] == ["timeout", "timeout"]
        assert len(script.seen) == 2
        assert client.send(Event(event_type="view", item_id="a")).accepted == 1  # its id stands for it
    assert len(script.seen) == 5


@pytest.mark.parametrize("code", ["not_initialized", "not_installed"])
def test_what_waits_for_a_person_is_told_at_once(code: str) -> None:
    with scripted((503, problem("Unavailable", code), {"retry-after": "1"})) as (script, client):
        with pytest.raises(Unavailable, match="told"):
            client.bandit_statistics()
        assert len(script.seen) == 1


def test_events_are_repeated_with_the_same_id() -> None:
    with scripted((0, b"", {}), FULL, TAKEN) as (script, client):
        assert client.send(Event(event_type="view", item_id="a")).accepted == 1
    bodies = {body for _, _, body in script.seen}
    assert len(script.seen) == 3
    assert len(bodies) == 1
    assert b"event_id" in bodies.pop()


def test_it_gives_up_after_a_few() -> None:
    with scripted(FULL, FULL, FULL) as (script, client), pytest.raises(Overloaded, match="told"):
        client.health()
    assert len(script.seen) == 3


def test_what_changes_things_is_sent_once() -> None:
    with scripted(BUSY, BUSY) as (script, client):
        with pytest.raises(Unavailable):
            client.promote("m", 1)
        with pytest.raises(Unavailable):
            client.train("m", "xgb")
    assert len(script.seen) == 2


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        ((412, problem("Conflict", "stale"), {}), Stale, "stale"),
        ((401, problem("Refused", "no_key"), {}), Refused, "no_key"),
        ((409, problem("Conflict", "busy", job_id="j-1"), {}), Busy, "busy"),
        ((500, problem("Internal", "internal"), {}), ShopkeeperError, "internal"),
        ((502, b"<html>bad gateway</html>", {}), ShopkeeperError, "error"),
        ((200, b"<html>a login page</html>", {}), Unavailable, "bad_answer"),
    ],
)
def test_every_answer_means_one_error(
    answer: tuple[int, bytes, dict[str, str]], kind: type[ShopkeeperError], code: str
) -> None:
    with scripted(answer) as (_, client), pytest.raises(kind) as told:
        client.call("POST", "/anything", dict[str, str])
    assert told.value.code == code
    if isinstance(told.value, Busy):
        assert told.value.job_id == "j-1"


def test_a_broken_stream_goes_on_where_it_stopped() -> None:
    def told(seq: int, kind: str) -> bytes:
        data = {"seq": seq, "type": kind, "job_id": "j", "timestamp": "2026-01-01T00:00:00Z", "data": {}}
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (seq, kind.encode(), msgspec.json.encode(data))

    stream = {"content-type": "text/event-stream"}
    first = (200, b": keep-alive\n\n" + told(1, "progress") + told(2, "progress"), {**stream, "x-short": "1"})
    second = (200, told(3, "log") + told(4, "done"), stream)
    with scripted(first, second) as (script, client):
        events: list[JobEvent] = list(client.job_events("j"))
    assert [event.seq for event in events] == [1, 2, 3, 4]
    assert script.last_ids == ["0", "2"]
