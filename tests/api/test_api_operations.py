"""The operations over HTTP: looking, switching, hearing of it, and coming back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_server import Running, serving

V1 = "/api/v1"
LOOP = {"running", "started_at", "stopped_at", "processed_batches", "processed_events", "last_batch_at"}
INTAKE = {"running", "pending_events", "cached_users", "last_event_at", "started_at"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("operated"), device="cpu") as running:
        yield running


def messages(answer: httpx.Response) -> Iterator[tuple[int | None, Any]]:
    number = None
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if name == "id":
            number = int(value)
        elif name == "data":
            yield number, json.loads(value)


def switch(shop: Running, what: str, status: int = 200) -> Any:
    answer = shop.http.post(f"{V1}/operations/{what}")
    assert answer.status_code == status, answer.text
    return answer.json()


def test_the_state_has_the_fields_that_are_promised(shop: Running) -> None:
    told = shop.http.get(f"{V1}/operations/status").json()
    assert told["ingestion"].keys() >= INTAKE
    assert told["incremental_loop"].keys() >= LOOP
    metrics = shop.http.get(f"{V1}/operations/metrics").json()
    assert metrics["refresh"] == metrics["hgt_training"] == metrics["fusion_training"] == {"state": "idle"}
    resources = {"timestamp", "cpu_percent", "memory_rss_mb", "memory_vms_mb", "gpu", "pid"}
    assert metrics["resources"].keys() == resources


def test_the_device_is_told(shop: Running) -> None:
    told = shop.http.get("/health").json()
    assert (told["device"], told["device_mode"]) == ("cpu", "cpu")
    assert told["incremental_loop"].keys() >= LOOP


def test_a_shop_without_a_live_source_cannot_start_one_and_may_stop_none(shop: Running) -> None:
    assert switch(shop, "ingestion/start", 409)["code"] == "no_live_source"
    for _ in range(2):
        assert switch(shop, "ingestion/stop")["status"] == "stopped"
    assert not [one for one in history(shop) if one["type"].startswith("ingestion")], "nothing was done"


def test_the_loop_stops_and_starts_once_each(shop: Running) -> None:
    assert running(shop)
    assert [switch(shop, "incremental/stop") for _ in range(2)] == [
        {"message": "the incremental loop is stopped", "status": "stopped"},
        {"message": "the incremental loop was stopped already", "status": "stopped"},
    ]
    assert not running(shop)
    assert shop.http.get(f"{V1}/operations/status").json()["incremental_loop"]["stopped_at"] is not None
    assert [switch(shop, "incremental/start")["message"] for _ in range(2)] == [
        "the incremental loop is running",
        "the incremental loop was running already",
    ]
    assert running(shop)
    deeds = [one["type"] for one in history(shop) if one["type"].startswith("incremental")]
    assert deeds[:2] == ["incremental_loop_started", "incremental_loop_stopped"]


def test_the_history_shows_the_newest_twenty_of_all(shop: Running) -> None:
    for _ in range(15):
        switch(shop, "incremental/stop")
        switch(shop, "incremental/start")
    job = shop.http.post(f"{V1}/operations/cleanup", json={"dry_run": True}).json()["job_id"]
    switch(shop, "incremental/stop")
    switch(shop, "incremental/start")
    deeds = history(shop)
    assert len(deeds) == 20
    assert [one["timestamp"] for one in deeds] == sorted((one["timestamp"] for one in deeds), reverse=True)
    assert deeds[2]["type"] == "cleanup"
    assert deeds[2]["payload"]["job_id"] == job


def test_who_comes_back_gets_what_was_missed_and_nothing_twice(shop: Running) -> None:
    with shop.http.stream("GET", f"{V1}/operations/stream") as answer:
        stream = messages(answer)
        _, first = next(stream)
        assert {"refresh", "hgt_training", "resources", "timestamp"} <= first.keys()
        switch(shop, "incremental/stop")
        seen, change = next(stream)
        assert (change["channel"], change["payload"]["event"]) == ("incremental_loop", "complete")
    switch(shop, "incremental/start")
    switch(shop, "incremental/stop")
    switch(shop, "incremental/start")
    with shop.http.stream("GET", f"{V1}/operations/stream", headers={"last-event-id": str(seen)}) as answer:
        stream = messages(answer)
        missed = [next(stream) for _ in range(3)]
    assert [one["payload"]["event"] for _, one in missed] == ["start", "complete", "start"]
    assert [place for place, _ in missed] == [seen + 1, seen + 2, seen + 3]
    assert all({"channel", "payload", "timestamp", "resources"} == one.keys() for _, one in missed)


def test_events_are_told_with_how_far_the_loops_are(shop: Running) -> None:
    with shop.http.stream("GET", f"{V1}/operations/stream") as answer:
        stream = messages(answer)
        next(stream)
        event = {"event_type": "view", "user_id": "user-1", "item_id": "item-1"}
        shop.http.post(f"{V1}/events", json=event).raise_for_status()
        events = (one for _, one in stream if one["channel"] == "ingestion")
        told = next(one for one in events if one["payload"]["events"] == shop.shop.log.last_seq)
        _, loop = next(stream)
    assert told["payload"]["event"] == loop["payload"]["event"] == "stage"
    assert told["payload"]["accepted"] >= 1
    assert loop["channel"] == "incremental_loop"
    assert loop["payload"].keys() > LOOP


@pytest.mark.parametrize("number", ["1", "999999999999999999"])
def test_who_was_away_too_long_or_comes_from_elsewhere_begins_with_the_present(shop: Running, number: str) -> None:
    with shop.http.stream("GET", f"{V1}/operations/stream", headers={"last-event-id": number}) as answer:
        assert "ingestion" in next(messages(answer))[1]


def test_a_wrong_last_event_id_is_refused(shop: Running) -> None:
    answer = shop.http.get(f"{V1}/operations/stream", headers={"last-event-id": "yesterday"})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_last_event_id")


def test_the_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    numbers = []
    for _ in range(2):
        with serving(tmp_path) as opened, opened.http.stream("GET", f"{V1}/operations/stream") as answer:
            numbers.append(next(messages(answer))[0])
    assert numbers[0] < numbers[1]


def running(shop: Running) -> bool:
    found: bool = shop.http.get(f"{V1}/operations/status").json()["incremental_loop"]["running"]
    return found


def history(shop: Running) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = shop.http.get(f"{V1}/operations/status").json()["history"]
    return found
