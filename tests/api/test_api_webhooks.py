from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_server import Running, serving

from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.errors import Invalid
from shopkeeper.stores.webhooks import Announcement

sys.path.insert(0, str(Path(__file__).parents[1] / "operations"))
from receivers import Receiver, receiving

URL = "/api/v1/webhooks"
KEY = "a-key-that-nobody-guesses"


def form(url: str, *events: str, **more: Any) -> dict[str, Any]:
    return {"url": url, "events": list(events or ("segment.entered", "segment.left")), **more}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def make(live: Running, body: dict[str, Any]) -> dict[str, Any]:
    made = live.http.post(URL, json=body)
    assert made.status_code == 201, made.text
    return made.json()


def test_it_is_made_listed_changed_and_taken_away(live: Running, receiver: Receiver) -> None:
    answer = live.http.post(URL, json=form(receiver.url))
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{URL}/{made['webhook_id']}"
    assert len(made["secret"]) >= 32
    listed = live.http.get(URL)
    assert made["webhook_id"] in [one["webhook_id"] for one in listed.json()["items"]]
    assert "secret" not in listed.text

    one = f"{URL}/{made['webhook_id']}"
    tag = {"if-match": answer.headers["etag"]}
    changed = live.http.put(one, json=form(receiver.url, "segment.left"), headers=tag)
    assert (changed.status_code, changed.json()["events"]) == (200, ["segment.left"])
    assert "secret" not in changed.json()
    stale = live.http.put(one, json=form(receiver.url), headers=tag)
    assert (stale.status_code, stale.json()["code"]) == (412, "stale")
    assert live.http.delete(one, headers=tag).status_code == 412
    assert live.http.delete(one, headers={"if-match": changed.headers["etag"]}).status_code == 204
    for gone in (
        live.http.delete(one),
        live.http.put(one, json=form(receiver.url)),
        live.http.get(f"{one}/deliveries"),
        live.http.post(f"{one}/test"),
    ):
        assert (gone.status_code, gone.json()["code"]) == (404, "unknown_webhook")


def test_a_test_is_told_and_its_delivery_is_seen(live: Running, receiver: Receiver) -> None:
    made = make(live, form(receiver.url))
    queued = live.http.post(f"{URL}/{made['webhook_id']}/test")
    assert (queued.status_code, queued.json()["status"], queued.json()["event"]) == (202, "pending", "webhook.test")
    (post,) = receiver.take(1)
    assert post.headers["x-shopkeeper-event"] == "webhook.test"
    assert post.headers["x-shopkeeper-delivery"] == queued.json()["delivery_id"]
    assert post.payload["shop"] == live.shop.meta.get("shop.id")
    until = time.monotonic() + 30
    while True:
        page = live.http.get(f"{URL}/{made['webhook_id']}/deliveries").json()
        if page["items"][0]["status"] != "pending":
            break
        assert time.monotonic() < until
        time.sleep(0.02)
    (done,) = page["items"]
    assert (done["status"], done["attempts"], done["answer"], page["next_cursor"]) == ("delivered", 1, 204, None)
    live.http.delete(f"{URL}/{made['webhook_id']}")


def test_what_a_shop_announces_is_told(live: Running, receiver: Receiver) -> None:
    made = make(live, form(receiver.url, "segment.entered"))
    shop = live.shop
    row = shop.vocab.users.row("user-1")
    told = [Announcement("segment.entered", "loyal", row, "user-1", shop.clock.now())]
    assert shop.db.writer.run(lambda connection: shop.webhooks.announce(connection, told)) == 1
    (post,) = receiver.take(1)
    assert (post.payload["user_id"], post.payload["segment"]) == ("user-1", "loyal")
    live.http.delete(f"{URL}/{made['webhook_id']}")


