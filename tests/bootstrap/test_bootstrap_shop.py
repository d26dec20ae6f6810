"""Opening and starting a shop that goes wrong half way: the home is free again, and the next opening goes on."""

import asyncio
import socket
from pathlib import Path

import pytest

from shopkeeper.bootstrap import open_shop
from shopkeeper.bootstrap.furnishing import GRAPH_DATA
from shopkeeper.core.changes import Change
from shopkeeper.core.errors import Cancelled, Conflict, Invalid, Unavailable
from shopkeeper.core.records import Item, RecRequest
from shopkeeper.settings import Settings
from shopkeeper.stores.meta import Meta
from shopkeeper.stores.sql import open_database, sqlite_url


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def close(shop) -> None:
    asyncio.run(shop.stop())


def test_a_time_zone_that_does_not_exist_is_refused_before_it_is_kept(settings: Settings) -> None:
    for wrong in ("Middle/Earth", "../etc/passwd", ""):
        with pytest.raises(Invalid, match="SHOPKEEPER_TIMEZONE"):
            open_shop(settings.model_copy(update={"timezone": wrong}), shop="empty")
    shop = open_shop(settings)
    assert shop.zone == "UTC"
    close(shop)


def test_a_second_opening_is_refused_until_the_first_is_stopped(settings: Settings) -> None:
    shop = open_shop(settings)
    with pytest.raises(Conflict):
        open_shop(settings)
    close(shop)
    close(shop)
    again = open_shop(settings)
    close(again)


def test_an_opening_that_is_interrupted_early_is_remembered_as_what_it_was(settings: Settings) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        open_shop(settings, shop="retail", report=interrupt)
    db = open_database(sqlite_url(settings.home))
    assert Meta(db).get("shop.kind") == "retail"
    db.close()
    with pytest.raises(Cancelled):
        open_shop(settings, report=interrupt)


def test_a_start_that_fails_gives_the_home_back(settings: Settings) -> None:
    shop = open_shop(settings)
    shop.db.writer.run(lambda connection: connection.exec_driver_sql("ALTER TABLE models RENAME TO elsewhere"))
    with pytest.raises(Unavailable):
        asyncio.run(shop.start())
    open_database(sqlite_url(settings.home)).close()
    again = open_shop(settings)
    again.db.writer.run(lambda connection: connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO models"))

    async def run() -> None:
        await again.start()
        with pytest.raises(Conflict):
            await again.start()
        await again.stop()

    asyncio.run(run())


def test_a_shop_starts_and_answers_though_nothing_can_be_made_ready_and_redis_is_away(settings: Settings) -> None:
    with socket.socket() as nobody:  # bound, and nobody listens
        nobody.bind(("127.0.0.1", 0))
        away = f"redis://127.0.0.1:{nobody.getsockname()[1]}/0"
        shop = open_shop(settings.model_copy(update={"redis_url": away}))
        shop.items.put(Item(item_id="lamp", name="Lamp", price=5.0)).result()
        shop.db.writer.run(lambda connection: connection.exec_driver_sql("ALTER TABLE slates RENAME TO elsewhere"))

        async def run() -> bytes:
            await shop.start(schedules=False)
            answer = await shop.slates.answer(RecRequest(user_id="anna", scenario="home"))
            await shop.stop()
            return answer

        assert b'"lamp"' in asyncio.run(run())


def test_what_processes_share_has_other_keys_once_the_data_is_other(settings: Settings) -> None:
    keys = []
    for data in ("first", "second"):
        shop = open_shop(settings)
        shop.meta.set(GRAPH_DATA, data).result()
        close(shop)
        shop = open_shop(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
        assert shop.suggesting.shared is not None
        keys.append(shop.suggesting.shared.key("slates"))
        close(shop)
    assert keys[0] != keys[1]


def test_who_is_told_of_a_change_finds_it_everywhere(settings: Settings) -> None:
    shop = open_shop(settings)
    found: list[tuple[str, bool]] = []

    def hear(change: Change) -> None:
        if change.kind == "item":
            found.append((change.kind, "color" in shop.shaped.attributes.types()))
        elif change.kind == "user":
            row = shop.vocab.users.row("anna")
            assert row is not None
            found.append((change.kind, shop.shaped.tastes.of(row) is not None))

    shop.changes.subscribe(hear)
    shop.items.put(Item(item_id="lamp", name="Lamp", attributes={"color": "red"})).result()
    shop.preferences.change("anna", {"categories": ["light"]}).result()
    close(shop)
    assert found[0] == ("item", True)
    assert ("user", True) in found
    assert ("user", False) not in found
