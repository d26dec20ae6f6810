"""Fields of behaviour over HTTP: in the profile, in the list of fields, in segments; models trained as jobs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from api_server import Running, serving

from shopkeeper.profiles.fields import BEHAVIOUR

V1 = "/api/v1"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Three users with forty orders each, sixty who ordered some time ago, and one who only looked."""
    with serving(tmp_path_factory.mktemp("fields")) as running:
        for item, category in enumerate(["Mugs", "Mugs", "Lamps", "Lamps"]):
            body = {"name": f"item {item}", "category": category}
            running.http.put(f"{V1}/items/item-{item}", json=body).raise_for_status()
        now = datetime.now(UTC)
        events: list[dict[str, Any]] = [
            {
                "event_type": "order",
                "user_id": f"guest-{user}",
                "item_id": f"item-{user % 4}",
                "time": (now - timedelta(days=20 + user + 7 * n, hours=user % 9)).isoformat(),
                "quantity": 1 + user % 7,
                "unit_price": 4.0 + user,
            }
            for user in range(60)
            for n in range(1 + user % 5)
        ]
        events.append({"event_type": "view", "user_id": "looker", "item_id": "item-1"})
        running.http.post(f"{V1}/events", json=events).raise_for_status()
        yield running


def attributes(shop: Running, user: str) -> dict[str, Any]:
    return shop.http.get(f"{V1}/user/{user}").json()["attributes"]


def test_the_fields_are_listed_and_shown(shop: Running) -> None:
    listed = {field["name"]: field for field in shop.http.get(f"{V1}/rule-fields").json()}
    found = attributes(shop, "user-1")
    for field in BEHAVIOUR:
        assert listed[field.name]["type"] == field.type
        assert field.name in found
    assert found["sessions"] == 40
    assert found["preferred_category"] in ("Mugs", "Lamps")
    assert sum(found["category_share"].values()) == pytest.approx(1.0)
    looked = attributes(shop, "looker")
    assert (looked["sessions"], looked["session_minutes"], looked["category_share"]) == (1, 0.0, {})
    for name in ("preferred_category", "order_surprise", "activity_surprise", "churn_risk", "cluster"):
        assert looked[name] is None


def test_preferences_and_recent_events_are_part_of_a_profile(shop: Running) -> None:
    found = shop.http.get(f"{V1}/user/user-1").json()
    assert found["preferences"]["orders"] == 40
    assert [one["lines"] for one in found["preferences"]["categories"]] == [20, 20]
    assert len(found["recent"]) == 20
    assert found["recent"][0]["event_type"] == "order"
    quiet = shop.http.get(f"{V1}/user/looker").json()
    assert quiet["preferences"]["categories"] is None
    assert [event["event_type"] for event in quiet["recent"]] == ["view"]


def test_who_refuses_profiling_is_shown_nothing_that_is_learned(shop: Running) -> None:
    shop.http.put(f"{V1}/users/guest-7/consent", json={"profiling": False}).raise_for_status()
    found = shop.http.get(f"{V1}/user/guest-7").json()
    assert (found["preferences"], found["recent"], found["attributes"]) == (None, [], {})


@pytest.mark.parametrize("condition", ["category_share > 1", "cluster > 3", "sessions in 3 days > 1", "churn_risk()"])
def test_a_wrong_use_of_a_field_is_refused_with_the_place(shop: Running, condition: str) -> None:
    refused = shop.http.post(f"{V1}/segments", json={"name": "wrong", "condition": condition})
    assert refused.status_code == 400
    assert refused.json()["detail"].startswith("at ")


def trained(shop: Running, model: str, algorithm: str, **params: Any) -> dict[str, Any]:
    """The finished job."""
    asked = shop.http.post(f"{V1}/models/{model}/train", json={"algorithm": algorithm, "params": params})
    assert asked.status_code == 202, asked.text
    job = asked.json()["job_id"]
    with shop.http.stream("GET", f"{V1}/jobs/{job}/events", timeout=240) as events:
        for _ in events.iter_lines():
            pass
    found: dict[str, Any] = shop.http.get(f"{V1}/jobs/{job}").json()
    return found


def test_models_are_trained_as_jobs_and_segments_follow_them(shop: Running) -> None:
    made = shop.http.post(f"{V1}/segments", json={"name": "grouped", "condition": "cluster is not None"})
    assert made.status_code == 201, made.text
    assert shop.http.get(f"{V1}/segments/grouped/users").json()["total"] == 0
    job = trained(shop, "clusters", "kmeans", k=3)
    assert job["status"] == "done", job["error"]
    assert job["result"]["gate"]["verdict"] in ("PROMOTE", "HOLD")
    if job["result"]["gate"]["verdict"] == "HOLD":
        shop.http.post(f"{V1}/models/clusters/promote", json={"version": 1, "force": True}).raise_for_status()
    assert attributes(shop, "user-1")["cluster"]
    assert attributes(shop, "looker")["cluster"] is None
    members = shop.http.get(f"{V1}/segments/grouped/users").json()["total"]
    assert members == 62  # all who ordered but the one who refuses
    job = trained(shop, "churn", "bgnbd", holdout_days=14)
    assert job["status"] == "done", job["error"]
    refused = trained(shop, "clusters", "kmeans", k=1)
    assert refused["status"] == "failed"
    assert "everybody would be alike" in refused["error"]
