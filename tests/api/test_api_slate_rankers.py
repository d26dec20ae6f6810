"""A ranker that raises, hangs or gives nonsense costs an answer its ranking: over HTTP, in a batch, and on sockets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from api_server import Running, serving
from slate_rankers import Hanging, Moody, Nonsense, Plain, Raising, Short, ranked_by
from websockets.sync.client import connect

from shopkeeper.core.clock import SECOND, StoppedClock, micros

V1 = "/api/v1"
RECOMMEND = f"{V1}/personalization/recommend"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Running]:
    clock = StoppedClock(micros(datetime.now(UTC)))
    with serving(tmp_path / "home", clock=clock, recommend_deadline_ms=5000) as running:
        yield running


def ask(shop: Running, **more: Any) -> dict[str, Any]:
    answer = shop.http.post(RECOMMEND, json={"user_id": "user-1", "scenario": "home", "use_cache": False, **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def over_a_socket(shop: Running, **more: Any) -> dict[str, Any]:
    with connect(f"{shop.url.replace('http', 'ws')}{V1}/personalization/stream") as socket:
        socket.send('{"user_id": "user-1"}')
        socket.recv(30)
        socket.send(json.dumps({"type": "request", "scenario": "home", "use_cache": False, **more}))
        answer = json.loads(socket.recv(30))
        assert answer["type"] == "recommendations", answer
        found: dict[str, Any] = answer["data"]
        return found


@pytest.mark.parametrize(
    ("ranker", "told"),
    [
        (Raising(), "rank: failed with RuntimeError"),
        (Nonsense(), "rank: the ranker gave numbers that are not finite"),
        (Short(), "rank: the ranker gave numbers of shape (1,) for 4 items"),
    ],
)
def test_one_that_fails_leaves_the_fused_order(shop: Running, ranker: Any, told: str) -> None:
    alone = ask(shop)
    ranked_by(shop, ranker)
    batch = shop.http.post(f"{RECOMMEND}/batch", json={"requests": [{"user_id": "user-1", "scenario": "home"}]})
    for answer in (ask(shop), over_a_socket(shop), batch.json()["responses"][0]):
        assert (answer["degraded"], told in answer["explanation"]) == (True, True)
        assert ids(answer) == ids(alone)
        assert {item["confidence"] for item in answer["recommendations"]} == {None}
        assert answer["model_version"] == alone["model_version"]


def test_one_that_hangs_costs_its_deadline_and_nobody_else_waits(shop: Running) -> None:
    hanging = Hanging()
    try:
        ranked_by(shop, hanging)
        with ThreadPoolExecutor(1) as aside:
            late = aside.submit(ask, shop, deadline_ms=5000)
            assert hanging.begun.wait(30)
            assert ask(shop, scenario="product", context={"item_id": "item-1"})["recommendations"]
            assert not late.done()
            slow = over_a_socket(shop, deadline_ms=20)
            assert "rank: the ranker did not answer in time" in slow["explanation"]
            hanging.go_on.set()
            assert late.result()["model_version"] == "home_ranker:1"
    finally:
        hanging.go_on.set()


def test_one_that_keeps_failing_is_left_alone_and_told_and_tried_again(shop: Running) -> None:
    clock = shop.shop.clock
    assert isinstance(clock, StoppedClock)
    ranker = Moody()
    ranked_by(shop, ranker)
    for _ in range(10):
        ask(shop)
    assert "the ranker failed too often" in ask(shop)["explanation"]
    assert shop.http.get(f"{V1}/personalization/metrics").json()["circuit_breaker_open"] is True
    ranker.broken = False
    clock.advance(31 * SECOND)
    assert ask(shop)["model_version"] == "home_ranker:1"
    assert shop.http.get(f"{V1}/personalization/metrics").json()["circuit_breaker_open"] is False


def test_what_failed_is_not_kept_as_if_it_were_right(shop: Running) -> None:
    ranked_by(shop, Raising())
    slate = shop.http.post(RECOMMEND, json={"user_id": "user-2", "scenario": "home"}).json()
    assert slate["degraded"]
    entry = next(iter(shop.shop.slates.local.by_body.values()))
    assert entry.until - shop.shop.slates._now() <= 1.0


def test_a_version_that_is_not_read_within_the_time_of_a_request_is_504_and_there_the_next_time(
    shop: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranked_by(shop, Plain())
    serving_, there = shop.shop.serving, threading.Event()
    get, peek = serving_.get, serving_.peek

    def slow(model: str, ref: str = "champion", scope: str = "all") -> Any:
        assert there.wait(60)
        return get(model, "champion", scope)

    def seen(model: str, ref: str = "champion", scope: str = "all") -> Any:
        return peek(model, "champion", scope) if there.is_set() or ref == "champion" else None

    monkeypatch.setattr(serving_, "get", slow)
    monkeypatch.setattr(serving_, "peek", seen)
    try:
        body = {"user_id": "user-1", "scenario": "home", "model": "home_ranker/1", "deadline_ms": 30}
        answer = shop.http.post(RECOMMEND, json=body)
        assert (answer.status_code, answer.json()["code"]) == (504, "deadline")
        assert set(answer.json()) == {"detail", "code", "type", "request_id"}
        there.set()
        assert ask(shop, model="home_ranker/1")["model_version"] == "home_ranker:1"
    finally:
        there.set()


def ids(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["recommendations"]]