def test_an_event_that_leads_into_a_segment_and_out_of_it_is_told(live: Running, receiver: Receiver) -> None:
    """From the event's door to the receiver; nothing of who refuses marketing."""
    segment = {"name": "single-viewers", "condition": "event_counts.get('view', 0) == 1"}
    assert live.http.post("/api/v1/segments", json=segment).status_code == 201
    made = make(live, form(receiver.url, segment="single-viewers"))
    for user in ("told-0", "told-1"):
        assert live.http.put(f"/api/v1/users/{user}", json={}).status_code == 201
    live.shop.consents.change("told-0", {"marketing": False}).result()
    told = []
    for _ in range(2):
        for user in ("told-0", "told-1"):
            event = {"event_type": "view", "user_id": user, "item_id": "item-1"}
            assert live.http.post("/api/v1/events", json=[event]).json()["accepted"] == 1
        told += [(post.payload["event"], post.payload["user_id"]) for post in receiver.take(1)]
    assert told == [("segment.entered", "told-1"), ("segment.left", "told-1")]
    found = live.http.get(f"{URL}/{made['webhook_id']}/deliveries").json()["items"]
    assert {one["payload"]["user_id"] for one in found} == {"told-1"}
    live.http.delete(f"{URL}/{made['webhook_id']}")


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "wrong_value", "body"),
        ([], "wrong_value", "body"),
        ({"url": "http://127.0.0.1/"}, "wrong_value", "body"),
        ({"url": 5, "events": ["segment.left"]}, "wrong_value", "url"),
        (form("http://127.0.0.1/") | {"events": "segment.left"}, "wrong_value", "events"),
        (form("http://127.0.0.1/") | {"events": []}, "wrong_value", "events"),
        (form("http://127.0.0.1/") | {"events": ["segment.left"] * 17}, "wrong_value", "events"),
        (form("http://127.0.0.1/", "alert.raised"), "invalid", "events"),
        (form("http://127.0.0.1/", "stock_out.expected"), "invalid", "events"),
        (form("http://127.0.0.1/", secret="short"), "wrong_value", "secret"),
        (form("http://127.0.0.1/", segment="nobody"), "unknown_segment", "segment"),
        (form("http://127.0.0.1/", segment=""), "wrong_value", "segment"),
        (form("ftp://127.0.0.1/"), "bad_url", "url"),
        (form("http://me:pw@127.0.0.1/"), "bad_url", "url"),
        (form("http://2130706433/"), "bad_url", "url"),
        (form("http://" + "a" * 3000), "wrong_value", "url"),
        (form("http://10.0.0.1/"), "address_not_allowed", "url"),
        (form("http://[::ffff:169.254.169.254]/"), "address_not_allowed", "url"),
        (form("http://no-such-host.invalid/"), "unknown_host", "url"),
    ],
)
def test_bad_input_is_told_with_its_field_and_changes_nothing(
    live: Running, receiver: Receiver, body: Any, code: str, field: str
) -> None:
    made = make(live, form(receiver.url))
    before = live.http.get(URL).json()
    for answer in (
        live.http.post(URL, json=body),
        live.http.put(f"{URL}/{made['webhook_id']}", json=body),
    ):
        assert answer.status_code == 400, answer.text
        problem = answer.json()
        assert (problem["code"], problem["errors"][0]["field"].partition("[")[0]) == (code, field)
        assert "pw@" not in problem["detail"]
    assert live.http.get(URL).json() == before
    live.http.delete(f"{URL}/{made['webhook_id']}")


def test_behind_a_key_loopback_is_refused_unless_it_is_named(tmp_path: Path, receiver: Receiver) -> None:
    with serving(tmp_path, api_key=KEY, webhook_hosts=f"localhost:{receiver.port}") as locked:
        locked.http.headers["x-api-key"] = KEY
        assert httpx.get(f"{locked.url}{URL}").status_code == 401
        refused = locked.http.post(URL, json=form(receiver.url))
        assert (refused.status_code, refused.json()["code"]) == (400, "address_not_allowed")
        assert "SHOPKEEPER_WEBHOOK_HOSTS" in refused.json()["detail"]
        made = make(locked, form(receiver.url.replace("127.0.0.1", "localhost")))
        locked.http.post(f"{URL}/{made['webhook_id']}/test")
        receiver.take(1)


def test_what_waits_goes_on_when_the_shop_opens_again(tmp_path: Path) -> None:
    with receiving(lambda *_: (500, {})) as broken, serving(tmp_path) as first:
        made = make(first, form(broken.url, secret="sixteen letters or more"))
        assert made["secret"] is None
        told = [Announcement("segment.left", "loyal", 0, "user-0", 7)]
        first.shop.db.writer.run(lambda connection: first.shop.webhooks.announce(connection, told))
        broken.take(1)
        shop_id = first.shop.meta.get("shop.id")
    with receiving(port=broken.port) as receiver, serving(tmp_path) as again:
        again.http.put(
            f"{URL}/{made['webhook_id']}", json=form(broken.url)
        ).raise_for_status()  # so as not to wait 10 s
        (post,) = receiver.take(1)
        assert (post.payload["event"], post.payload["shop"]) == ("segment.left", shop_id)


def test_the_client_has_a_method_for_each_door(live: Running, receiver: Receiver) -> None:
    with ShopkeeperClient(live.url) as shop:
        made = shop.create_webhook(receiver.url, ["segment.entered"])
        assert made.secret
        assert made.webhook_id in [one.webhook_id for one in shop.webhooks()]
        assert shop.change_webhook(made.webhook_id, receiver.url, ["segment.left"]).events == ["segment.left"]
        told = shop.test_webhook(made.webhook_id)
        receiver.take(1)
        assert [one.delivery_id for one in shop.deliveries(made.webhook_id).items] == [told.delivery_id]
        with pytest.raises(Invalid, match="SHOPKEEPER_WEBHOOK_HOSTS"):
            shop.create_webhook("http://192.168.0.1/", ["segment.left"])
        shop.delete_webhook(made.webhook_id)
        assert made.webhook_id not in [one.webhook_id for one in shop.webhooks()]
