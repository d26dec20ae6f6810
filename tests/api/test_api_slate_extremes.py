"""Nothing to sell, a user with a hundred thousand events, numbers out of bounds, clocks that step: a slate comes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from api_server import Running, serving

from shopkeeper.core.clock import DAY, StoppedClock, micros, rfc3339
from shopkeeper.core.records import Event

V1 = "/api/v1"
RECOMMEND = f"{V1}/personalization/recommend"
MANY = 100_000


def ask(shop: Running, user_id: str = "user-1", **more: Any) -> dict[str, Any]:
    answer = shop.http.post(RECOMMEND, json={"user_id": user_id, "scenario": "home", **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_where_nothing_is_sold_every_door_answers_with_nothing(tmp_path: Path) -> None:
    with serving(tmp_path / "home", filled=False) as shop:
        for scenario in [one["name"] for one in shop.http.get(f"{V1}/personalization/scenarios").json()["scenarios"]]:
            for context in ({}, {"item_id": "none", "item_ids": ["none"], "query": "a lamp"}):
                assert ask(shop, scenario=scenario, context=context)["recommendations"] == []
        basket = shop.http.post(f"{V1}/personalization/basket", json={"item_ids": ["none"]})
        assert (basket.status_code, basket.json()["recommendations"]) == (200, [])
        batch = shop.http.post(f"{RECOMMEND}/batch", json={"requests": [{"user_id": "a"}, {"user_id": "b"}]})
        assert [one["recommendations"] for one in batch.json()["responses"]] == [[], []]
        assert shop.http.get(f"{V1}/items/none/similar").status_code == 404
        item = {"item_id": "first", "name": "The first", "price": 2.0}
        assert shop.http.post(f"{V1}/items", json=[item]).status_code < 300
        shown = ask(shop, use_cache=False)["recommendations"]
        assert [one["item_id"] for one in shown] == ["first"]


def test_a_user_with_a_hundred_thousand_events_is_a_user(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as shop:
        now = datetime.now(UTC)
        for begin in range(0, MANY, 10_000):
            events = [
                Event(
                    event_type="order" if number % 10 == 0 else "view",
                    user_id="busy",
                    item_id=f"item-{number % 4}",
                    quantity=1.0,
                    time=now - timedelta(seconds=MANY - number),
                )
                for number in range(begin, begin + 10_000)
            ]
            shop.shop.log.append(events).result()
        told = [{"event_type": "view", "user_id": "busy", "target_kind": "item", "target_id": "item-0"}]
        assert shop.http.post(f"{V1}/events?wait=applied", json=told).status_code < 300
        slate = ask(shop, "busy", scenario="search", use_cache=False)
        assert slate["recommendations"]
        assert not any("no time" in part for part in (slate["explanation"] or "").split("; "))
        first = slate["recommendations"][0]["item_id"]
        dismiss = f"{V1}/personalization/recommendations/{slate['request_id']}/dismiss"
        assert shop.http.post(dismiss, json={"item_id": first}).json() == {"success": True}
        for _ in range(1_000):
            if first not in [one["item_id"] for one in ask(shop, "busy", scenario="search")["recommendations"]]:
                break
        else:
            raise AssertionError("what was dismissed is shown")
        assert shop.http.get(f"{V1}/personalization/user/busy/profile").status_code == 200
        page = shop.http.get(f"{V1}/events", params={"user_id": "busy", "limit": 1000}).json()
        assert len(page["items"]) == 1000


@pytest.mark.parametrize("n", [0, -1, 101, 10**9, 10**30, 1.5, 1e400, "10", None, True])
def test_a_number_that_is_none_or_too_large_is_told(live: Running, n: Any) -> None:
    text = "1e400" if n == float("inf") else {None: "null", True: "true"}.get(n, f'"{n}"' if n == "10" else str(n))
    for path, rest in ((RECOMMEND, '"user_id": "user-1"'), (f"{V1}/personalization/basket", '"item_ids": ["item-1"]')):
        body = f'{{{rest}, "n_recommendations": {text}}}'
        answer = live.http.post(path, content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["field"] == "n_recommendations"


def test_a_basket_of_items_that_nobody_knows_says_so(live: Running) -> None:
    told = "none of the items in its context is known here"
    for ids, unknown in ((["no-such", "nor-this"], True), (["no-such", "item-1"], False)):
        answer = live.http.post(f"{V1}/personalization/basket", json={"item_ids": ids, "use_cache": False}).json()
        assert ((answer["explanation"] or "").startswith(told)) is unknown
        assert answer["recommendations"]
    page = ask(live, scenario="product", context={"item_id": "no-such"})
    assert page["explanation"].startswith(told)
    assert told not in (ask(live, context={"item_id": "no-such"}, use_cache=False)["explanation"] or "")


@pytest.mark.parametrize("n", ["0", "101", "1000000000", "-1", "many", "1.5"])
def test_so_it_is_for_similar_items(live: Running, n: str) -> None:
    answer = live.http.get(f"{V1}/items/item-1/similar", params={"n": n})
    assert answer.status_code == 400
    assert set(answer.json()) >= {"detail", "code", "type", "request_id"}


@pytest.mark.parametrize("path", [RECOMMEND, f"{RECOMMEND}/batch", f"{V1}/personalization/basket"])
def test_deep_json_is_told_and_the_connection_lives_on(live: Running, path: str) -> None:
    for body in ('{"context": ' + '{"a":' * 50 + "1" + "}" * 50 + "}", "[" * 100_000, '{"a":' * 100_000):
        answer = live.http.post(path, content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (422, "too_deep")
    assert ask(live)["recommendations"]


@pytest.mark.parametrize("step", [-400 * DAY, -DAY, DAY, 400 * DAY])
def test_a_clock_that_steps_costs_nobody_an_answer(tmp_path: Path, step: int) -> None:
    clock = StoppedClock(micros(datetime.now(UTC)))
    with serving(tmp_path / "home", clock=clock) as shop:
        kept = ask(shop)
        clock.advance(step)
        again = ask(shop)
        assert (again["cache_hit"], again["request_id"][:26]) == (True, kept["request_id"][:26])
        assert again["timestamp"] == rfc3339(clock.now() // 1000 * 1000)
        fresh = ask(shop, use_cache=False)
        assert fresh["recommendations"]
        assert "failed" not in (fresh["explanation"] or "")
        for slate in (kept, fresh):
            accept = f"{V1}/personalization/recommendations/{slate['request_id']}/accept"
            item = slate["recommendations"][0]["item_id"]
            assert shop.http.post(accept, json={"item_id": item}).json() == {"success": True}
        stored = shop.http.get(f"{V1}/events", params={"user_id": "user-1", "event_type": "accept"}).json()["items"]
        assert len(stored) == 2
        clock.advance(-step)
        assert ask(shop, use_cache=False)["recommendations"]
