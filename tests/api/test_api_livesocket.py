"""Suggestions over a WebSocket: what is said in which order, and clients that behave badly."""

from __future__ import annotations

import asyncio
import json
import socket as sockets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from api_server import KEY, Running, serving
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.uri import parse_uri

from shopkeeper.api.access import Access
from shopkeeper.api.livesocket import Ask, LiveSockets
from shopkeeper.api.sockets import SocketProtocol
from shopkeeper.core.ids import ulid
from shopkeeper.core.records import RecFilters, RecRequest
from shopkeeper.telemetry.metrics import REGISTRY

V1 = "/api/v1"


def address(live: Running) -> str:
    return f"{live.url.replace('http', 'ws')}{V1}/personalization/stream"


@contextmanager
def talking(live: Running, user_id: str = "user-1", **more: Any) -> Iterator[Callable[[Any], dict[str, Any]]]:
    """Says something and gives the answer."""
    with connect(address(live), **more) as socket:

        def say(message: Any) -> dict[str, Any]:
            socket.send(message if isinstance(message, str | bytes) else json.dumps(message))
            answer: dict[str, Any] = json.loads(socket.recv(30))
            return answer

        first = say({"user_id": user_id})
        assert set(first) == {"type", "user_id", "timestamp"}
        assert (first["type"], first["user_id"]) == ("connected", user_id)
        yield say


def code_of(socket: ClientConnection) -> int | None:
    """The code that the server closes with, whatever it says before."""
    with suppress(ConnectionClosed):
        while True:
            socket.recv(30)
    return socket.close_code


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_nothing_of_what_a_message_asks_for_is_lost() -> None:
    wish = RecRequest(
        user_id="somebody",
        context={"page": "start"},
        n_recommendations=3,
        scenario="home",
        filters=RecFilters(price_max=5.0),
        use_cache=False,
        diversity_weight=0.5,
        deadline_ms=50,
        model="mine",
        debug=True,
    )
    plain = RecRequest(user_id="anybody")
    given = {name: getattr(wish, name) for name in RecRequest.__struct_fields__}
    assert not [name for name, value in given.items() if value == getattr(plain, name)]
    user_id = given.pop("user_id")
    assert Ask(request_id="mine", **given).by(user_id) == wish


def test_what_is_kept_is_told_with_the_same_marks(live: Running) -> None:
    asked = {"type": "request", "scenario": "home", "context": {"page": ulid()}}
    with talking(live, f"live-{ulid()}") as say:
        assert say(asked)["data"]["cache_hit"] is False
        for mark in ({}, {"request_id": 7}, {"request_id": 'a "word" \\ and ü'}, {"request_id": None}):
            answer = say({**asked, **mark})
            assert answer["data"]["cache_hit"] is True
            assert datetime.fromisoformat(answer["timestamp"]).tzinfo is not None
            left = {name: value for name, value in answer.items() if name not in ("type", "data", "timestamp")}
            assert left == {name: value for name, value in mark.items() if value is not None}


