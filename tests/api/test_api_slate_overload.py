"""More slates are asked for than can be made: some are refused with a word, nothing hangs, and the others come."""

from __future__ import annotations

import json
import socket as sockets
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from api_server import Running, serving
from slate_rankers import Holding, ranked_by
from websockets.sync.client import ClientConnection, connect

from shopkeeper.recommend.admission import Admission

V1 = "/api/v1"
RECOMMEND = f"{V1}/personalization/recommend"
CROWD = 40
ROOM = 3


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Running]:
    """Three may wait for their turn, and as long as they like."""
    with serving(tmp_path / "home", recommend_deadline_ms=5000) as running:
        running.shop.recommend._admission = Admission(most_waiting=ROOM)
        yield running


@contextmanager
def held(shop: Running) -> Iterator[None]:
    """The loop makes one slate all the while: what is asked within the block comes to it at once, after the block."""
    ranker = Holding()
    ranked_by(shop, ranker)
    first = talk(shop)
    try:
        ask(first, "user-0")
        assert ranker.begun.wait(30)
        yield
    finally:
        ranker.go_on.set()
        assert read(first)[0] == 200
        first.close()


def talk(shop: Running) -> HTTPConnection:
    """A connection that the server has taken up."""
    found = HTTPConnection(str(urlsplit(shop.url).netloc), timeout=60)
    found.request("GET", "/livez")
    found.getresponse().read()
    assert found.sock is not None
    found.sock.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
    return found


def ask(connection: HTTPConnection, user_id: str, path: str = RECOMMEND, **more: Any) -> None:
    body = {"user_id": user_id, "scenario": "home", "use_cache": False, **more}
    connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})


def read(connection: HTTPConnection) -> tuple[int, dict[str, Any], HTTPResponse]:
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read()), answer


def whole(slate: dict[str, Any]) -> bool:
    """Ranked, and nothing left out for want of time. The small shop has trained no models of recall."""
    return slate["model_version"] == "home_ranker:1" and "no time" not in (slate["explanation"] or "")


def test_who_finds_no_room_is_told_when_to_come_back_and_the_others_are_answered(shop: Running) -> None:
    crowd = [talk(shop) for _ in range(CROWD)]
    with held(shop):
        for number, one in enumerate(crowd):
            ask(one, f"user-{number % 3}")
    answers = [read(one) for one in crowd]
    refused = [answer for answer in answers if answer[0] == 429]
    served = [answer for answer in answers if answer[0] == 200]
    assert len(refused) + len(served) == CROWD
    assert len(refused) > ROOM
    assert len(served) >= ROOM
    for _, body, answer in refused:
        assert set(body) == {"detail", "code", "type", "request_id"}
        assert (body["code"], body["type"]) == ("queue_full", "Overloaded")
        assert body["request_id"] == answer.headers["x-request-id"]
        assert int(answer.headers["retry-after"]) >= 1
    assert all(whole(body) for _, body, _ in served)
    for one in crowd:  # each connection lives on
        ask(one, "user-1")
        assert read(one)[0] == 200
        one.close()
    assert shop.http.get(f"{V1}/personalization/metrics").json()["error_rate"] > 0
    assert shop.shop.recommend._admission.waiting == 0


def test_what_is_kept_is_answered_to_the_whole_crowd(shop: Running) -> None:
    crowd = [talk(shop) for _ in range(CROWD)]
    ask(crowd[0], "user-1", use_cache=True)
    assert read(crowd[0])[0] == 200
    with held(shop):
        for one in crowd:
            ask(one, "user-1", use_cache=True)
    assert {read(one)[0] for one in crowd} == {200}


def test_a_crowd_that_asks_the_same_is_one_that_waits(shop: Running) -> None:
    crowd = [talk(shop) for _ in range(CROWD)]
    with held(shop):
        for one in crowd:
            ask(one, "user-1", use_cache=True)
    answers = [read(one) for one in crowd]
    assert {status for status, _, _ in answers} == {200}
    assert len({body["request_id"][:26] for _, body, _ in answers}) == 1


def test_who_has_less_time_than_the_wait_takes_is_sent_away_at_once(shop: Running) -> None:
    shop.shop.recommend._admission = Admission()
    crowd = [talk(shop) for _ in range(CROWD)]
    with held(shop):
        for number, one in enumerate(crowd):
            ask(one, f"user-{number % 3}", **({"deadline_ms": 5} if number >= CROWD // 2 else {}))
    answers = [read(one) for one in crowd]
    assert {status for status, _, _ in answers[: CROWD // 2]} == {200}
    refused = [body for status, body, _ in answers[CROWD // 2 :] if status == 429]
    assert refused
    assert all("allow a longer deadline_ms" in body["detail"] for body in refused)


def test_of_a_batch_those_that_find_no_room_have_the_error_in_their_place(shop: Running) -> None:
    shop.shop.recommend._admission = Admission(most_waiting=1)
    batch, requests = talk(shop), [{"user_id": f"user-{k % 3}", "scenario": "home"} for k in range(12)]
    with held(shop):
        body = {"requests": [{**one, "use_cache": False} for one in requests]}
        batch.request("POST", f"{RECOMMEND}/batch", json.dumps(body), {"content-type": "application/json"})
    status, answer, _ = read(batch)
    batch.close()
    kinds = Counter(one.get("code", "answered") for one in answer["responses"])
    assert status == 200
    assert set(kinds) == {"answered", "queue_full"}
    assert kinds.total() == len(requests)


def test_over_sockets_it_is_an_error_and_they_live_on(shop: Running) -> None:
    with ExitStack() as ending:
        crowd = [ending.enter_context(greeted(shop)) for _ in range(CROWD)]
        with held(shop):
            for number, one in enumerate(crowd):
                one.send(json.dumps({"type": "request", "scenario": "home", "use_cache": False, "request_id": number}))
        answers = [json.loads(one.recv(60)) for one in crowd]
        assert [answer["request_id"] for answer in answers] == list(range(CROWD))
        kinds = Counter(answer["type"] for answer in answers)
        assert set(kinds) == {"recommendations", "error"}
        assert kinds["error"] > ROOM
        assert kinds["recommendations"] >= ROOM
        for answer in answers:
            if answer["type"] == "error":
                assert (answer["code"], "ask again in a moment" in answer["message"]) == ("queue_full", True)
        for one in crowd:
            one.send('{"type": "request", "scenario": "home"}')
            assert json.loads(one.recv(60))["type"] == "recommendations"


@contextmanager
def greeted(shop: Running) -> Iterator[ClientConnection]:
    with connect(f"{shop.url.replace('http', 'ws')}{V1}/personalization/stream") as socket:
        socket.send('{"user_id": "user-1"}')
        assert json.loads(socket.recv(60))["type"] == "connected"
        yield socket


def test_sixty_four_that_ask_past_the_cache_without_a_deadline_are_all_answered(tmp_path: Path) -> None:
    with serving(tmp_path / "home", recommend_deadline_ms=2000) as shop:
        crowd = [talk(shop) for _ in range(64)]
        for turn in range(3):
            if turn:
                for number, one in enumerate(crowd):
                    ask(one, f"user-{number % 3}")
            else:
                with held(shop):
                    for number, one in enumerate(crowd):
                        ask(one, f"user-{number % 3}")
            answers = [read(one) for one in crowd]
            assert {status for status, _, _ in answers} == {200}
            assert all(whole(body) for _, body, _ in answers)
        for one in crowd:
            one.close()
