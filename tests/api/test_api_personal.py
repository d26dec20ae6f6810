from __future__ import annotations

from typing import Any

import pytest
from api_server import Running
from sqlalchemy import select

from shopkeeper.stores import schema

V1 = "/api/v1"
PREFERENCES = f"{V1}/personalization/preferences"


def url(user_id: str) -> str:
    return f"{V1}/personalization/user/{user_id}/profile"


def profile(live: Running, user_id: str) -> dict[str, Any]:
    answer = live.http.get(url(user_id))
    assert answer.status_code == 200, answer.text
    return answer.json()


def audit(live: Running, user_id: str) -> list[Any]:
    rows = schema.audit.c
    query = select(schema.audit).where(rows.user_row == live.shop.vocab.users.row(user_id)).order_by(rows.position)
    with live.shop.db.read() as connection:
        return list(connection.execute(query))


def test_a_profile_is_made_changed_in_part_and_read_again(live: Running) -> None:
    assert live.http.get(url("prof-1")).status_code == 404
    made = live.http.put(url("prof-1"), json={"features": {"city": "Ulm", "age": 41}, "user_id": "somebody-else"})
    assert made.json() == {"status": "success", "message": "the user was created"}
    changed = live.http.put(
        url("prof-1"),
        json={"features": {"age": None, "tier": "gold"}, "preferences": {"color": "blue"}, "last_updated": None},
    )
    assert changed.json()["message"] == "the profile was changed; ignored, as it is worked out: last_updated"
    found = profile(live, "prof-1")
    assert found["user_id"] == "prof-1"
    assert (found["features"]["city"], found["features"]["tier"]) == ("Ulm", "gold")
    assert "age" not in found["features"]
    assert found["preferences"]["stated"] == {"color": "blue"}
    assert found["embedding"] is None
    assert live.http.get(f"{V1}/users/prof-1").json()["attributes"] == {"city": "Ulm", "tier": "gold"}
    assert live.http.get(f"{V1}/users/somebody-else").status_code == 404
    live.http.put(url("prof-1"), json={"preferences": {"size": "M", "color": None}})
    assert profile(live, "prof-1")["preferences"]["stated"] == {"size": "M"}


def test_what_is_worked_out_cannot_be_set(live: Running) -> None:
    made = live.http.put(url("prof-8"), json={"features": {"orders": 99, "rfm": "555", "city": "Ulm"}})
    assert made.json()["message"] == "the user was created; ignored, as it is worked out: features.orders, features.rfm"
    assert live.http.get(f"{V1}/users/prof-8").json()["attributes"] == {"city": "Ulm"}


def test_a_misspelled_part_is_refused(live: Running) -> None:
    answer = live.http.put(url("prof-9"), json={"feature": {"city": "Ulm"}})
    assert (answer.status_code, answer.json()["code"]) == (422, "wrong_value")
    assert answer.json()["detail"] == "a profile has no 'feature'; what can be changed are features and preferences"
    assert live.http.get(url("prof-9")).status_code == 404


def test_it_shows_what_a_person_did_and_what_that_says(live: Running) -> None:
    found = profile(live, "user-1")
    assert len(found["behavior_history"]) == 40
    assert found["behavior_history"][0]["event_type"] == "order"
    assert found["preferences"]["learned"]["orders"] == 40
    assert found["features"]["days_since_order"] >= 0
    assert found["last_updated"] == found["behavior_history"][0]["time"]


def test_sending_back_what_was_shown_changes_nothing_that_is_worked_out(live: Running) -> None:
    shown = profile(live, "user-2")
    answer = live.http.put(url("user-2"), json=shown)
    assert answer.status_code == 200, answer.text
    assert "features.days_since_order" in answer.json()["message"]
    again = profile(live, "user-2")
    assert live.http.get(f"{V1}/users/user-2").json()["attributes"] == {}
    assert again["preferences"]["stated"] == {}
    assert again["features"].keys() == shown["features"].keys()


def test_only_who_saw_the_state_changes_it_under_if_match(live: Running) -> None:
    live.http.put(url("prof-2"), json={"features": {"a": 1}})
    tag = live.http.get(url("prof-2")).headers["etag"]
    first = live.http.put(url("prof-2"), json={"preferences": {"x": 1}}, headers={"if-match": tag})
    assert first.status_code == 200
    assert live.http.put(url("prof-2"), json={"features": {"a": 2}}, headers={"if-match": tag}).status_code == 412
    assert profile(live, "prof-2")["features"]["a"] == 1
    good = live.http.put(url("prof-2"), json={"features": {"a": 2}}, headers={"if-match": first.headers["etag"]})
    assert good.status_code == 200


