"""Doors of the slate cache, and that everything a slate was made of drops it when it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_server import Running, serving

V1 = "/api/v1"
RECOMMEND = f"{V1}/personalization/recommend"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home: Path = tmp_path_factory.mktemp("cache")
    with serving(home) as running:
        yield running


def ask(shop: Running, user: str = "user-1", **more: Any) -> dict[str, Any]:
    answer = shop.http.post(RECOMMEND, json={"user_id": user, "scenario": "home", **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def kept(shop: Running, user: str = "user-1") -> dict[str, Any]:
    """Until it is answered from the cache: what happened before may still be on its way."""
    for _ in range(20):
        answer = ask(shop, user)
        if answer["cache_hit"]:
            return answer
    raise AssertionError("never kept")


def _event(http: httpx.Client) -> httpx.Response:
    events = [{"event_type": "view", "user_id": "user-1", "target_kind": "item", "target_id": "item-1"}]
    return http.post(f"{V1}/events?wait=applied", json=events)


def _consent(http: httpx.Client) -> httpx.Response:
    return http.put(f"{V1}/users/user-1/consent", json={"personalization": True})


def _preferences(http: httpx.Client) -> httpx.Response:
    return http.put(f"{V1}/personalization/preferences", json={"user_id": "user-1", "colour": "green"})


def _record(http: httpx.Client) -> httpx.Response:
    return http.put(f"{V1}/users/user-1", json={"user_id": "user-1", "attributes": {"plan": "gold"}})


def _invalidate(http: httpx.Client) -> httpx.Response:
    return http.post(f"{V1}/personalization/cache/invalidate/user-1")


@pytest.mark.parametrize("change", [_event, _consent, _preferences, _record, _invalidate])
def test_what_changes_of_a_user_drops_their_slates_at_once(
    shop: Running, change: Callable[[httpx.Client], httpx.Response]
) -> None:
    kept(shop)
    other = kept(shop, "user-2")
    answer = change(shop.http)
    assert answer.status_code < 300, answer.text
    for _ in range(200):  # the followers apply an event a moment after it was accepted
        if not ask(shop)["cache_hit"]:
            break
    else:
        raise AssertionError("the slate from before is still answered")
    assert ask(shop, "user-2")["recommendations"] == other["recommendations"]


def test_an_items_new_price_is_in_the_next_answer(shop: Running) -> None:
    kept(shop)
    for price in (3.5, 4.5):
        item = shop.http.get(f"{V1}/items/item-1").json()
        item = {key: item[key] for key in ("item_id", "name", "category", "kind") if item.get(key) is not None}
        assert shop.http.put(f"{V1}/items/item-1", json={**item, "price": price}).status_code < 300
        prices = {one["item_id"]: one["metadata"]["price"] for one in ask(shop)["recommendations"]}
        assert prices["item-1"] == price


def test_stats_count_what_happened(shop: Running) -> None:
    stats = f"{V1}/personalization/cache/stats"
    before = shop.http.get(stats).json()
    ask(shop, "nobody-yet")
    ask(shop, "nobody-yet")
    ask(shop, "nobody-yet", use_cache=False)
    after = shop.http.get(stats).json()
    assert after["total_requests"] - before["total_requests"] == 2
    assert after["cache_hits"] - before["cache_hits"] == 1
    assert after["cache_misses"] - before["cache_misses"] == 1
    assert after["hit_rate"] == pytest.approx(after["cache_hits"] / after["total_requests"], abs=1e-5)
    assert 0 < after["levels"]["local"]["bytes"] <= after["levels"]["local"]["limit_bytes"]


def test_invalidating_says_how_much_went(shop: Running) -> None:
    kept(shop, "user-2")
    gone = shop.http.post(f"{V1}/personalization/cache/invalidate/user-2").json()
    assert gone["status"] == "success"
    assert gone["removed"] >= 1
    assert shop.http.post(f"{V1}/personalization/cache/invalidate/user-2").json()["removed"] == 0
    assert shop.http.post(f"{V1}/personalization/cache/invalidate/{'x' * 129}").status_code == 422


def test_metrics_are_percentiles_of_the_last_minute(shop: Running) -> None:
    for _ in range(20):
        ask(shop)
    found = shop.http.get(f"{V1}/personalization/metrics").json()
    assert 0 < found["p50_latency_ms"] <= found["p95_latency_ms"] <= found["p99_latency_ms"]
    assert found["qps"] > 0
    assert found["error_rate"] == 0
    assert 0 < found["cache_hit_rate"] < 1
    assert found["circuit_breaker_open"] is False


def test_optimizing_says_what_it_did(shop: Running) -> None:
    ask(shop)
    done = shop.http.post(f"{V1}/monitoring/optimize").json()
    assert done["status"] == "success"
    assert any("statistics" in line for line in done["optimizations"])


def test_answers_from_the_cache_are_found_by_their_id(shop: Running) -> None:
    answer = kept(shop)
    accept = f"{V1}/personalization/recommendations/{answer['request_id']}/accept"
    item = answer["recommendations"][0]["item_id"]
    assert shop.http.post(accept, json={"item_id": item}).json() == {"success": True}


def test_bad_bodies_are_refused_and_never_kept(shop: Running) -> None:
    for body in (b"", b"{", b"[]", b'{"user_id":""}', b'{"user_id":"a","n_recommendations":0}', b"[" * 100):
        for _ in range(2):
            answer = shop.http.post(RECOMMEND, content=body, headers={"content-type": "application/json"})
            assert answer.status_code == 422, answer.text
