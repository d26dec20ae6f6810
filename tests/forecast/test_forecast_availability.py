"""Stock levels that run out become days that say nothing about demand; levels that nobody counted do not."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from shopkeeper.core.clock import StoppedClock, micros
from shopkeeper.core.days import day_of
from shopkeeper.core.records import Item, StockLevel, Store
from shopkeeper.forecast.panel.availability import StockOuts, availability
from shopkeeper.stores.catalog import Catalog
from shopkeeper.stores.day_facts import ALL, IN_STOCK, DayFactStore
from shopkeeper.stores.items import ItemStore
from shopkeeper.stores.shops import ShopStore
from shopkeeper.stores.sql import Database, open_database, sqlite_url
from shopkeeper.stores.stock import StockStore
from shopkeeper.stores.vocabulary import Vocabularies

NOW = datetime(2024, 6, 20, 12, tzinfo=UTC)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(sqlite_url(tmp_path))
    yield opened
    opened.close()


class Shelf:
    def __init__(self, db: Database) -> None:
        clock, names = StoppedClock(micros(NOW)), Vocabularies.load(db)
        self.db = db
        ItemStore(db, names, clock, Catalog(db, names)).put_many([Item(item_id=id, name=id) for id in "ab"]).result()
        for store in ("S0", "S1"):
            ShopStore(db, names, clock).put(Store(store_id=store)).result()
        self.stock = StockStore(db, names, clock)
        self.facts = DayFactStore(db)
        self.listen()

    def listen(self) -> None:
        zone = ZoneInfo("Europe/London")
        self.stock.subscribe(StockOuts(self.facts, self.stock.counted, lambda us: day_of(us, zone)).heard)

    def put(self, day: int, on_hand: float, store: str = "S0", *, simulated: bool = False) -> None:
        level = StockLevel(
            store_id=store,
            item_id="a",
            on_hand=on_hand,
            as_of=datetime(2024, 6, day, 9, tzinfo=UTC),
            simulated=simulated,
        )
        assert self.stock.put_many([level]).result().updated == 1
        self.db.writer.run(lambda _: None)  # what the listener wrote is durable

    def told(self) -> list[tuple[int, float]]:
        days, values = self.facts.column(IN_STOCK, ALL, 0)
        june = day_of(micros(datetime(2024, 6, 1, 12, tzinfo=UTC)), ZoneInfo("UTC"))
        return [(day - june + 1, value) for day, value in zip(days.tolist(), values.tolist(), strict=True)]


def test_running_out_and_coming_back_are_kept_once_each(db: Database) -> None:
    shelf = Shelf(db)
    shelf.put(3, 5)
    assert shelf.told() == []
    shelf.put(4, 0)
    shelf.put(5, 0)
    assert shelf.told() == [(4, 0.0)]
    shelf.put(5, 2, "S1")
    assert shelf.told() == [(4, 0.0), (5, 1.0)]
    shelf.put(6, 0, "S1")
    assert shelf.told() == [(4, 0.0), (5, 1.0), (6, 0.0)]


def test_another_start_knows_what_is_out(db: Database) -> None:
    Shelf(db).put(4, 0)
    again = Shelf(db)
    again.put(8, 3)
    assert again.told() == [(4, 0.0), (8, 1.0)]


def test_levels_that_nobody_counted_tell_nothing(db: Database) -> None:
    shelf = Shelf(db)
    shelf.put(4, 0, simulated=True)
    assert shelf.told() == []


def test_days_without_stock_are_masked_to_the_end_while_it_lasts(db: Database) -> None:
    shelf = Shelf(db)
    shelf.put(4, 0)
    first = day_of(micros(datetime(2024, 6, 1, 12, tzinfo=UTC)), ZoneInfo("UTC"))
    y = np.array([[1, 1, 1, 1, 0, 0, 2]], dtype=np.float32)
    mask = availability(shelf.facts, None, np.array([0]), y, first)
    assert mask is not None
    assert mask.tolist() == [[True, True, True, True, False, False, True]]
    assert availability(shelf.facts, None, np.array([1]), y, first) is None
