from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_server import Running, serving
from erase_person import V1, Somebody, done, erase, fill, traces
from sqlalchemy import func, select

from shopkeeper.stores import schema

MODES = ("erase", "anonymise")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Running]:
    with serving(tmp_path) as running:
        yield running


def sales(live: Running, item: str) -> float:
    """Pieces of an item, as the panel of a new start would see them: from the log."""
    batch = live.shop.log.read()
    order = live.shop.vocab.event_types.row("order")
    mine = (batch.type == order) & (batch.item == live.shop.vocab.items.row(item))
    return float(batch.quantity[mine].sum())


@pytest.mark.parametrize("mode", MODES)
def test_nothing_of_a_person_is_left_in_any_file_or_table(own: Running, mode: str) -> None:
    who = fill(own)
    before = {place.split(":")[0] for place in traces(own, who)}
    assert {"users", "events", "preferences", "identities", "deliveries", "jobs", "job_events", "withheld"} <= before
    assert {"slates", "agent_visits", "explored", "experiments"} <= before
    assert _counts(own) == {"explored": 3, "experiment_units": 2, "experiment_events": 2}
    assert _slates(own) >= 7
    assert {"audit", "imports", "log.txt", "left.bin", "server.log", "source.csv", "source.parquet"} <= before | {
        "imports"
    }
    sold = sales(own, "item-1")
    last = own.shop.log.last_seq
    result = erase(own, who.user_id, mode)
    assert traces(own, who) == []
    assert result["mode"] == mode
    assert result["events"] >= 23
    assert own.shop.log.last_seq == last
    assert len(own.shop.log.read()) == last
    assert (sales(own, "item-1") == sold) is (mode == "anonymise")
    assert _counts(own) == {"explored": 1, "experiment_units": 1, "experiment_events": 1}, "the neighbour's"
    assert _slates(own) == 2
    with own.shop.db.read() as connection:
        assert connection.scalar(select(func.count()).select_from(schema.agent_visits)) == 0
    neighbour_stays(own)


def _slates(live: Running) -> int:
    with live.shop.db.read() as connection:
        return connection.scalar(select(func.count()).select_from(schema.slates)) or 0


def _counts(live: Running) -> dict[str, int]:
    tables = (schema.explored, schema.experiment_units, schema.experiment_events)
    with live.shop.db.read() as connection:
        return {one.name: connection.scalar(select(func.count()).select_from(one)) or 0 for one in tables}


def neighbour_stays(live: Running) -> None:
    found = live.http.get(f"{V1}/users/neighbour").json()
    assert found["attributes"]["city"] == "Ulm"
    assert live.http.get(f"{V1}/users/neighbour/consent").json()["marketing"] is False
    events = live.http.get(f"{V1}/events", params={"user_id": "neighbour"}).json()["items"]
    assert len(events) == 5
    assert [one["context"]["table"] for one in events if "context" in one] == [5]


@pytest.mark.parametrize("mode", MODES)
def test_afterwards_the_person_is_unknown_and_may_come_again(own: Running, mode: str) -> None:
    who = fill(own)
    erase(own, who.user_id, mode)
    for path in ("user/{}", "users/{}", "users/{}/consent", "explain/{}", "personalization/user/{}/profile"):
        for id in (who.user_id, who.other_id):
            assert own.http.get(f"{V1}/{path.format(id)}").status_code == 404
    assert own.http.get(f"{V1}/users/{who.user_id}/export").status_code == 404
    assert own.http.get(f"{V1}/events", params={"user_id": who.user_id}).json()["items"] == []
    again = own.http.post(f"{V1}/users/{who.user_id}/erase", json={"confirm": who.user_id})
    assert (again.status_code, again.json()["code"]) == (404, "unknown_user")
    done(own.http.post(f"{V1}/events", json={"event_type": "view", "user_id": who.user_id, "item_id": "item-1"}))
    found = own.http.get(f"{V1}/user/{who.user_id}").json()
    assert found["profile"]["event_counts"] == {"view": 1}
    assert found["consent"]["marketing"] is True
    stored = own.http.get(f"{V1}/events", params={"limit": 1000}).json()["items"]
    assert all(one.get("user_id") != who.other_id for one in stored)
    erase(own, who.user_id, mode)
    assert traces(own, who) == []


@pytest.mark.parametrize("mode", MODES)
def test_nothing_of_a_person_is_left_in_memory(own: Running, mode: str) -> None:
    who = fill(own)
    done(own.http.post(f"{V1}/segments", json={"name": "everybody", "condition": "total_events >= 1"}))
    shop, users = own.shop, own.shop.vocab.users
    rows = [row for row in range(len(users)) if users.id(row) in vars(who).values()]
    assert len(rows) == 4
    assert sum(shop.features.event_counts(row).get("order", 0) for row in rows) >= 20
    members = own.http.get(f"{V1}/segments/everybody/users", params={"limit": 1000}).json()["items"]
    assert who.user_id in [one["user_id"] for one in members]
    erase(own, who.other_id, mode)  # an id that was merged stands for the whole person
    assert [shop.features.event_counts(row) for row in rows] == [{}] * 4
    assert all(shop.consents.of(row).updated_at is None for row in rows)
    assert all(shop.profiles.people.at(row) is None for row in rows)
    members = own.http.get(f"{V1}/segments/everybody/users", params={"limit": 1000}).json()["items"]
    assert "neighbour" in [one["user_id"] for one in members]
    assert not [one for one in members if one["user_id"].startswith(("erased", "person", "formerly"))]
    assert traces(own, who) == []


