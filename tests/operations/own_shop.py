"""A whole shop in a folder, without server, models or console: what imports and the live stream write to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shopkeeper.core.clock import Clock
from shopkeeper.operations.import_rows import Targets
from shopkeeper.operations.imports import Imports
from shopkeeper.stores.calendar import CalendarStore
from shopkeeper.stores.day_facts import DayFactStore
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.home import Home
from shopkeeper.stores.items import Catalog, ItemStore
from shopkeeper.stores.meta import Meta
from shopkeeper.stores.shops import ShopStore
from shopkeeper.stores.sql import Database, open_database
from shopkeeper.stores.stock import StockStore
from shopkeeper.stores.users import UserStore
from shopkeeper.stores.vocabulary import Vocabularies


@dataclass
class OwnShop:
    home: Home
    clock: Clock
    db: Database
    meta: Meta
    to: Targets
    catalog: Catalog
    imports: Imports

    def close(self) -> None:
        self.db.close()


def own_shop(folder: Path, clock: Clock, zone: str = "Europe/London") -> OwnShop:
    home = Home(folder).make()
    db = open_database(home.sql_url)
    vocabularies = Vocabularies.load(db)
    catalog = Catalog(db, vocabularies)
    to = Targets(
        db=db,
        log=EventLog(db, vocabularies, clock),
        vocabularies=vocabularies,
        users=UserStore(db, vocabularies, clock),
        items=ItemStore(db, vocabularies, clock, catalog),
        shops=ShopStore(db, vocabularies, clock),
        stock=StockStore(db, vocabularies, clock),
        calendar=CalendarStore(db, clock),
        days=DayFactStore(db),
    )
    return OwnShop(home, clock, db, Meta(db), to, catalog, Imports(to, home, clock, zone))
