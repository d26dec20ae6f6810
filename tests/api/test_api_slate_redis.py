"""Slates of servers that share one Redis: found and dropped by each other, and never in need of it."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from api_server import Running, serving

sys.path.insert(0, str(Path(__file__).parents[1] / "stores"))

from redisservers import RedisServer, redis_server

V1 = "/api/v1"
RECOMMEND = f"{V1}/personalization/recommend"


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with redis_server() as found:
        yield found


@pytest.fixture
def two(redis: RedisServer, tmp_path: Path) -> Iterator[tuple[Running, Running]]:
    """Two servers of one shop: each has a copy of its data."""
    with serving(tmp_path / "one"):
        pass
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    with ExitStack() as held:
        one, other = (
            held.enter_context(serving(tmp_path / name, filled=False, redis_url=redis.url, slate_prefetch=0))
            for name in ("one", "other")
        )
        for each in (one, other):
            until(lambda each=each: level(each)["listening"])
        yield one, other


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ask(shop: Running, user_id: str = "user-1", **more: Any) -> dict[str, Any]:
    answer = shop.http.post(RECOMMEND, json={"user_id": user_id, "scenario": "home", **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def slate_of(answer: dict[str, Any]) -> str:
    found: str = answer["request_id"][:26]
    return found


def level(shop: Running) -> dict[str, Any]:
    found: dict[str, Any] = shop.http.get(f"{V1}/personalization/cache/stats").json()["levels"]["shared"]
    return found


def agreed(one: Running, other: Running, user_id: str = "user-1", **more: Any) -> str:
    """Until the second answers what the first has computed: writing to Redis is not waited for."""
    scenario = more.get("scenario", "home")
    for _ in range(200):
        first = slate_of(ask(one, user_id, **more))
        if slate_of(ask(other, user_id, **more)) == first:
            return first
        for each in (one, other):
            each.loop.call_soon_threadsafe(each.shop.slates.local.drop_scenario, scenario)
    raise AssertionError("each computes its own")


def _invalidate(shop: Running) -> None:
    assert shop.http.post(f"{V1}/personalization/cache/invalidate/user-1").json()["status"] == "success"


def _event(shop: Running) -> None:
    events = [{"event_type": "view", "user_id": "user-1", "target_kind": "item", "target_id": "item-1"}]
    assert shop.http.post(f"{V1}/events?wait=applied", json=events).status_code < 300


def _consent(shop: Running) -> None:
    assert shop.http.put(f"{V1}/users/user-1/consent", json={"personalization": True}).status_code < 300


def _item(shop: Running) -> None:
    assert shop.http.delete(f"{V1}/items/item-1").status_code == 204


def _scenario(shop: Running) -> None:
    place = f"{V1}/personalization/scenarios/home"
    assert shop.http.put(place, json={**shop.http.get(place).json(), "diversity": 0.5}).status_code == 200


def _rule(shop: Running) -> None:
    rule = {"name": "early", "condition": "orders > 1", "action": "say hello", "weight": 0.1}
    assert shop.http.post(f"{V1}/rules", json=rule).status_code == 201


@pytest.mark.parametrize("change", [_invalidate, _event, _consent, _item, _scenario, _rule])
def test_what_changes_at_one_server_is_gone_at_the_other(
    two: tuple[Running, Running], change: Callable[[Running], None]
) -> None:
    one, other = two
    before = agreed(one, other)
    assert ask(other)["cache_hit"]
    change(one)
    until(lambda: slate_of(ask(other)) != before)
    assert slate_of(ask(one)) != before


def test_copies_that_went_their_own_way_show_nobody_the_slate_of_another(two: tuple[Running, Running]) -> None:
    for shop, user_id in zip(two, ("ann", "bob"), strict=True):  # each the first new user: of one row
        told = [{"event_type": "view", "user_id": user_id, "target_kind": "item", "target_id": "item-1"}]
        assert shop.http.post(f"{V1}/events?wait=applied", json=told).status_code < 300
    rows = [shop.shop.vocab.users.row(user_id) for shop, user_id in zip(two, ("ann", "bob"), strict=True)]
    assert rows[0] == rows[1]
    agreed(*two)  # what is written before is there by now
    for _ in range(20):
        ann, bob = ask(two[0], "ann"), ask(two[1], "bob")
        assert (ann["user_id"], bob["user_id"]) == ("ann", "bob")
        assert slate_of(ann) != slate_of(bob)
        for each in two:
            each.loop.call_soon_threadsafe(each.shop.slates.local.drop_scenario, "home")


def test_redis_may_be_killed_and_come_back_while_people_ask(redis: RedisServer, two: tuple[Running, Running]) -> None:
    one, other = two
    before = agreed(one, other)
    redis.stop()
    try:
        for number in range(20):  # none waits for it, or hears of it
            assert ask(one, f"new-{number}")["recommendations"]
        assert ask(one)["cache_hit"]
        assert not level(one)["listening"]
        _event(one)
        until(lambda: slate_of(ask(one)) != before)  # what this server hears itself counts without Redis
        assert ask(other)["recommendations"]
        assert "edis" not in one.http.get("/readyz").text  # the server is as ready as it was
    finally:
        redis.start()

    def again() -> bool:
        for each in (one, other):
            ask(each, f"later-{time.monotonic_ns()}")
        told = [level(each) for each in (one, other)]
        return all((each["listening"], each["state"]) == (True, "closed") for each in told)

    until(again)
    assert slate_of(ask(other)) != before, "what it kept while it heard nothing is not trusted"
    assert agreed(one, other, "user-2") != before


def test_a_redis_that_never_was_there_costs_nothing_but_misses(tmp_path: Path) -> None:
    with serving(tmp_path / "home", redis_url="redis://127.0.0.1:9/0") as shop:
        first = ask(shop)
        assert first["recommendations"]
        assert slate_of(ask(shop)) == slate_of(first)
        for number in range(20):
            assert ask(shop, f"new-{number}")["recommendations"]
        assert not level(shop)["listening"]
        assert "edis" not in shop.http.get("/readyz").text