def test_it_suggests_takes_feedback_and_answers_pings(live: Running) -> None:
    user_id = f"live-{ulid()}"
    with talking(live, user_id) as say:
        answer = say({"type": "request", "scenario": "home", "n_recommendations": 2, "context": {"page": "start"}})
        assert set(answer) == {"type", "data", "timestamp"}
        assert answer["type"] == "recommendations"
        assert (answer["data"]["user_id"], answer["data"]["scenario"]) == (user_id, "home")
        item = answer["data"]["recommendations"][0]["item_id"]
        told = {"type": "feedback", "item_id": item, "feedback_type": "click", "feedback_value": 1, "context": {"a": 1}}
        said = say({**told, "request_id": "mine-7"})
        assert (said["type"], said["request_id"]) == ("feedback_received", "mine-7")
        assert say({"type": "ping"})["type"] == "pong"
        again = say({"type": "request", "scenario": "home", "request_id": 7})
        assert again["request_id"] == 7
    (event,) = live.http.get(f"{V1}/events", params={"user_id": user_id}).json()["items"]
    assert (event["event_type"], event["item_id"], event["context"]["a"]) == ("click", item, 1)
    url = f"{V1}/personalization/recommendations/{answer['data']['request_id']}/accept"
    assert live.http.post(url).json() == {"success": True}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("not json", "not_json"),
        ("", "no_body"),
        (b"\xff\xfe", "not_json"),
        ("[]", "wrong_value"),
        ("7", "wrong_value"),
        ('{"type": "dance"}', "unknown_type"),
        ("{}", "wrong_value"),
        ("[" * 100_000, "too_deep"),
        ('{"type": "request", "context": ' + '{"a":' * 50 + "1" + "}" * 50 + "}", "too_deep"),
        ('{"type": "request", "n_recommendations": 0}', "out_of_bounds"),
        ('{"type": "request", "n_recommendations": 1000000000}', "out_of_bounds"),
        ('{"type": "request", "n_recommendations": 1e400}', "wrong_value"),
        ('{"type": "request", "scenario": "nowhere"}', "unknown_scenario"),
        ('{"type": "request", "filters": {"price_min": 9, "price_max": 1}}', "bad_filter"),
        ('{"type": "request", "model": "nothing"}', "unknown_model"),
        ('{"type": "feedback", "item_id": "item-0"}', "wrong_value"),
        ('{"type": "feedback", "item_id": "item-0", "feedback_type": "hum"}', "unknown_feedback_type"),
        ('{"type": "feedback", "item_id": "a/b", "feedback_type": "click"}', "bad_id"),
        ('{"type": "feedback", "item_id": "i", "feedback_type": "click", "timestamp": "2999-01-01T00:00:00Z"}', None),
    ],
)
def test_what_it_cannot_do_is_told_and_it_stays_open(live: Running, message: str | bytes, code: str | None) -> None:
    with talking(live) as say:
        answer = say(message)
        assert (answer["type"], bool(answer["message"])) == ("error", True)
        assert answer["code"] == code or code is None
        assert say({"type": "ping"})["type"] == "pong"


def test_an_error_says_which_message_it_is_about(live: Running) -> None:
    with talking(live) as say:
        assert say({"type": "request", "n_recommendations": 0, "request_id": "a"})["request_id"] == "a"
        assert say({"type": "request", "n_recommendations": "many", "request_id": 8})["request_id"] == 8
        assert "request_id" not in say({"type": "request", "n_recommendations": 0, "request_id": {"a": 1}})


@pytest.mark.parametrize("first", ["{}", '{"user_id": ""}', '{"user_id": 5}', '{"user_id": "a/b"}', "hello", "[]"])
def test_who_does_not_say_who_they_are_is_sent_away(live: Running, first: str) -> None:
    with connect(address(live)) as socket:
        socket.send(first)
        answer = json.loads(socket.recv(30))
        assert (answer["type"], bool(answer["message"]), bool(answer["code"])) == ("error", True, True)
        assert code_of(socket) == 1008


def test_a_key_comes_in_the_header_or_first(locked: Running) -> None:
    with talking(locked, additional_headers={"x-api-key": KEY}) as say:
        assert say({"type": "ping"})["type"] == "pong"
    with connect(address(locked)) as socket:
        socket.send(json.dumps({"user_id": "user-1", "api_key": KEY}))
        assert json.loads(socket.recv(30))["type"] == "connected"
    for wrong in ({"user_id": "user-1"}, {"user_id": "user-1", "api_key": "guessed"}):
        with connect(address(locked)) as socket:
            socket.send(json.dumps(wrong))
            assert json.loads(socket.recv(30))["code"] in ("no_key", "bad_key")
            assert code_of(socket) == 1008


def test_a_message_that_is_too_large_ends_the_socket(live: Running) -> None:
    with connect(address(live)) as socket:
        socket.send(json.dumps({"user_id": "user-1"}))
        socket.recv(30)
        with pytest.raises(ConnectionClosed):  # noqa: PT012 - either of the two hears of it
            socket.send("x" * (1024 * 1024 + 1))
            assert code_of(socket) == 1009
            socket.send("x")


