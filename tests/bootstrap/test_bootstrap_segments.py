"""Segments in the whole shop: who is told of whom after a merge, and a stop while the database fails."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shopkeeper.bootstrap import Shop, open_shop
from shopkeeper.core.records import User
from shopkeeper.core.webhooks import Delivery
from shopkeeper.settings import Settings
from shopkeeper.stores.webhooks import Announcement


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def shop(settings: Settings) -> Iterator[Shop]:
    shop = open_shop(settings, shop="empty")
    yield shop
    asyncio.run(shop.stop())


def finished(shop: Shop, webhook_id: str) -> list[Delivery]:
    until = time.monotonic() + 30
    while "pending" in {one.status for one in shop.webhooks.deliveries(webhook_id)[0]}:
        assert time.monotonic() < until
        time.sleep(0.01)
    return shop.webhooks.deliveries(webhook_id)[0]


def test_what_waits_for_a_merged_user_is_not_told_when_the_other_refuses(shop: Shop) -> None:
    for name in ("anna", "ben"):
        shop.users.put(User(user_id=name, attributes={})).result()
    row = shop.vocab.users.row("anna")
    assert row is not None
    hook = shop.webhooks.create("http://127.0.0.1:9/x", ["segment.entered"]).result().webhook_id
    told = [Announcement("segment.entered", "loyal", row, "anna", 5)]
    shop.db.writer.run(lambda connection: shop.webhooks.announce(connection, told))
    shop.consents.change("ben", {"marketing": False}).result()
    shop.identities.merge("anna", "ben").result()
    shop.messenger.start()
    (one,) = finished(shop, hook)
    assert (one.status, one.attempts, one.error) == ("failed", 0, "not sent: the user has refused marketing")


def test_a_shop_whose_database_fails_stops_all_the_same(settings: Settings) -> None:
    shop = open_shop(settings, shop="empty")

    async def visit() -> None:
        await shop.start()
        shop.db.writer.run(lambda connection: connection.exec_driver_sql("ALTER TABLE meta RENAME TO away"))
        await shop.stop()

    asyncio.run(visit())
    with sqlite3.connect(settings.home / "shop.db") as raw:
        raw.execute("ALTER TABLE away RENAME TO meta")
    again = open_shop(settings)
    asyncio.run(again.stop())
