"""Segments over HTTP: made, changed, read at any time; bad input and lost races change nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from api_server import Running, serving

from shopkeeper.client import ShopkeeperClient
from shopkeeper.stores.paging import cursor_after

V1 = "/api/v1"
SEGMENTS = f"{V1}/segments"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Three users with forty orders each, and one who is only listed."""
    with serving(tmp_path_factory.mktemp("segments")) as running:
        running.http.put(f"{V1}/users/quiet", json={"attributes": {"city": "Ulm"}}).raise_for_status()
        yield running


def make(shop: Running, name: str, condition: str) -> None:
    made = shop.http.post(SEGMENTS, json={"name": name, "condition": condition})
    assert made.status_code == 201, made.text


def members(shop: Running, name: str, **query: str) -> list[str]:
    page = shop.http.get(f"{SEGMENTS}/{name}/users", params=query)
    assert page.status_code == 200, page.text
    return [one["user_id"] for one in page.json()["items"]]


def order(shop: Running, user: str, **more: str) -> None:
    event = {"event_type": "order", "user_id": user, "item_id": "item-1", "quantity": 1, "unit_price": 5, **more}
    assert shop.http.post(f"{V1}/events", json=event).json()["accepted"] == 1


def test_an_event_is_seen_by_the_next_answer(shop: Running) -> None:
    make(shop, "many", "orders >= 41")
    assert members(shop, "many") == []
    for expected in (["user-0"], ["user-0", "user-2"]):
        order(shop, expected[-1])
        limit = time.monotonic() + 10
        while members(shop, "many") != expected:
            assert time.monotonic() < limit
    listed = {one["name"]: one["size"] for one in shop.http.get(SEGMENTS).json()["segments"]}
    assert listed["many"] == 2
    stays: list[Any] = []
    while not stays:  # stays are written behind the answers
        mine = shop.http.get(f"{V1}/user/user-2/segments", params={"history": "true"}).json()
        assert "many" in mine["segments"]
        stays = [one for one in mine["history"] if one["segment"] == "many"]
        assert time.monotonic() < limit
    (stay,) = stays
    assert stay["left_at"] is None
    assert "history" in shop.http.get(f"{V1}/user/quiet/segments").json()


def test_a_record_is_seen_by_the_next_answer(shop: Running) -> None:
    make(shop, "ulm", "city == 'Ulm'")
    assert members(shop, "ulm") == ["quiet"]
    shop.http.put(f"{V1}/users/user-1", json={"attributes": {"city": "Ulm"}}).raise_for_status()
    assert members(shop, "ulm") == ["user-1", "quiet"]
    assert "ulm" in shop.http.get(f"{V1}/user/user-1").json()["segments"]
    shop.http.put(f"{V1}/users/user-1", json={"attributes": {"city": "Bonn"}}).raise_for_status()
    assert members(shop, "ulm") == ["quiet"]


def test_members_at_a_time_and_the_history(shop: Running) -> None:
    make(shop, "buyers", "orders >= 1")
    assert members(shop, "buyers") == ["user-0", "user-1", "user-2"]
    now = datetime.now(UTC)
    assert members(shop, "buyers", at=(now - timedelta(days=1)).isoformat()) == []
    limit = time.monotonic() + 10
    while members(shop, "buyers", at=datetime.now(UTC).isoformat()) != ["user-0", "user-1", "user-2"]:
        assert time.monotonic() < limit, "the spans are durable soon after"
    history = shop.http.get(f"{SEGMENTS}/buyers/history", params={"step": "6h"}).json()
    assert (history["entered"], history["left"]) == (3, 0)
    assert [point["size"] for point in history["sizes"]] == [0] * 120 + [3]
    for query in ({"step": "5x"}, {"step": "1m"}, {"from": "2026-01-01T00:00:00"}, {"from": "soon"}):
        assert shop.http.get(f"{SEGMENTS}/buyers/history", params=query).status_code == 400
    assert shop.http.get(f"{SEGMENTS}/buyers/users", params={"at": "2026-01-01"}).status_code == 400
    assert shop.http.get(f"{SEGMENTS}/nobody/history").status_code == 404
    assert shop.http.get(f"{SEGMENTS}/nobody/users").status_code == 404


def test_times_at_the_ends_of_the_calendar(shop: Running) -> None:
    make(shop, "old", "orders >= 1")
    url = f"{SEGMENTS}/old"
    late = "9999-12-31T23:59:59-14:00"
    limit = time.monotonic() + 10
    while len(members(shop, "old", at=late)) < 3:
        assert time.monotonic() < limit, "the spans are durable soon after"
    assert members(shop, "old", at="0001-01-01T00:00:00+14:00") == []
    for query in (
        {"to": "0001-01-01T00:00:00Z"}, {"from": "0001-01-01T00:00:00+14:00"}, {"to": "1899-12-31T23:59:59Z"},
        {"to": late}, {"from": "1899-12-31T00:00:00Z", "step": "9999d"},
    ):  # fmt: skip
        answer = shop.http.get(f"{url}/history", params=query)
        assert (answer.status_code, "years 1900 to 9999" in answer.json()["detail"]) == (400, True), query
    whole = {"from": "1900-01-01T00:00:00Z", "to": "9999-12-31T23:59:59.999999Z", "step": "9999d"}
    assert shop.http.get(f"{url}/history", params=whole).json()["sizes"][-1]["size"] == 3