def test_an_answer_follows_what_the_user_just_said(live: Running) -> None:
    user_id = f"live-{ulid()}"
    with talking(live, user_id) as say:
        shown = say({"type": "request", "scenario": "home"})["data"]["recommendations"]
        gone = shown[0]["item_id"]
        assert say({"type": "feedback", "item_id": gone, "feedback_type": "dislike"})["type"] == "feedback_received"
        loop = live.loop
        assert loop is not None
        waiting = live.shop.following.wait_for(live.shop.log.last_seq)
        asyncio.run_coroutine_threadsafe(waiting, loop).result(30)
        after = say({"type": "request", "scenario": "home"})["data"]["recommendations"]
        assert gone not in [item["item_id"] for item in after]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A server that soon gives up who does not read, and lets in a few at a time."""
    monkeypatch.setattr(SocketProtocol, "patience_s", 0.2)
    monkeypatch.setattr(SocketProtocol, "linger_s", 30.0)
    with serving(tmp_path / "home", live_sockets=3) as running:
        yield running


def test_who_never_reads_is_closed_and_others_go_on(own: Running) -> None:
    own.server.listener.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, 4096)
    protocol = ClientProtocol(parse_uri(address(own)))
    with sockets.socket() as raw, talking(own) as say:
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        raw.connect(own.server.listener.getsockname())
        protocol.send_request(protocol.connect())
        raw.sendall(b"".join(protocol.data_to_send()))
        protocol.receive_data(raw.recv(4096))
        raw.settimeout(0.2)
        asked = '{"type": "request", "scenario": "search", "request_id": "%s"}' % ("x" * 128)
        with suppress(OSError):  # the server does not read any more: it has no room for its answers
            for text in ('{"user_id": "user-2"}', *[asked] * 10_000):
                protocol.send_text(text.encode())
                raw.sendall(b"".join(protocol.data_to_send()))
        wait_until(lambda: REGISTRY.get_sample_value("live_sockets") == 1)
        assert say({"type": "request"})["type"] == "recommendations"
        raw.settimeout(30)
        while (data := _received(raw)) is not None:
            protocol.receive_data(data)
        assert protocol.close_rcvd is not None
        assert protocol.close_rcvd.code == 1013


def _received(raw: sockets.socket) -> bytes | None:
    try:
        return raw.recv(65536) or None
    except ConnectionResetError:
        return None


def test_more_than_the_server_takes_are_told_to_come_back(own: Running) -> None:
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(talking(own))
        with connect(address(own)) as socket:
            assert code_of(socket) == 1013
    with talking(own) as say:
        assert say({"type": "ping"})["type"] == "pong"


def test_after_its_end_a_socket_is_told_nothing_though_a_message_has_just_come(live: Running) -> None:
    """The message is there and not taken up yet, when the server begins to close."""

    async def talk() -> list[str]:
        closing, came, sent = asyncio.Event(), asyncio.Queue[dict[str, Any]](), []

        async def send(message: Any) -> None:
            sent.append(message["type"])

        def say(message: Any) -> None:
            came.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})

        sockets = LiveSockets(live.shop, Access(None), closing, most=1)
        scope = {"type": "websocket", "caller": Access(None).caller(None, None), "request_id": "r"}
        talking = asyncio.create_task(sockets(scope, came.get, send))
        came.put_nowait({"type": "websocket.connect"})
        say({"user_id": "user-1"})
        while len(sent) < 2:
            await asyncio.sleep(0)
        closing.set()
        await asyncio.sleep(0)  # the watch has been woken, and comes before the answer
        say({"type": "ping"})
        while "websocket.close" not in sent:
            await asyncio.sleep(0)
        came.put_nowait({"type": "websocket.disconnect"})
        await asyncio.wait_for(talking, 30)
        return sent

    assert asyncio.run(talk()) == ["websocket.accept", "websocket.send", "websocket.close"]


def test_at_the_end_sockets_are_closed_with_a_word(tmp_path: Path) -> None:
    with ExitStack() as held, serving(tmp_path / "home") as live:
        idle = [held.enter_context(connect(address(live))) for _ in range(20)]
        for socket in idle:
            socket.send(json.dumps({"user_id": "user-1"}))
            assert json.loads(socket.recv(30))["type"] == "connected"
        assert live.http.post(f"{V1}/personalization/recommend", json={"user_id": "user-1"}).status_code == 200
        live.server.should_exit = True
        assert {code_of(socket) for socket in idle} == {1012}