def test_a_change_is_audited_with_what_it_touched(live: Running) -> None:
    live.http.put(url("prof-3"), json={"features": {"a": 1, "b": 2}, "preferences": {"x": 1}})
    live.http.put(url("prof-3"), json={"features": {"a": 5}}, headers={"x-request-id": "call-77"})
    row = audit(live, "prof-3")[-1]
    assert (row.what, row.who, row.request_id) == ("profile", "local", "call-77")
    assert (row.before, row.after) == (
        {"features": {"a": 1}, "preferences": {}}, {"features": {"a": 5}, "preferences": {}},
    )  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"features": 1},
        {"preferences": []},
        {"features": {"x": "y" * 70_000}},
        {"preferences": {"x": "y" * 17_000}},
    ],
)
def test_what_cannot_be_kept_changes_nothing(live: Running, body: Any) -> None:
    live.http.put(url("prof-4"), json={"features": {"a": 1}})
    before = profile(live, "prof-4")
    assert live.http.put(url("prof-4"), json=body).status_code == 422
    assert profile(live, "prof-4") == before


def test_who_refuses_profiling_shows_what_they_said_only(live: Running) -> None:
    live.http.post(f"{V1}/events", json={"event_type": "view", "user_id": "prof-5", "item_id": "item-1"})
    live.http.put(url("prof-5"), json={"features": {"city": "Ulm"}, "preferences": {"x": 1}})
    live.http.put(f"{V1}/users/prof-5/consent", json={"profiling": False})
    found = profile(live, "prof-5")
    assert found["features"] == {"city": "Ulm"}
    assert found["preferences"] == {"stated": {"x": 1}, "learned": None}
    assert (found["behavior_history"], found["embedding"]) == ([], None)


def test_preferences_are_said_changed_and_reset(live: Running) -> None:
    said = live.http.put(PREFERENCES, json={"user_id": "pref-1", "color": "blue", "sizes": ["M", "L"]})
    assert said.json() == {"user_id": "pref-1", "color": "blue", "sizes": ["M", "L"]}
    changed = live.http.put(PREFERENCES, json={"color": None, "news": False}, params={"user_id": "pref-1"})
    assert changed.json() == {"user_id": "pref-1", "sizes": ["M", "L"], "news": False}
    assert live.http.get(PREFERENCES, params={"user_id": "pref-1"}).json() == changed.json()
    reset = live.http.post(f"{PREFERENCES}/reset", json={"user_id": "pref-1"})
    assert reset.json() == {"success": True, "message": "preferences were reset", "user_id": "pref-1"}
    assert live.http.get(PREFERENCES, params={"user_id": "pref-1"}).json() == {"user_id": "pref-1"}
    again = live.http.post(f"{PREFERENCES}/reset", params={"user_id": "pref-1"})
    assert again.json()["message"] == "there were no preferences"
    assert [row.what for row in audit(live, "pref-1")] == ["preferences"] * 3


def test_preferences_of_nobody_are_empty_and_make_nobody(live: Running) -> None:
    assert live.http.get(PREFERENCES, params={"user_id": "pref-none"}).json() == {"user_id": "pref-none"}
    assert live.http.post(f"{PREFERENCES}/reset", json={"user_id": "pref-none"}).status_code == 200
    assert live.shop.vocab.users.row("pref-none") is None


def test_preferences_need_a_user_and_have_bounds(live: Running) -> None:
    for answer in (
        live.http.get(PREFERENCES),
        live.http.put(PREFERENCES, json={"a": 1}),
        live.http.post(f"{PREFERENCES}/reset"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, "no_user")
    deep: Any = 1
    for _ in range(8):
        deep = [deep]
    for body, code in (({"a": deep}, "too_deep"), ({"a": "x" * 17_000}, "too_large"), ({"user_id": "a/b"}, "bad_id")):
        answer = live.http.put(PREFERENCES, json={"user_id": "pref-2", **body})
        assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert live.http.get(PREFERENCES, params={"user_id": "pref-2"}).json() == {"user_id": "pref-2"}
    assert live.shop.vocab.users.row("pref-2") is None