def test_a_made_up_cursor_is_refused(shop: Running) -> None:
    make(shop, "paged", "orders >= 1")
    for key in ("9" * 11, "9" * 30, "9" * 380, "\u0663"):
        cursor = cursor_after(key)
        for more in ({}, {"at": "2026-01-01T00:00:00Z"}):
            answer = shop.http.get(f"{SEGMENTS}/paged/users", params={"cursor": cursor, **more})
            assert answer.status_code == 400, key


def test_pages_and_the_file(shop: Running, tmp_path: Path) -> None:
    make(shop, "all", "total_events >= 0")
    first = shop.http.get(f"{SEGMENTS}/all/users", params={"limit": 3}).json()
    rest = shop.http.get(f"{SEGMENTS}/all/users", params={"limit": 3, "cursor": first["next_cursor"]}).json()
    found = [one["user_id"] for one in first["items"] + rest["items"]]
    assert found[:4] == ["user-0", "user-1", "user-2", "quiet"]
    assert (first["total"], rest["next_cursor"]) == (len(found), None)
    for cursor in ("x", "-1", "MTI=3"):
        assert shop.http.get(f"{SEGMENTS}/all/users", params={"cursor": cursor}).status_code == 400
    shop.http.put(f"{V1}/users/quiet/consent", json={"marketing": False}).raise_for_status()
    with ShopkeeperClient(shop.url) as client:
        client.export_segment("all", tmp_path / "all.csv")
    lines = (tmp_path / "all.csv").read_text().splitlines()
    assert lines[0] == "user_id,entered_at"
    assert [line.split(",")[0] for line in lines[1:]] == [user for user in found if user != "quiet"]
    assert shop.http.get(f"{SEGMENTS}/all/export", params={"format": "xlsx"}).status_code == 400


def test_who_refuses_profiling_is_in_no_segment(shop: Running) -> None:
    make(shop, "anyone", "total_events >= 1")
    assert "user-1" in members(shop, "anyone")
    shop.http.put(f"{V1}/users/user-1/consent", json={"profiling": False}).raise_for_status()
    assert "user-1" not in members(shop, "anyone")
    assert shop.http.get(f"{V1}/user/user-1/segments").json()["segments"] == []
    shop.http.put(f"{V1}/users/user-1/consent", json={"profiling": True}).raise_for_status()
    assert "user-1" in members(shop, "anyone")


def test_a_lost_race_and_bad_conditions_change_nothing(shop: Running) -> None:
    make(shop, "kept", "orders >= 40")
    url = f"{SEGMENTS}/kept"
    first = shop.http.get(url)
    changed = shop.http.put(url, json={"condition": "orders >= 2"}, headers={"if-match": first.headers["etag"]})
    assert (changed.status_code, changed.json()["version"], changed.json()["size"]) == (200, 2, 3)
    late = shop.http.put(url, json={"condition": "orders >= 3"}, headers={"if-match": first.headers["etag"]})
    assert (late.status_code, late.json()["code"]) == (412, "stale")
    assert shop.http.delete(url, headers={"if-match": first.headers["etag"]}).status_code == 412
    wrong = {
        "ordrs >= 2": "at 1:", "orders >= 'x'": "at 8:", "orders.real > 1": "at 7:", "open('x')": "at 1:",
        "(" * 40 + "True" + ")" * 40: "at ", f"orders in {list(range(300))}": "at ", "orders": "at 1:", "": "at 1:",
    }  # fmt: skip
    for condition, place in wrong.items():
        refused = shop.http.put(url, json={"condition": condition})
        assert refused.status_code == 400, condition
        assert refused.json()["detail"].startswith(place)
    assert shop.http.put(url, json={"name": "other"}).status_code == 400
    assert shop.http.get(url).json()["condition"] == "orders >= 2"
    assert shop.http.post(SEGMENTS, json={"name": "kept", "condition": "orders >= 1"}).status_code == 409
    assert shop.http.get(f"{V1}/user/nobody/segments").status_code == 404


def test_deleting_and_being_listened_to(shop: Running) -> None:
    make(shop, "gone", "orders >= 1")
    hook = shop.http.post(
        f"{V1}/webhooks", json={"url": "http://127.0.0.1:1/x", "events": ["segment.left"], "segment": "gone"}
    )
    assert hook.status_code == 201, hook.text
    refused = shop.http.delete(f"{SEGMENTS}/gone")
    assert (refused.status_code, refused.json()["code"]) == (409, "in_use")
    assert shop.http.delete(f"{V1}/webhooks/{hook.json()['webhook_id']}").status_code == 204
    assert shop.http.delete(f"{SEGMENTS}/gone").status_code == 204
    assert shop.http.get(f"{SEGMENTS}/gone").status_code == 404
    assert "gone" not in shop.http.get(f"{V1}/user/user-0/segments").json()["segments"]


def test_by_the_client(shop: Running) -> None:
    with ShopkeeperClient(shop.url) as client:
        made = client.create_segment("by client", "orders >= 1")
        assert client.segment("by client") == made
        assert client.update_segment("by client", description="x").description == "x"
        assert client.segment_users("by client", at=datetime.now(UTC) - timedelta(days=9)).items == []
        assert client.segment_history("by client", step="1d")["left"] == 0
        assert "by client" in client.user_segments("user-0", history=True)["segments"]
        client.delete_segment("by client")
        assert "by client" not in {one.name for one in client.segments()}
