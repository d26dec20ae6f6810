"""A small shop of real parts: database, log, features, profiles, on a stopped clock."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

from ready_database import ready
from shopkeeper.core.clock import DAY, StoppedClock, moment
from shopkeeper.core.records import Event, Item, User
from shopkeeper.features.state import FeatureState
from shopkeeper.profiles.segments import Segments
from shopkeeper.profiles.service import ProfileService
from shopkeeper.stores.catalog import Catalog
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.items import ItemStore
from shopkeeper.stores.sql import open_database, sqlite_url
from shopkeeper.stores.users import UserStore
from shopkeeper.stores.vocabulary import Vocabularies

NOW = 1_700_000_000_000_000


class World:
    def __init__(self, home: Path, **options: object) -> None:
        self.clock = StoppedClock(NOW)
        self.db = open_database(sqlite_url(ready(home)))
        self.vocabularies = Vocabularies.load(self.db)
        self.log = EventLog(self.db, self.vocabularies, self.clock)
        self.users = UserStore(self.db, self.vocabularies, self.clock)
        self.features = FeatureState(ZoneInfo("Europe/London"), self.vocabularies.event_types)
        self.log.subscribe(lambda batch, _: self.features.apply(batch))
        self.catalog = Catalog(self.db, self.vocabularies)
        self.items = ItemStore(self.db, self.vocabularies, self.clock, self.catalog)
        users = self.vocabularies.users
        options = {"catalog": self.catalog, **options}
        self.profiles = ProfileService(self.db, self.clock, self.features, users, **options)
        self.tracker = self.profiles.tracker
        self._segments = Segments(self.profiles.segmentbook, self.tracker, users, self.clock)
        self.log.subscribe(lambda batch, _: self.tracker.apply(batch))
        self.users.subscribe(self.tracker.touch)

    @property
    def segments(self) -> Segments:
        """As of now."""
        self.tracker.catch_up()
        return self._segments

    def order(self, user: str, days_ago: float, item: str = "mug", quantity: float = 1, price: float = 10.0) -> None:
        self.event(user, "order", days_ago, item, quantity, price)

    def event(
        self,
        user: str | None,
        kind: str,
        days_ago: float = 0,
        item: str = "mug",
        quantity: float | None = None,
        price: float | None = None,
        **more: str,
    ) -> None:
        value = None if quantity is None or price is None else quantity * price
        event = Event(
            user_id=user, event_type=kind, item_id=item, time=moment(NOW - int(days_ago * DAY)),
            quantity=quantity, unit_price=price, value=value, **more,
        )  # fmt: skip
        assert self.log.append([event]).result().accepted == 1

    def user(self, user_id: str, **attributes: object) -> None:
        self.users.put(User(user_id=user_id, attributes=attributes)).result()

    def item(self, item_id: str, category: str | None = None) -> None:
        self.items.put(Item(item_id=item_id, name=item_id, category=category)).result()

    def close(self) -> None:
        self.db.close()
