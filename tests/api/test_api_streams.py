"""What comes live: event streams and WebSockets, and going on where one stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from api_server import Running
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

KEY = "a-key-that-nobody-guesses"
V1 = "/api/v1"
ROWS = b"order date,customer,sku,qty,price\n2026-01-01,c-9,sku-9,1,2\n"


def finished_job(live: Running) -> str:
    """An import that has ended: a job with a few numbered messages."""
    made = live.http.post(f"{V1}/data/imports", files={"file": ("o.csv", ROWS)}, data={"kind": "orders"}).json()
    job_id: str = live.http.post(f"{V1}/data/imports/{made['import_id']}/start", json={}).json()["job_id"]
    live.shop.jobs.wait(job_id, 120)
    return job_id


def messages(answer: httpx.Response) -> Iterator[tuple[str, int | None, Any]]:
    event, number = "message", None
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            event = value
        elif name == "id":
            number = int(value)
        elif name == "data":
            yield event, number, json.loads(value)
            event, number = "message", None


def test_events_stream_live_and_from_where_it_stopped(live: Running) -> None:
    with live.http.stream("GET", f"{V1}/events/stream") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        stream = messages(answer)
        live.http.post(f"{V1}/events", json={"event_type": "view", "user_id": "s", "item_id": "live-1"})
        name, number, data = next(stream)
    assert (name, data["item_id"], data["seq"]) == ("event", "live-1", number)
    live.http.post(f"{V1}/events", json={"event_type": "view", "user_id": "s", "item_id": "live-2"})
    with live.http.stream("GET", f"{V1}/events/stream", headers={"last-event-id": str(number)}) as answer:
        _, after, data = next(messages(answer))
    assert (after, data["item_id"]) == (number + 1, "live-2")


def test_a_reader_far_behind_is_told_of_the_gap(live: Running) -> None:
    for _ in range(3):
        crowd = [{"event_type": "view", "user_id": "crowd", "item_id": "item-1"}] * 1000
        live.http.post(f"{V1}/events", json=crowd)
    with live.http.stream("GET", f"{V1}/events/stream", headers={"last-event-id": "5"}) as answer:
        stream = messages(answer)
        name, number, gap = next(stream)
        assert (name, gap["from"], gap["to"]) == ("gap", 6, number)
        assert next(stream)[2]["seq"] == number + 1


def test_a_wrong_last_event_id_is_refused(live: Running) -> None:
    assert live.http.get(f"{V1}/events/stream", headers={"last-event-id": "x"}).status_code == 400


def test_a_jobs_messages_come_once_each_over_sse_and_websocket(live: Running) -> None:
    job_id = finished_job(live)
    with live.http.stream("GET", f"{V1}/jobs/{job_id}/events") as answer:
        told = list(messages(answer))
    assert told[0][0] == "snapshot"
    assert told[-1][0] == "done"
    numbers = [number for _, number, _ in told if number is not None]
    assert numbers == list(range(1, len(numbers) + 1))
    with live.http.stream("GET", f"{V1}/jobs/{job_id}/events", headers={"last-event-id": str(numbers[1])}) as answer:
        assert [number for _, number, _ in messages(answer)] == numbers[2:]
    with connect(f"{live.url.replace('http', 'ws')}/ws/jobs/{job_id}?after={numbers[1]}") as socket:
        heard = [json.loads(text) for text in socket]
    assert heard[0]["type"] == "snapshot"
    assert [one["seq"] for one in heard[1:]] == numbers[2:]
    assert heard[-1]["type"] == "done"
    assert socket.close_code == 1000


def test_an_unknown_job_is_told_and_closed(live: Running) -> None:
    assert live.http.get(f"{V1}/jobs/none/events").status_code == 404
    with connect(f"{live.url.replace('http', 'ws')}/ws/training/none") as socket:
        assert json.loads(socket.recv())["code"] == "unknown_job"
        with pytest.raises(ConnectionClosed):
            socket.recv()
    assert socket.close_code == 1008


def test_a_websocket_shows_its_key_first(locked: Running) -> None:
    url = f"{locked.url.replace('http', 'ws')}/ws/jobs/none"
    for first, code in (({"api_key": "wrong"}, "bad_key"), ({"api_key": KEY}, "unknown_job")):
        with connect(url) as socket:
            socket.send(json.dumps(first))
            assert json.loads(socket.recv())["code"] == code
    with connect(url, additional_headers={"x-api-key": KEY}) as socket:
        assert json.loads(socket.recv())["code"] == "unknown_job"
    with pytest.raises(InvalidStatus):
        connect(f"{url}?api_key={KEY}")


def test_another_sites_page_cannot_open_a_websocket(live: Running) -> None:
    with pytest.raises(InvalidStatus):
        connect(f"{live.url.replace('http', 'ws')}/ws/jobs/none", origin="https://elsewhere.example")


def test_operations_stream_begins_with_the_present(live: Running) -> None:
    with live.http.stream("GET", f"{V1}/operations/stream") as answer:
        stream = messages(answer)
        name, _, first = next(stream)
        assert name == "message"
        assert {"ingestion", "resources", "timestamp"} <= first.keys()
        live.http.post(f"{V1}/events", json={"event_type": "view", "user_id": "s", "item_id": "item-1"})
        _, _, change = next(stream)
    assert change["channel"] == "ingestion"
    assert change["payload"]["accepted"] >= 1
