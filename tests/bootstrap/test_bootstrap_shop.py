"""Opening and starting a shop that goes wrong half way: the home is free again, and the next opening goes on."""

import asyncio
from pathlib import Path

import pytest

from shopkeeper.bootstrap import open_shop
from shopkeeper.core.errors import Cancelled, Conflict, Invalid, Unavailable
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
