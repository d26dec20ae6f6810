"""Slates over HTTP: several at once, for a basket, and what is said about an answer by its id."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from api_server import Running

from shopkeeper.core.ids import ulid
from shopkeeper.core.records import Event

V1 = "/api/v1"
SAID = f"{V1}/personalization/recommendations"


def slate(live: Running, user_id: str = "user-1", **more: Any) -> dict[str, Any]:
    body = {"user_id": user_id, "scenario": "home", **more}
    answer = live.http.post(f"{V1}/personalization/recommend", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def items(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["recommendations"]]


def events(live: Running, user_id: str, event_type: str) -> list[dict[str, Any]]:
    found = live.http.get(f"{V1}/events", params={"user_id": user_id, "event_type": event_type})
    return found.json()["items"]


def seen(live: Running) -> None:
    """Returns when every follower knows what is in the log."""
    loop = live.loop
    assert loop is not None
    waiting = live.shop.following.wait_for(live.shop.log.last_seq)
    asyncio.run_coroutine_threadsafe(waiting, loop).result(30)


@pytest.fixture
def shopper(live: Running) -> str:
    """Somebody new who has bought every item."""
    user_id = f"shopper-{ulid()}"
    bought = [Event(event_type="order", user_id=user_id, item_id=f"item-{k}", quantity=1.0) for k in range(4)]
    live.shop.log.append(bought).result()
    seen(live)
    return user_id


def test_what_was_accepted_is_an_event_that_knows_its_place(live: Running, shopper: str) -> None:
    shown = slate(live, shopper, scenario="search")
    second = items(shown)[1]
    url = f"{SAID}/{shown['request_id']}/accept"
    for _ in range(2):
        answer = live.http.post(url, json={"item_id": second})
        assert (answer.status_code, answer.json()) == (200, {"success": True})
    (event,) = events(live, shopper, "accept")
    assert (event["item_id"], event["value"]) == (second, 0.1)
    context = event["context"]
    assert (context["request_id"], context["position"], context["scenario"]) == (shown["request_id"], 1, "search")
    assert context["channels"] == shown["recommendations"][1]["metadata"]["channels"]
    assert isinstance(context["versions"], dict)


def test_what_was_dismissed_does_not_come_back(live: Running, shopper: str) -> None:
    shown = slate(live, shopper, scenario="search")
    first = items(shown)[0]
    assert live.http.post(f"{SAID}/{shown['request_id']}/dismiss", json={"item_id": first}).json() == {"success": True}
    seen(live)
    left = items(slate(live, shopper, scenario="search"))
    assert left
    assert first not in left


def test_without_an_item_the_whole_answer_is_meant(live: Running, shopper: str) -> None:
    shown = slate(live, shopper, scenario="search", n_recommendations=3)
    assert live.http.post(f"{SAID}/{shown['request_id']}/accept").status_code == 200
    found = events(live, shopper, "accept")
    assert sorted(event["item_id"] for event in found) == sorted(items(shown))
    assert all(event["context"]["whole_answer"] for event in found)


def test_stars_count_as_often_as_they_change(live: Running, shopper: str) -> None:
    shown = slate(live, shopper, scenario="search")
    url, item = f"{SAID}/{shown['request_id']}/feedback", items(shown)[0]
    for stars in (5, 3, 3):
        form = {"rating": stars, "comment": "nice", "item_id": item}
        assert live.http.post(url, json=form).json() == {"success": True}
    assert sorted(event["value"] for event in events(live, shopper, "rating")) == [0.6, 1.0]
    assert {event["context"]["comment"] for event in events(live, shopper, "rating")} == {"nice"}


def test_a_stranger_can_say_something_too(live: Running) -> None:
    stranger = f"stranger-{ulid()}"
    shown = slate(live, stranger)
    assert live.http.post(f"{SAID}/{shown['request_id']}/accept", json={"item_id": items(shown)[0]}).status_code == 200
    assert [event["user_id"] for event in events(live, stranger, "accept")] == [stranger]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("unknown/accept", {}, 404),
        ("01HZZZZZZZZZZZZZZZZZZZZZZZ-1/dismiss", {}, 404),
        ("{id}/accept", {"item_id": "not-shown"}, 404),
        ("{id}/accept", {"item_id": 5}, 422),
        ("{id}/accept", [], 422),
        ("{id}/feedback", {}, 422),
        ("{id}/feedback", {"rating": 0}, 422),
        ("{id}/feedback", {"rating": 6}, 422),
        ("{id}/feedback", {"rating": 4.5}, 422),
        ("{id}/feedback", {"rating": 4, "comment": "x" * 1001}, 422),
    ],
)
def test_what_cannot_be_said_is_refused(live: Running, path: str, body: Any, status: int) -> None:
    shown = slate(live)
    answer = live.http.post(f"{SAID}/{path.replace('{id}', shown['request_id'])}", json=body)
    assert (answer.status_code, set(answer.json()) >= {"detail", "code", "type", "request_id"}) == (status, True)


def test_a_batch_answers_in_order_and_a_bad_request_fails_alone(live: Running) -> None:
    requests: list[Any] = [
        {"user_id": "user-0", "scenario": "home", "n_recommendations": 2},
        {"user_id": "user-1", "scenario": "nowhere"},
        {"user_id": ""},
        {"scenario": "home"},
        "not a request",
        {"user_id": "user-2", "n_recommendations": 10**9},
        {"user_id": "user-2", "scenario": "home", "n_recommendations": 1},
    ]
    answer = live.http.post(f"{V1}/personalization/recommend/batch", json={"requests": requests})
    assert answer.status_code == 200, answer.text
    responses = answer.json()["responses"]
    assert [one.get("user_id") for one in responses] == ["user-0", None, None, None, None, None, "user-2"]
    assert [len(responses[place]["recommendations"]) for place in (0, 6)] == [2, 1]
    codes = [one["code"] for one in responses[1:6]]
    assert codes == ["unknown_scenario", "bad_id", "wrong_value", "wrong_value", "out_of_bounds"]
    said = live.http.post(f"{SAID}/{responses[0]['request_id']}/accept")
    assert said.json() == {"success": True}


@pytest.mark.parametrize("requests", [[], [{"user_id": "u"}] * 101, {}, None])
def test_a_batch_of_another_size_is_refused(live: Running, requests: Any) -> None:
    answer = live.http.post(f"{V1}/personalization/recommend/batch", json={"requests": requests})
    assert (answer.status_code, answer.json()["code"]) == (422, "wrong_value")


def test_a_whole_batch_is_answered(live: Running) -> None:
    requests = [{"user_id": f"user-{k % 3}", "scenario": "home", "use_cache": False} for k in range(100)]
    responses = live.http.post(f"{V1}/personalization/recommend/batch", json={"requests": requests}).json()["responses"]
    assert [one["user_id"] for one in responses] == [one["user_id"] for one in requests]
    assert len({one["request_id"] for one in responses}) == 100


def test_a_basket_is_answered_by_what_goes_with_it(live: Running) -> None:
    answer = live.http.post(f"{V1}/personalization/basket", json={"item_ids": ["item-0"], "n_recommendations": 3})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["user_id"], body["scenario"]) == ("", "basket")
    assert body["recommendations"]
    assert "item-0" not in items(body)
    assert live.http.post(f"{SAID}/{body['request_id']}/accept").json() == {"success": True}
    named = live.http.post(f"{V1}/personalization/basket", json={"item_ids": ["item-0"], "user_id": "user-1"})
    assert named.json()["user_id"] == "user-1"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"item_ids": []},
        {"item_ids": ["x"] * 51},
        {"item_ids": ["x"], "n_recommendations": 0},
        {"item_ids": ["x"], "user_id": "a/b"},
        {"item_ids": ["x"], "scenario": "nowhere"},
        {"item_ids": ["x"], "filters": {"price_min": 5, "price_max": 1}},
    ],
)
def test_a_basket_that_cannot_be_read_is_refused(live: Running, body: Any) -> None:
    assert live.http.post(f"{V1}/personalization/basket", json=body).status_code == 422


def test_items_like_one_by_all_channels_or_by_one(live: Running) -> None:
    url = f"{V1}/items/item-0/similar"
    fused = live.http.get(url, params={"n": 2, "user_id": "user-1"})
    assert fused.status_code == 200, fused.text
    assert "item-0" not in [item["item_id"] for item in fused.json()["items"]]
    alone = live.http.get(url, params={"channel": "trending"})
    assert {tuple(item["metadata"]["channels"]) for item in alone.json()["items"]} <= {("trending",), ()}
    wrong = live.http.get(url, params={"channel": "no-such"})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "unknown_channel")
    assert live.http.get(url, params={"n": 101}).status_code == 400
    assert live.http.get(f"{V1}/items/none/similar").status_code == 404


def test_doors_ask_for_the_scope_they_need(locked: Running) -> None:
    for method, path in (
        ("POST", "/personalization/recommend/batch"),
        ("POST", "/personalization/basket"),
        ("POST", "/personalization/recommendations/x/accept"),
    ):
        assert locked.http.request(method, f"{V1}{path}", json={} if method == "POST" else None).status_code == 401
