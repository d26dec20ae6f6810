"""Kept slates that are answered where their bytes come in: the same answers, and nobody who would not have had one."""

from __future__ import annotations

import json
import logging
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from api_server import KEY, Running, serving

from shopkeeper.api.middleware import Gatehouse
from shopkeeper.telemetry import metrics

RECOMMEND = "/api/v1/personalization/recommend"
CHANGING = re.compile(rb'(x-request-id: |date: |"request_id":|"latency_ms":|"timestamp":)[^\r,]+')


def body_of(user: str) -> bytes:
    return json.dumps({"user_id": user, "scenario": "home"}).encode()


def request(body: bytes, *more: str) -> bytes:
    lines = [f"POST {RECOMMEND} HTTP/1.1", "host: 127.0.0.1", f"content-length: {len(body)}", *more, "", ""]
    return "\r\n".join(lines).encode() + body


class Raw:
    """One connection on which bytes are said as they are."""

    def __init__(self, running: Running) -> None:
        self.socket = socket.create_connection(("127.0.0.1", int(running.url.rsplit(":", 1)[1])), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self.socket.makefile("rb")

    def hears(self) -> tuple[bytes, bytes]:
        """Head and body of the next answer."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self._file.readline()
            assert line, f"the server left after {head!r}"
            head += line
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None
        return head, self._file.read(int(length[1]))

    def ask(self, *pieces: bytes) -> tuple[bytes, bytes]:
        for piece in pieces:
            self.socket.sendall(piece)
        return self.hears()

    def left(self) -> bool:
        """Waits until the server ends it."""
        return self._file.read(1) == b""


@contextmanager
def raw(running: Running) -> Iterator[Raw]:
    one = Raw(running)
    try:
        yield one
    finally:
        one.socket.close()


@contextmanager
def long_way(running: Running) -> Iterator[list[str]]:
    """The paths of the requests that reach the application meanwhile."""
    gate = running.server.config.app
    assert isinstance(gate, Gatehouse)
    seen: list[str] = []
    behind = gate.app

    async def counted(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
        seen.append(scope["path"])
        await behind(scope, receive, send)

    gate.app = counted
    try:
        yield seen
    finally:
        gate.app = behind


def test_it_answers_with_the_bytes_of_the_long_way(live: Running) -> None:
    body = body_of("user-0")
    with raw(live) as one, long_way(live) as seen:
        one.ask(request(body))
        seen.clear()
        short = one.ask(request(body))
        assert seen == []
        long = one.ask(request(body, "x-other: 1"))
        assert seen == [RECOMMEND]
        again = one.ask(request(body, "x-other: 1"))
        assert seen == [RECOMMEND]
    told = [CHANGING.sub(rb"\1", b"".join(answer)) for answer in (short, long, again)]
    assert told[0] == told[1] == told[2]
    assert b'"cache_hit":true' in told[0]


def test_each_answer_has_ids_of_its_own_and_counts(live: Running) -> None:
    body = body_of("kept-1")  # who accepts something here, and is nobody that other tests count
    labels = {"path": RECOMMEND, "method": "POST", "status": "200"}
    with raw(live) as one:
        first = json.loads(one.ask(request(body))[1])
        before = metrics.REGISTRY.get_sample_value("http_requests_total", labels) or 0
        taken = metrics.REGISTRY.get_sample_value("http_request_duration_seconds_count", {"path": RECOMMEND}) or 0
        with long_way(live) as seen:
            answers = [one.ask(request(body)) for _ in range(50)]
        assert seen == []
    assert (metrics.REGISTRY.get_sample_value("http_requests_total", labels) or 0) >= before + 50
    after = metrics.REGISTRY.get_sample_value("http_request_duration_seconds_count", {"path": RECOMMEND}) or 0
    assert after >= taken + 50
    assert len({head for head, _ in answers}) == 50
    slates = {json.loads(told)["request_id"] for _, told in answers}
    assert len(slates) == 50
    assert {id.partition("-")[0] for id in slates} == {first["request_id"].partition("-")[0]}
    seen_id = sorted(slates)[-1]
    accepted = live.http.post(f"/api/v1/personalization/recommendations/{seen_id}/accept", json={})
    assert accepted.status_code == 200, accepted.text


def test_the_body_may_come_by_itself_and_in_pieces(live: Running) -> None:
    body = body_of("user-2")
    whole = request(body)
    head = whole[: -len(body)]
    with raw(live) as one, long_way(live) as seen:
        one.ask(whole)
        seen.clear()
        for _ in range(3):
            one.socket.sendall(head)
            time.sleep(0.05)  # two segments, most likely; right either way
            assert b'"cache_hit":true' in one.ask(body)[1]
        assert seen == []
        for at in range(1, len(whole), 7):
            one.socket.sendall(whole[:at])
            time.sleep(0.002)
            assert b'"cache_hit":true' in one.ask(whole[at:])[1]
        told = one.ask(*(whole[at : at + 1] for at in range(len(whole))))
        assert b'"cache_hit":true' in told[1]


def test_an_empty_body_is_refused_each_time(live: Running) -> None:
    with raw(live) as one:
        for length in ("0", "0", "00", "00"):
            head, _ = one.ask(request(b"").replace(b"length: 0", f"length: {length}".encode()))
            assert head.startswith(b"HTTP/1.1 422"), head


def test_several_at_once_are_answered_in_order(live: Running) -> None:
    bodies = [body_of(f"user-{n}") for n in (0, 1, 2, 1)]
    with raw(live) as one:
        for body in bodies:
            one.ask(request(body))
        one.socket.sendall(
            b"".join(request(body) for body in bodies) + b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n"
        )
        users = [json.loads(one.hears()[1])["user_id"] for _ in bodies]
        assert users == ["user-0", "user-1", "user-2", "user-1"]
        assert b"200 OK" in one.hears()[0]


def test_a_head_is_remembered_with_its_key_only(locked: Running) -> None:
    body = body_of("user-0")
    with raw(locked) as one:
        for _ in range(2):
            assert one.ask(request(body, f"x-api-key: {KEY}"))[0].startswith(b"HTTP/1.1 200")
            for more in ([], [f"x-api-key: {KEY[:-1]}"], [f"x-api-key: {KEY}s"], ["authorization: Bearer none"]):
                head, told = one.ask(request(body, *more))
                assert head.startswith(b"HTTP/1.1 401"), (more, head)
                assert json.loads(told)["code"] in ("no_key", "bad_key")
        assert one.ask(request(body, f"authorization: Bearer {KEY}"))[0].startswith(b"HTTP/1.1 200")


def test_pages_of_other_sites_are_refused_still(live: Running) -> None:
    body = body_of("user-0")
    with raw(live) as one:
        assert one.ask(request(body))[0].startswith(b"HTTP/1.1 200")
        for _ in range(2):
            assert one.ask(request(body, "origin: https://elsewhere.example"))[0].startswith(b"HTTP/1.1 403")


def test_what_lies_in_the_body_of_a_refused_request_is_no_request(locked: Running) -> None:
    inner = request(body_of("user-0"), f"x-api-key: {KEY}")
    with raw(locked) as one:
        one.ask(inner)
        assert b'"cache_hit":true' in one.ask(inner)[1]
    with raw(locked) as one:
        size = 4000 + len(inner)
        announced = (
            f"POST {RECOMMEND} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: {KEY}\r\ncontent-length: {size}\r\n\r\n"
        )
        assert one.ask(announced.encode())[0].startswith(b"HTTP/1.1 413")
        one.socket.sendall(b" " * 4000)
        time.sleep(0.05)
        one.socket.sendall(inner)  # in a segment of its own, as if it were asked
        time.sleep(0.05)
        head, _ = one.ask(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert b'"' not in head
        assert json.loads(one.ask(inner)[1])["user_id"] == "user-0"
        one.socket.shutdown(socket.SHUT_WR)
        assert one.left()


@pytest.mark.parametrize("more", ["x-request-id: mine-1", "connection: close", "expect: 100-continue"])
def test_what_asks_for_an_answer_of_its_own_has_it(live: Running, more: str) -> None:
    body = body_of("user-0")
    for _ in range(3):
        with raw(live) as one:
            one.socket.sendall(request(body, more))
            if more.startswith("expect"):
                assert b"".join(one._file.readline() for _ in range(2)).strip() in (b"HTTP/1.1 100 Continue", b"")
            head, told = one.hears()
            assert b'"user_id":"user-0"' in told
            if more.startswith("x-request-id"):
                assert b"x-request-id: mine-1\r\n" in head
            if more.startswith("connection"):
                assert one.left()


def test_an_old_protocol_closes(live: Running) -> None:
    asked = request(body_of("user-0")).replace(b"HTTP/1.1", b"HTTP/1.0")
    for _ in range(3):
        with raw(live) as one:
            assert b"connection: close" in one.ask(asked)[0]
            assert one.left()


def test_what_a_customer_does_is_in_the_next_answer(tmp_path: Path) -> None:
    body = body_of("user-0")
    with serving(tmp_path) as running, raw(running) as one:
        one.ask(request(body))
        assert b'"cache_hit":true' in one.ask(request(body))[1]
        event = {"event_type": "view", "user_id": "user-0", "item_id": "item-1"}
        assert running.http.post("/api/v1/events", json=event).status_code == 202
        until = time.monotonic() + 30
        while b'"cache_hit":true' in one.ask(request(body))[1]:
            assert time.monotonic() < until
            time.sleep(0.01)


def test_successes_are_told_at_debug_level(live: Running, caplog: pytest.LogCaptureFixture) -> None:
    body = body_of("user-0")
    with raw(live) as one:
        one.ask(request(body))
        with caplog.at_level(logging.DEBUG, "shopkeeper.access"):
            head, _ = one.ask(request(body))
            one.ask(request(body))  # the line of the one before is written by now
        ids = [getattr(line, "request_id", "") for line in caplog.records if line.name == "shopkeeper.access"]
        assert any(f"x-request-id: {id}\r\n".encode() in head for id in ids if id)


def test_who_says_nothing_any_more_is_let_go(tmp_path: Path) -> None:
    body = body_of("user-0")
    with serving(tmp_path) as running:
        running.server.config.timeout_keep_alive = 1
        with raw(running) as one:
            one.ask(request(body))
        with raw(running) as one, long_way(running) as seen:
            one.ask(request(body))
            assert seen == []
            assert one.left()
        with raw(running) as one:
            one.ask(request(body))
            one.socket.sendall(request(body)[: -len(body)])  # begun: that is not nothing
            time.sleep(1.5)
            assert b'"cache_hit":true' in one.ask(body)[1]


def test_a_server_that_drains_says_so_to_those_it_knows(tmp_path: Path) -> None:
    body = body_of("user-0")
    with serving(tmp_path) as running, raw(running) as one:
        one.ask(request(body))
        assert b'"cache_hit":true' in one.ask(request(body))[1]
        running.server.closing.set()
        head, told = one.ask(request(body))
        assert head.startswith(b"HTTP/1.1 503")
        assert b"retry-after: " in head
        assert json.loads(told)["code"] == "closing"


def test_a_begun_request_is_answered_when_the_server_ends(tmp_path: Path) -> None:
    body = body_of("user-0")
    with serving(tmp_path) as running, raw(running) as one:
        one.ask(request(body))
        one.socket.sendall(request(body)[: -len(body)])
        time.sleep(0.05)
        running.server.should_exit = True
        time.sleep(0.3)
        head, _ = one.ask(body)
        assert head[:12] in (b"HTTP/1.1 200", b"HTTP/1.1 503")
        assert b"connection: close" in head
        assert one.left()


def test_the_heads_it_remembers_are_bounded(live: Running) -> None:
    lane = live.server.config.http_protocol_class.keywords["lane"]
    body = body_of("user-0")
    with raw(live) as one:
        for n in range(600):
            assert one.ask(request(body, f"x-other: {n}"))[0].startswith(b"HTTP/1.1 200")
        assert 0 < len(lane.heads) <= 512
        size = len(lane.heads)
        one.ask(request(body, f"x-other: {'n' * 3000}"))
        assert len(lane.heads) == size
