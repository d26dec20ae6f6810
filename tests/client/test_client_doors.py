"""The client against a real server: records come back as records, errors as errors of the tree."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.errors import Busy, Conflict, Invalid, NotFound, Refused, Stale, Unavailable
from shopkeeper.core.records import Event, Feedback, Item, RecFilters

if TYPE_CHECKING:
    from api_server import Running


@pytest.fixture
def shop(live: Running) -> Iterator[ShopkeeperClient]:
    with ShopkeeperClient(live.url) as client:
        yield client


def test_events_go_there_and_back(shop: ShopkeeperClient) -> None:
    event = Event(event_type="view", user_id="client-1", item_id="item-1")
    assert shop.send(event).accepted == 1
    assert shop.send(event).duplicates == 1  # it kept the id that it was given by the first sending
    page = shop.events(user_id="client-1", limit=1)
    assert (page.items[0].event_id, page.items[0].user_id) == (event.event_id, "client-1")
    assert shop.profile("client-1")["profile"]["event_counts"] == {"view": 1}


def test_records_are_typed(shop: ShopkeeperClient) -> None:
    assert shop.put_item(Item(item_id="c-1", name="Chair", category="chairs")).name == "Chair"
    assert [item.item_id for item in shop.items("chair").items] == ["c-1"]
    shop.delete_item("c-1")
    assert shop.item("c-1").active is False
    assert shop.put_user("ann a/b".replace("/", " "), {"city": "Ulm"}).attributes == {"city": "Ulm"}
    slate = shop.recommend("user-1", 3, filters=RecFilters(exclude_items=["item-0"]))
    assert "item-0" not in {item.item_id for item in slate.recommendations}
    assert shop.explain("user-1").user_id == "user-1"
    assert shop.forecast("item-1", 5).forecast[4].ds
    assert shop.total_forecast(5).item_id is None
    assert {one.name for one in shop.algorithms("ranking")} >= {"xgb"}
    assert shop.models() == []
    shop.feedback(Feedback(user_id="user-1", item_id="item-1", feedback_type="click"))
    rule = shop.create_rule("client rule", "orders > 1", weight=0.5)
    assert shop.update_rule("client rule", weight=1.5).version == rule.version + 1
    shop.delete_rule("client rule")
    assert shop.create_segment("client segment", "orders > 1").name in {one.name for one in shop.segments()}
    assert shop.segment_users("client segment").total == 3
    assert shop.ready()[0] is False
    assert shop.health()["ok"] is True


def test_errors_come_back_onto_the_tree(shop: ShopkeeperClient) -> None:
    with pytest.raises(NotFound) as missing:
        shop.profile("nobody")
    assert missing.value.code == "unknown_user"
    with pytest.raises(Invalid, match="1 to 100") as bound:
        shop.recommend("user-1", 1000)
    assert bound.value.field == "n_recommendations"
    with pytest.raises(Invalid, match=r"^at \d+"):
        shop.create_rule("broken", "orders >")
    shop.create_segment("twice", "orders > 1")
    with pytest.raises(Conflict):
        shop.create_segment("twice", "orders > 1")
    with pytest.raises(NotFound):
        shop.predict("nothing", [{"a": 1}])


def test_an_import_is_uploaded_watched_and_read(shop: ShopkeeperClient, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    rows = "".join(f"2026-01-{day:02d},c-7,imported,2,3.5\n" for day in range(1, 10))
    file.write_text(f"order date,customer,sku,qty,price\n{rows}2026-01-10,c-7,imported,many,1\n")
    brought = shop.upload(file, "orders")
    assert shop.preview_import(brought["import_id"])["missing"] == []
    assert shop.preview_import(brought["import_id"], {"item_id": None})["missing"] == ["item_id"]
    job = shop.job(shop.start_import(brought["import_id"])["job_id"])
    steps = [event.type for event in shop.job_events(job.job_id)]
    assert steps[-1] == "done"
    assert shop.wait(job.job_id).status == "done"
    assert shop.get_import(brought["import_id"])["accepted"] == 9
    assert "imported" in shop.import_rejects(brought["import_id"])
    assert shop.jobs(kind="import")[0].job_id == job.job_id
    assert shop.imports(limit=1).items[0]["import_id"] == brought["import_id"]
    shop.delete_import(brought["import_id"])
    with pytest.raises(NotFound):
        shop.get_import(brought["import_id"])
    with pytest.raises(Conflict):
        shop.cancel_job(job.job_id)


def test_events_are_followed_live(shop: ShopkeeperClient) -> None:
    last = shop.events(limit=1).items[0].seq
    shop.send([Event(event_type="view", user_id="live", item_id=f"item-{n}") for n in range(3)])
    stream = shop.live_events(after_seq=last)
    assert [next(stream).item_id for _ in range(3)] == ["item-0", "item-1", "item-2"]


def test_nobody_there_is_unavailable() -> None:
    with ShopkeeperClient("http://127.0.0.1:9", retries=1) as nobody, pytest.raises(Unavailable) as told:
        nobody.health()
    assert told.value.code == "unreachable"
    assert "shopkeeper up" in told.value.message


def test_the_branches_are_all_known() -> None:
    assert issubclass(Stale, Conflict)
    assert issubclass(Busy, Conflict)
    assert Refused.code == "refused"
