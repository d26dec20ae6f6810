"""What-if over HTTP, by the client and on the command line."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from api_server import Running

from shopkeeper.cli.main import main
from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.records import Event

V1 = "/api/v1"
PATH = f"{V1}/user/user-1/what-if"


def asked(live: Running, body: dict[str, Any], path: str = PATH) -> Any:
    return live.http.post(path, json=body)


def test_before_and_after_and_nothing_stored(live: Running) -> None:
    live.http.post(f"{V1}/segments", json={"name": "refunded", "condition": "returned > 3"}).raise_for_status()
    seq, profile = live.shop.log.last_seq, live.http.get(f"{V1}/user/user-1").json()
    events = [
        {"event_type": "return", "item_id": "item-1", "quantity": -1, "value": -5.0},
        {"event_type": "glance", "target_id": "never seen", "target_kind": "app"},
    ]
    answer = asked(live, {"events": events, "n": 3})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["change"]["entered"] == ["refunded"]
    assert found["change"]["score"] == pytest.approx(found["after"]["score"] - found["before"]["score"])
    assert found["before"]["segments"] == profile["segments"]
    assert found["before"]["scores"]["rules"] == profile["scores"]["rules"]
    assert len(found["before"]["top_items"]) == len(found["after"]["top_items"]) == 3
    assert (found["accepted"], found["duplicates"], found["user_id"]) == (2, 0, "user-1")
    assert live.shop.log.last_seq == seq
    assert live.http.get(f"{V1}/user/user-1").json()["segments"] == profile["segments"]
    assert live.http.get(f"{V1}/items/never%20seen").status_code == 404
    live.http.delete(f"{V1}/segments/refunded").raise_for_status()


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"events": []}, 400, "events"),
        ({"events": [{"event_type": "view", "item_id": "item-1"}] * 21}, 400, "events"),
        ({}, 400, "events"),
        ({"events": [{"event_type": "view", "item_id": "item-1"}], "n": 0}, 400, "n"),
        ({"events": [{"event_type": "view"}]}, 400, "events[0]"),
        ({"events": [{"event_type": "view", "item_id": "item-1", "user_id": "user-2"}]}, 400, "events[0].user_id"),
        ({"events": [{"event_type": "view", "item_id": 7}]}, 400, "events[0].item_id"),
        ({"events": [{"event_type": "view", "item_id": "item-1"}], "scenario": "lobby"}, 400, "scenario"),
        ({"events": [{"event_type": "view", "item_id": "item-1"}], "scenarios": "home"}, 400, "body"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(live: Running, body: dict[str, Any], status: int, field: str) -> None:
    answer = asked(live, body)
    assert answer.status_code == status, answer.text
    assert field in json.dumps(answer.json()["errors"])


def test_unknown_users_and_those_who_refuse(live: Running) -> None:
    body = {"events": [{"event_type": "view", "item_id": "item-1"}]}
    assert asked(live, body, f"{V1}/user/nobody/what-if").json()["code"] == "unknown_user"
    live.http.put(f"{V1}/users/shy", json={}).raise_for_status()
    live.shop.consents.change("shy", {"profiling": False}).result()
    refused = asked(live, body, f"{V1}/user/shy/what-if")
    assert (refused.status_code, refused.json()["code"]) == (403, "no_consent")


def test_the_client_asks_the_same(live: Running) -> None:
    with ShopkeeperClient(live.url) as shop:
        found = shop.what_if("user-1", [Event(event_type="order", item_id="item-2", quantity=3.0)], n=2)
        assert found["accepted"] == 1
        with pytest.raises(NotFound):
            shop.what_if("nobody", [Event(event_type="view", item_id="item-2")])
        with pytest.raises(Invalid, match=r"events\[0\]"):
            shop.what_if("user-1", [Event(event_type="view")])


def test_on_the_command_line(
    live: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = str(live.shop.home.path)

    def run(*args: str) -> str:
        capsys.readouterr()
        main(["what-if", "user-1", *args, "--home", home])
        return capsys.readouterr().out

    found = json.loads(run("-e", "order:item-2:3:2.5", "-e", "view:item-1", "-n", "2", "--json"))
    assert found["accepted"] == 2
    told = run("-e", "order:item-2")
    assert "probability" in told
    assert "item-" in told
    known = live.shop.log.recent(limit=1, user_id="user-1")[0].event_id
    body = json.dumps([{"event_type": "order", "item_id": "item-1", "event_id": known}]).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(body)))
    assert "1 of the events are in the log already" in run("--file", "-")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "say what USER would do"),
        (["-e", "order"], "is no event"),
        (["-e", "order:a:b"], "quantity and price are numbers"),
        (["-e", "order:a:1:2:3"], "is no event"),
    ],
)
def test_wrong_usage_is_told(live: Running, capsys: pytest.CaptureFixture[str], args: list[str], says: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["what-if", "user-1", *args, "--home", str(live.shop.home.path)])
    assert ended.value.code == 2
    assert says in " ".join(capsys.readouterr().err.split())
