"""Features of users now, over a real server; and what others know while the own state is broken."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from api_server import Running, serving

from shopkeeper.core.records import Event

sys.path.insert(0, str(Path(__file__).parents[1] / "stores"))

from redisservers import redis_server

URL = "/api/v1/features"


def compute(http: httpx.Client, user_id: str, context: dict[str, Any]) -> dict[str, Any]:
    answer = http.post(f"{URL}/compute", json={"user_ids": [user_id], "context": context})
    assert answer.status_code == 200
    told: dict[str, Any] = answer.json()[user_id]
    return told


def test_a_number_comes_with_its_age_and_the_context_counts(live: Running) -> None:
    live.shop.log.append([Event(event_type="view", user_id="aged-1", item_id="aged-lamp")]).result()
    http = live.http
    mobile = compute(http, "aged-1", {"device": "mobile"})
    assert mobile["contextual"]["request_device_mobile"] == 1.0
    assert compute(http, "aged-1", {})["contextual"]["request_device_mobile"] == 0.0
    assert mobile["values"]["request_device_tv"] == {"age_s": 0.0, "status": "present"}
    now = http.get(f"{URL}/realtime/aged-1").json()
    assert now["values"]["user_orders_all"]["status"] in ("missing", "present")
    assert now["values"]["user_views_24h"]["status"] == "present"
    assert now["values"]["request_device_tv"]["status"] == "missing"
    missing = http.get(f"{URL}/realtime/nobody-of-this-name")
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown_user")


def test_a_thousand_are_told_at_once_and_unknown_ones_have_an_error(live: Running) -> None:
    ids = [f"thousand-{number}" for number in range(999)]
    live.shop.log.append([Event(event_type="view", user_id=one, item_id="aged-lamp") for one in ids]).result()
    told = live.http.post(f"{URL}/compute", json=[*ids, "unheard-of"]).json()
    assert len(told) == 1000
    assert set(told["unheard-of"]) == {"error"}
    assert all("temporal" in told[one] for one in ids)


def test_what_was_shared_is_told_while_the_own_state_is_broken(tmp_path: Path) -> None:
    with redis_server() as redis, serving(tmp_path, redis_url=redis.url) as one:
        one.shop.log.append([Event(event_type="view", user_id="anna", item_id="lamp")]).result()
        row = one.shop.vocab.users.row("anna")
        assert row is not None

        def views() -> float:
            return float(one.http.get(f"{URL}/realtime/anna").json()["behavioral"]["user_views_24h"])

        def shared() -> bool:
            told = asyncio.run_coroutine_threadsafe(one.shop.shared_features.get_many([row]), one.loop).result()
            return told != [None]

        assert views() == 1
        until(lambda: views() == 1 and shared())  # behind the answer; what a slow Redis has lost is told anew
        one.shop.following.broken["features"] = "broken by a test"
        one.shop.features.forget(row)
        until(lambda: views() == 1)  # a Redis that is late is a miss
        redis.stop()
        after = one.http.get(f"{URL}/realtime/anna")
        assert (after.status_code, after.json()["behavioral"]["user_views_24h"]) == (200, 0.0)


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)