def test_what_one_part_cannot_forget_the_others_do(own: Running, caplog: pytest.LogCaptureFixture) -> None:
    who, shop = fill(own), own.shop

    def fails(_row: int) -> None:
        raise RuntimeError("cannot forget")

    shop.erasure._listeners = (fails, *shop.erasure._listeners)
    row = shop.vocab.users.row(who.user_id)
    assert row in shop.shaped.shown._of
    erase(own, who.user_id, "erase")
    assert row not in shop.shaped.shown._of
    assert "a listener to erased users failed" in caplog.messages


def test_a_stream_of_events_goes_on_beyond_erased_ones(own: Running) -> None:
    events = [{"event_type": "view", "user_id": "long-gone-person", "item_id": "item-1"}] * 450
    done(own.http.post(f"{V1}/events", json=events), 202)
    done(own.http.post(f"{V1}/events", json={"event_type": "view", "user_id": "after-them", "item_id": "item-1"}))
    erase(own, "long-gone-person", "erase")
    after = own.shop.log.last_seq - 451
    with own.http.stream("GET", f"{V1}/events/stream", headers={"last-event-id": str(after)}) as answer:
        data = next(line for line in answer.iter_lines() if line.startswith("data:"))
    assert "after-them" in data


def test_one_known_from_an_early_refusal_only_can_be_erased_too(own: Running) -> None:
    done(own.http.post(f"{V1}/personalization/opt-out", json={"user_id": "early-refuser"}))
    assert own.http.get(f"{V1}/users/early-refuser/export").json()["consent"][0]["profiling"] is False
    assert erase(own, "early-refuser", "erase")["events"] == 0
    assert own.http.get(f"{V1}/users/early-refuser/consent").status_code == 404


@pytest.mark.parametrize("mode", MODES)
def test_a_new_start_sees_what_the_running_shop_sees(tmp_path: Path, mode: str) -> None:
    with serving(tmp_path) as running:
        who = fill(running)
        erase(running, who.user_id, mode)
        before = seen(running)
    with serving(tmp_path) as again:
        assert seen(again) == before
        assert traces(again, who) == []


def seen(live: Running) -> dict[str, Any]:
    users = live.shop.vocab.users
    profiles = {user: live.http.get(f"{V1}/user/{user}").json()["profile"] for user in ("neighbour", "user-1")}
    listed = live.http.get(f"{V1}/users").json()["items"]
    return {"profiles": profiles, "listed": listed, "names": [users.id(row) for row in range(len(users))]}


def test_confirm_has_to_name_the_user(own: Running) -> None:
    who = Somebody()
    done(own.http.put(f"{V1}/users/{who.user_id}", json={"attributes": {}}))
    for body, code in (
        ({"confirm": "user-1"}, "unconfirmed"),
        ({}, "wrong_value"),
        ({"confirm": who.user_id, "mode": "x"}, "wrong_value"),
    ):
        answer = own.http.post(f"{V1}/users/{who.user_id}/erase", json=body)
        assert (answer.status_code, answer.json()["code"]) == (400, code)
    unknown = own.http.post(f"{V1}/users/nobody/erase", json={"confirm": "nobody"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_user")
    assert own.http.get(f"{V1}/users/{who.user_id}").status_code == 200


def test_deleting_ones_data_is_the_same(own: Running) -> None:
    who = fill(own)
    url = f"{V1}/personalization/data"
    assert own.http.delete(url).status_code == 400
    answer = done(own.http.delete(url, params={"user_id": who.user_id}), 202)
    assert own.shop.jobs.wait(answer.json()["job_id"], 120).status == "done"
    assert traces(own, who) == []


def test_what_is_kept_of_an_erasure_is_that_it_happened(own: Running) -> None:
    from sqlalchemy import select

    from shopkeeper.stores import schema

    who = fill(own)
    done(
        own.http.delete(
            f"{V1}/personalization/data", params={"user_id": who.user_id}, headers={"x-request-id": "call-9"}
        )
    )
    own.shop.jobs.wait(own.shop.jobs.list(kind="erase")[0][0].job_id, 120)
    with own.shop.db.read() as connection:
        rows = list(connection.execute(select(schema.audit).where(schema.audit.c.what == "erase")))
    assert [(row.who, row.user_row, row.before, row.after, row.request_id) for row in rows] == [
        ("local", None, None, None, "call-9")
    ]
