"""Identification and merging over HTTP, by doors and by the client."""

from __future__ import annotations

from typing import Any

import pytest
from api_server import Running

from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.errors import Conflict, NotFound

V1 = "/api/v1"


def send(live: Running, *people: dict[str, Any], type_: str = "view") -> None:
    events = [{"event_type": type_, "item_id": "item-1", **who} for who in people]
    answer = live.http.post(f"{V1}/events", json=events)
    assert answer.status_code == 202, answer.text
    assert answer.json()["accepted"] == len(events)


def counts(live: Running, user_id: str) -> dict[str, int]:
    answer = live.http.get(f"{V1}/user/{user_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()["profile"]["event_counts"]


def test_a_visitor_becomes_a_user(live: Running) -> None:
    send(live, {"anonymous_id": "tab-1"}, {"anonymous_id": "tab-1"}, {"user_id": "ida"})
    bound = live.http.post(f"{V1}/identities", json={"anonymous_id": "tab-1", "user_id": "ida"})
    assert (bound.status_code, bound.json()) == (
        200,
        {"user_id": "ida", "anonymous_ids": ["tab-1"], "merged_from": [], "moved_events": 2},
    )
    assert counts(live, "ida") == {"view": 3}
    assert (
        live.http.post(f"{V1}/identities", json={"anonymous_id": "tab-1", "user_id": "ida"}).json()["moved_events"] == 0
    )
    send(live, {"anonymous_id": "tab-1"})
    assert counts(live, "ida") == {"view": 4}
    taken = live.http.post(f"{V1}/identities", json={"anonymous_id": "tab-1", "user_id": "user-1"})
    assert (taken.status_code, taken.json()["code"]) == (409, "bound_to_another")
    found = live.http.get(f"{V1}/identities/ida")
    assert (found.status_code, found.json()) == (
        200,
        {"user_id": "ida", "anonymous_ids": ["tab-1"], "merged_from": []},
    )


def test_two_users_become_one(live: Running) -> None:
    live.http.put(f"{V1}/users/two-a", json={"attributes": {"city": "Ulm", "age": 40}})
    live.http.put(f"{V1}/users/two-b", json={"attributes": {"city": "Bonn"}})
    send(live, {"user_id": "two-a"}, {"user_id": "two-b"}, {"user_id": "two-a"}, type_="order")
    body = {"from_user_id": "two-a", "into_user_id": "two-b"}
    with ShopkeeperClient(live.url) as client:
        assert "item-1" in {item.item_id for item in client.recommend("nobody-yet", 100).recommendations}
    merged = live.http.post(f"{V1}/identities/merge", json=body)
    assert (merged.status_code, merged.json()["moved_events"], merged.json()["merged_from"]) == (200, 2, ["two-a"])
    assert live.http.post(f"{V1}/identities/merge", json=body).json()["moved_events"] == 0
    for asked in ("two-a", "two-b"):
        profile = live.http.get(f"{V1}/user/{asked}").json()
        assert profile["user_id"] == "two-b"
        assert profile["profile"]["user"] == {"city": "Bonn", "age": 40, "user_id": "two-b"}
        assert profile["windows"]["all"]["orders"] == 3
        assert live.http.get(f"{V1}/identities/{asked}").json()["user_id"] == "two-b"
        with ShopkeeperClient(live.url) as client:  # scenario content: nothing that the user bought before
            slate = client.recommend(asked, 100).recommendations
        assert slate
        assert "item-1" not in {item.item_id for item in slate}
    assert live.http.get(f"{V1}/users/two-a").status_code == 404
    assert live.http.put(f"{V1}/users/two-a", json={"attributes": {}}).json()["code"] == "merged"
    listed = live.http.get(f"{V1}/events", params={"user_id": "two-a"}).json()["items"]
    assert [event["user_id"] for event in listed] == ["two-b"] * 3
    around = live.http.post(f"{V1}/identities/merge", json={"from_user_id": "two-b", "into_user_id": "two-a"})
    assert (around.status_code, around.json()["code"]) == (409, "merge_circle")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("", {}, 400),
        ("", {"anonymous_id": "v"}, 400),
        ("", {"anonymous_id": 7, "user_id": "u"}, 400),
        ("", {"anonymous_id": "", "user_id": "u"}, 400),
        ("", {"anonymous_id": "v" * 129, "user_id": "u"}, 400),
        ("", {"anonymous_id": "v/w", "user_id": "u"}, 400),
        ("", {"anonymous_id": "v", "user_id": "u\n"}, 400),
        ("", ["v", "u"], 400),
        ("/merge", {"from_user_id": "user-1"}, 400),
        ("/merge", {"from_user_id": "user-1", "into_user_id": "user-1"}, 400),
        ("/merge", {"from_user_id": "user-1", "into_user_id": "nobody"}, 404),
        ("/merge", {"from_user_id": "nobody", "into_user_id": "user-1"}, 404),
        ("/merge", {"from_user_id": None, "into_user_id": "user-1"}, 400),
    ],
)
def test_what_cannot_be_done_is_refused(live: Running, path: str, body: Any, status: int) -> None:
    last = live.shop.log.last_seq
    answer = live.http.post(f"{V1}/identities{path}", json=body)
    assert answer.status_code == status, answer.text
    assert {"code", "detail"} <= answer.json().keys()
    assert live.shop.log.last_seq == last
    assert live.http.get(f"{V1}/identities/user-1").json()["merged_from"] == []


def test_segments_follow(live: Running) -> None:
    """Each had too few orders alone; the first leaves what it was in, the second enters. And so on."""
    made = live.http.post(f"{V1}/segments", json={"name": "thrice", "condition": "orders >= 3"})
    assert made.status_code == 201, made.text
    for number in range(2):
        send(live, {"user_id": "seg-a", "time": f"2026-01-0{number + 1}T10:00:00Z"}, type_="order")
    send(live, {"user_id": "seg-b"}, {"user_id": "seg-c"}, type_="order")
    assert "thrice" not in live.http.get(f"{V1}/user/seg-a").json()["segments"]
    for source, target in (("seg-a", "seg-b"), ("seg-b", "seg-c")):
        body = {"from_user_id": source, "into_user_id": target}
        assert live.http.post(f"{V1}/identities/merge", json=body).status_code == 200
        assert "thrice" in live.http.get(f"{V1}/user/{target}").json()["segments"]
        members = live.http.get(f"{V1}/segments/thrice/users", params={"limit": 1000}).json()["items"]
        assert {one["user_id"] for one in members} & {"seg-a", "seg-b", "seg-c"} == {target}


def test_the_client_speaks_of_identities(live: Running) -> None:
    send(live, {"anonymous_id": "c-tab"}, {"user_id": "c-a"}, {"user_id": "c-b"})
    with ShopkeeperClient(live.url) as client:
        assert client.bind("c-tab", "c-a").moved_events == 1
        with pytest.raises(Conflict):
            client.bind("c-tab", "c-b")
        assert client.merge_users("c-a", "c-b").moved_events == 2
        found = client.identity("c-a")
        assert (found.user_id, found.anonymous_ids, found.merged_from) == ("c-b", ["c-tab"], ["c-a"])
        with pytest.raises(NotFound):
            client.identity("nobody")
