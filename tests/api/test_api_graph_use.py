"""A shop whose graph model was really trained: who reads its vectors, and what they say."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from api_server import Running, serving

from shopkeeper.core.records import Event

V1 = "/api/v1"
SMALL = {"epochs": 2, "width": 16, "dims": 8, "heads": 2, "windows": 3}
ALIKE = "taken by customers with a taste like yours"


def history() -> list[Event]:
    """Nine months in which even customers take even items and odd ones odd items."""
    random, now = np.random.default_rng(5), datetime.now(UTC)
    found = []
    for user in range(50):
        for day in np.sort(random.uniform(1, 260, 16))[::-1].tolist():
            item = f"item-{2 * int(random.integers(0, 15)) + user % 2}"
            at = now - timedelta(days=day)
            found.append(Event(event_id=f"{user}-{day}", user_id=f"x{user}", event_type="order", item_id=item, time=at))
    return found


@pytest.fixture(scope="module")
def graphed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("graph"), filled=False) as running:
        running.shop.log.append(history()).result()
        job = running.shop.releases.train("hgt", "hgt", params=SMALL, requested_by="test")
        ended = running.shop.jobs.wait(job.job_id, 240)
        assert ended.status == "done", ended.error
        if not (ended.result or {})["promoted"]:
            running.http.post(f"{V1}/models/hgt/promote", json={"version": 1, "force": True}).raise_for_status()
        settled(running)
        yield running


def settled(shop: Running) -> dict[str, Any]:
    """The facts of the space, when a version serves and nothing waits."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        spaces = shop.http.get(f"{V1}/embeddings").json()["spaces"]
        found: dict[str, Any] = next((one for one in spaces if one["name"] == "hgt"), {})
        if found and not found["pending"] and not found["stale"]:
            return found
        time.sleep(0.05)
    raise AssertionError("the vectors of the graph did not come")


def slate(shop: Running, user: str, **more: Any) -> dict[str, Any]:
    body = {"user_id": user, "n_recommendations": 10, "scenario": "content", "debug": True, **more}
    answer = shop.http.post(f"{V1}/personalization/recommend", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_slates_are_filled_from_the_graph_too(graphed: Running) -> None:
    found = slate(graphed, "x0")
    assert found["debug_info"]["versions"]["hgt"] == 1
    assert found["debug_info"]["named"]["graph"] > 0
    assert any("graph" in one["metadata"]["channels"] for one in found["recommendations"])
    alone = {"recall": [{"channel": "graph", "quota": 50, "weight": 1.0}], "help": "a taste alone"}
    graphed.http.put(f"{V1}/personalization/scenarios/tastes", json=alone).raise_for_status()
    assert ALIKE in {one["explanation"] for one in slate(graphed, "x0", scenario="tastes")["recommendations"]}
    stranger = slate(graphed, "nobody")
    assert not stranger["debug_info"]["named"].get("graph")
    assert "hgt" not in stranger["debug_info"]["versions"]


def test_who_refuses_what_is_personal_gets_nothing_from_the_graph(graphed: Running) -> None:
    graphed.shop.consents.change("x8", {"personalization": False}).result()
    assert not slate(graphed, "x8")["debug_info"]["named"].get("graph")


def test_a_profile_says_which_vector_it_has_and_how_fresh_it_is(graphed: Running) -> None:
    def embedding(user: str) -> dict[str, Any]:
        found: dict[str, Any] = graphed.http.get(f"{V1}/personalization/user/{user}/profile").json()["embedding"]
        return found

    settled(graphed)
    found = embedding("x2")
    assert {**found, "as_of": None} == {"space": "hgt", "version": 1, "as_of": None, "pending": False}
    graphed.http.post(f"{V1}/operations/incremental/stop").raise_for_status()
    graphed.http.post(f"{V1}/events", json={"event_type": "order", "user_id": "x2", "item_id": "item-3"})
    assert embedding("x2")["pending"] is True
    graphed.http.post(f"{V1}/operations/incremental/start").raise_for_status()
    settled(graphed)
    after = embedding("x2")
    assert after["pending"] is False
    assert after["as_of"] > found["as_of"]
    graphed.http.put(f"{V1}/users/unseen", json={}).raise_for_status()
    assert graphed.http.get(f"{V1}/personalization/user/unseen/profile").json()["embedding"] is None


def test_what_if_moves_the_users_own_vector(graphed: Running) -> None:
    """The other items of the same taste come up, as they do when the events are sent."""
    settled(graphed)
    events = [{"event_type": "order", "item_id": f"item-{2 * n + 1}", "event_id": f"if-{n}"} for n in range(12)]
    body = {"events": events, "n": 10, "scenario": "content"}
    found = graphed.http.post(f"{V1}/user/x4/what-if", json=body).json()
    orders = [[one["item_id"] for one in found[side]["top_items"]] for side in ("before", "after")]
    assert set(orders[0]) != set(orders[1])
    assert graphed.http.post(f"{V1}/user/x4/what-if", json=body).json()["after"] == found["after"]
    sent = [{**one, "user_id": "x4"} for one in events]
    graphed.http.post(f"{V1}/events", json=sent).raise_for_status()
    settled(graphed)
    now = [one["item_id"] for one in slate(graphed, "x4")["recommendations"]]
    assert len(set(now) & set(orders[1])) > len(set(now) & set(orders[0]))


def test_events_of_things_that_the_graph_has_not_met_may_be_supposed(graphed: Running) -> None:
    events = [
        {"event_type": "order", "item_id": "brand new"},
        {"event_type": "glance", "item_id": "item-1"},
        {"event_type": "call", "target_kind": "user", "target_id": "who is this"},
    ]
    answer = graphed.http.post(f"{V1}/user/x6/what-if", json={"events": events})
    assert answer.status_code == 200, answer.text
    assert answer.json()["accepted"] == 3


def test_a_fusion_on_vectors_that_saw_the_held_out_days_is_refused_in_words(graphed: Running) -> None:
    job = graphed.shop.releases.train("fusion", "fusion", params={"space": "hgt"}, requested_by="test")
    ended = graphed.shop.jobs.wait(job.job_id, 120)
    assert ended.status == "failed"
    assert "the item vectors of hgt/1 have learned from days up to" in (ended.error or "")
