from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from shopkeeper.bootstrap import Shop, open_shop
from shopkeeper.core.errors import NotFound
from shopkeeper.core.records import Event, User
from shopkeeper.settings import Settings
from shopkeeper.stores import schema


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    opened = open_shop(Settings(home=tmp_path), shop="empty")
    yield opened
    opened._held.close()


def exported(shop: Shop, user_id: str) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(b"".join(shop.exporting.export(user_id, None)))
    return whole


def test_everything_of_the_person_and_nothing_of_others(shop: Shop) -> None:
    shop.users.put(User(user_id="anna", attributes={"city": "Ulm"})).result()
    events = [
        Event(event_type="view", user_id="anna", anonymous_id="device", item_id="lamp", context={"note": "mine"}),
        Event(event_type="view", anonymous_id="device", item_id="mug"),
        Event(event_type="view", user_id="bert", item_id="mug"),
    ]
    shop.log.append(events).result()
    shop.consents.change("anna", {"marketing": False}).result()
    shop.preferences.change("anna", {"color": "red"}).result()
    row = shop.vocab.users.row("anna")
    span = {"segment": "recent", "user_row": row, "entered_at": 1_000_000}
    shop.db.writer.run(lambda connection: connection.execute(insert(schema.segment_spans).values(**span)).rowcount)
    found = exported(shop, "anna")
    assert [one["item_id"] for one in found["events"]] == ["lamp", "mug"]
    assert found["events"][0]["context"] == {"note": "mine"}
    assert [(one["kind"], one["id"]) for one in found["records"]] == [("user", "anna"), ("anonymous", "device")]
    assert found["records"][0]["attributes"] == {"city": "Ulm"}
    assert found["anonymous_ids"] == ["device"]
    assert found["consent"][0]["marketing"] is False
    assert found["preferences"][0]["stated"] == {"color": "red"}
    assert found["segments"] == [{"segment": "recent", "entered_at": "1970-01-01T00:00:01.000000Z", "left_at": None}]
    assert [one["what"] for one in found["audit"]] == ["consent", "preferences"]
    assert (found["identities"], found["deliveries"], found["imports"], found["merges"]) == ([], [], [], [])
    assert "bert" not in json.dumps(found)


def test_files_that_name_the_person_are_told(shop: Shop, tmp_path: Path) -> None:
    shop.log.append([Event(event_type="view", user_id="anna-of-ulm", item_id="lamp")]).result()
    for name, user in (("hers.csv", "anna-of-ulm"), ("his.csv", "bert")):
        file = tmp_path / name
        file.write_text(f"user_id,item_id,quantity,unit_price,time\n{user},lamp,1,2.5,2026-01-01\n")
        shop.imports.create(name, file)
        file.unlink()
    assert [one["filename"] for one in exported(shop, "anna-of-ulm")["imports"]] == ["hers.csv"]


def test_nobody_is_exported_to_whom_nothing_belongs(shop: Shop) -> None:
    with pytest.raises(NotFound):
        shop.exporting.export("nobody", None)
    with pytest.raises(NotFound):
        shop.exporting.usage("nobody")


def test_a_deleted_record_leaves_events_that_are_exported(shop: Shop) -> None:
    shop.users.put(User(user_id="anna", attributes={"city": "Ulm"})).result()
    shop.log.append([Event(event_type="view", user_id="anna", item_id="lamp")]).result()
    shop.users.delete("anna").result()
    found = exported(shop, "anna")
    assert len(found["events"]) == 1
    assert found["records"][0]["registered"] is False


def test_a_hundred_thousand_events_take_little_memory(shop: Shop) -> None:
    rows = [
        (
            f"e{n}",
            "anna",
            None,
            "view",
            "product",
            f"i{n % 50}",
            None,
            10**15 + n,
            1.0,
            None,
            None,
            None,
            '{"note":"n"}',
        )
        for n in range(100_000)
    ]
    for start in range(0, len(rows), 25_000):
        shop.log.append_columns(rows[start : start + 25_000]).result()
    del rows
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pieces = [len(piece) for piece in shop.exporting.export("anna", None)]
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert sum(pieces) > 10_000_000
    assert max(pieces) < 1_000_000
    assert grown_kib < 16_000
    usage = shop.exporting.usage("anna")
    assert usage.categories["events"] == 100_000
    assert usage.data_points == 100_001
    assert usage.storage_bytes > 5_000_000
    assert usage.last_updated is not None
