"""From a home to the database of a shop that has its data: what a shop is before its parts are put together."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shopkeeper.core.clock import Clock, ReplayClock, SystemClock
from shopkeeper.core.errors import Conflict, Invalid
from shopkeeper.core.ids import ulid
from shopkeeper.core.protocols import Report
from shopkeeper.lifecycle.pinning import names_in, pins_in
from shopkeeper.operations.import_rows import Targets
from shopkeeper.operations.livestream import LiveStream, shop_clock
from shopkeeper.operations.opening import is_open, open_retail
from shopkeeper.operations.regeneration import change_over
from shopkeeper.operations.streaming import Stream
from shopkeeper.operations.telecom import open_telecom, telecom_clock
from shopkeeper.operations.telecomstream import TelecomStream
from shopkeeper.settings import Settings
from shopkeeper.stores.calendar import CalendarStore
from shopkeeper.stores.catalog import Catalog
from shopkeeper.stores.day_facts import DayFactStore
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.home import Home
from shopkeeper.stores.items import ItemStore
from shopkeeper.stores.meta import Meta
from shopkeeper.stores.shops import ShopStore
from shopkeeper.stores.sql import Database, open_database
from shopkeeper.stores.stock import StockStore
from shopkeeper.stores.users import UserStore
from shopkeeper.stores.vocabulary import Vocabularies

SHOPS = ("retail", "telecom", "empty")
GRAPH_DATA = "graph.data"
"""Which people and items the graph's vectors are of: another one when a shop's data was replaced."""


class Stores:
    """Everything that lives in SQL, on one clock."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self.db = db
        self.vocab = Vocabularies.load(db)
        self.log = EventLog(db, self.vocab, clock)
        self.catalog = Catalog(db, self.vocab)
        self.users = UserStore(db, self.vocab, clock)
        self.items = ItemStore(db, self.vocab, clock, self.catalog)
        self.shops = ShopStore(db, self.vocab, clock)
        self.stock = StockStore(db, self.vocab, clock)
        self.calendar = CalendarStore(db, clock)
        self.day_facts = DayFactStore(db)
        self.targets = Targets(
            db,
            self.log,
            self.vocab,
            self.users,
            self.items,
            self.shops,
            self.stock,
            self.calendar,
            self.day_facts,
        )


def furnished(
    settings: Settings, home: Home, begun: ExitStack, shop: str | None, report: Report
) -> tuple[Database, Meta]:
    """The database of a shop that has its data, of whatever was begun before too. Closed with `begun`."""
    db = open_database(home.sql_url, queue=settings.write_queue)
    begun.callback(db.close)
    meta = Meta(db)
    change_over(db, home)
    _furnish(db, meta, settings, shop, report)
    if meta.get("shop.id") is None:
        meta.set("shop.id", ulid()).result()  # by which those who are told things know it from other shops
    if meta.get(GRAPH_DATA) is None:
        meta.set(GRAPH_DATA, ulid()).result()
    return db, meta


def _furnish(db: Database, meta: Meta, settings: Settings, shop: str | None, report: Report) -> None:
    """Makes a new home a shop, and finishes an opening that was interrupted."""
    kind = meta.get("shop.kind")
    if kind is not None and shop not in (None, kind):
        raise Conflict(f"{settings.home} is a shop of kind {kind}, not {shop}; give another home: SHOPKEEPER_HOME=PATH")
    kind = kind or shop or "empty"
    if kind in _OPENINGS:
        if not is_open(meta):
            meta.set("shop.kind", kind).result()  # first of all: an interrupted opening goes on at the next start
            system = SystemClock()
            _OPENINGS[kind](Stores(db, system).targets, meta, system, report=report)
        return
    facts = {"shop.kind": kind, "shop.timezone": settings.timezone, "shop.currency": settings.currency}
    for key, value in facts.items():
        if meta.get(key) is None:
            meta.set(key, value).result()


_OPENINGS: dict[str, Callable[..., Any]] = {"retail": open_retail, "telecom": open_telecom}


def pins_of(settings: Settings) -> dict[str, str]:
    return pins_in(settings.model_version, names_in(settings.enabled_models))


def check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid(
            f"there is no time zone {name!r}; set SHOPKEEPER_TIMEZONE to one like Europe/London", field="timezone"
        ) from error


def clock_of(meta: Meta, settings: Settings) -> Clock:
    kind = meta.get("shop.kind")
    if kind == "telecom":
        return telecom_clock(meta, settings.live_speed)
    return shop_clock(meta, settings.live_speed) if kind == "retail" else SystemClock()


def stream_of(settings: Settings, clock: Clock, stores: Stores, meta: Meta) -> Stream | None:
    """The shop's own source of events, where it has one."""
    speed = settings.live_speed
    if speed == 0 or not isinstance(clock, ReplayClock):
        return None
    if meta.get("shop.kind") == "telecom":
        return TelecomStream(stores.db, stores.log, stores.users, meta, clock, pace=speed)
    return LiveStream(stores.db, stores.log, stores.users, meta, clock, speed=speed)
