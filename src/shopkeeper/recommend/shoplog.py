"""The shop's own log, read in a training job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import StoppedClock, SystemClock
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report, TrainingContext
from shopkeeper.recommend.orders import Orders
from shopkeeper.stores import schema
from shopkeeper.stores.consents import ConsentStore
from shopkeeper.stores.meta import Meta
from shopkeeper.stores.sql import Database, open_database
from shopkeeper.stores.vocabulary import Vocabularies, Vocabulary
from shopkeeper.stores.whole_log import fingerprint, read_log

_CONSENT = "consent.default"
"""What counts for a user who was never asked, as the shop noted it."""


@dataclass(frozen=True)
class ShopLog:
    """All events up to the context's `now` in order of time, and the names that their rows stand for. `made` int64
    (n,): us of the shop's clock at which the record of each item was made, as `new` has it; None: not known."""

    events: EventBatch
    item_ids: tuple[str, ...]
    types: Vocabulary
    made: NDArray[np.int64] | None = None

    def orders(self) -> Orders:
        """Order lines of known users. Raises Invalid when there are none: nothing to learn from."""
        row = self.types.row("order")
        orders = None if row is None else Orders.from_events(self.events, row, self.item_ids)
        if orders is None or not len(orders):
            raise Invalid(
                "the shop has no orders of known users yet; import some (shopkeeper import orders.csv)", code="no_data"
            )
        return orders

    def fingerprint(self) -> str:
        """SHA-256 over users, items, types and times of all events."""
        return fingerprint(self.events)


def read_shop(context: TrainingContext, report: Report) -> ShopLog:
    """Reads the whole log, read-only."""
    log = read_log(context, report)
    items = log.names.items
    ids = tuple(items.ids(range(len(items))))
    return ShopLog(log.events, ids, log.names.event_types, _made(context, len(ids)))


def read_traits(
    context: TrainingContext, users: NDArray[np.int32]
) -> tuple[dict[int, Mapping[str, Any]], dict[int, Mapping[str, Any]]]:
    """(what the records say of these users, of all items), by row: attributes, and an item's name, kind, category and
    price. They are those of today, whenever the events were. Users and items without a word are left out, and users who
    do not agree to be profiled."""
    db = open_database(context.sql_url, read_only=True)
    try:
        wanted = set(np.unique(users).tolist()) - refused_profiling(db, Vocabularies.load(db), context.now)
        with db.read() as connection:
            people = connection.execute(select(schema.users.c.row, schema.users.c.attributes)).all()
            things = connection.execute(select(*(schema.items.c[name] for name in ("row", *_SAID)))).all()
    finally:
        db.close()
    said_of_users = {row: attributes for row, attributes in people if attributes and row in wanted}
    said_of_items = dict[int, Mapping[str, Any]]()
    for row, name, kind, category, price, attributes in things:
        told = {"name": name, "kind": kind, "category": category, "price": price}
        said_of_items[row] = {**attributes, **{key: value for key, value in told.items() if value not in (None, "")}}
    return said_of_users, {row: said for row, said in said_of_items.items() if said}


def refused_profiling(db: Database, names: Vocabularies, now: int) -> frozenset[int]:
    """Rows of the users who do not agree that anything of them is learned as a profile."""
    given = Meta(db).get(_CONSENT) != "no"
    return ConsentStore(db, names, StoppedClock(now), default=given).refused("profiling")


_SAID = ("name", "kind", "category", "price", "attributes")


def _made(context: TrainingContext, n: int) -> NDArray[np.int64]:
    """Records are made by the wall clock: an item is as old in the shop's time as it is by that."""
    db = open_database(context.sql_url, read_only=True)
    try:
        with db.read() as connection:
            rows = connection.execute(select(schema.items.c.row, schema.items.c.created_at)).all()
    finally:
        db.close()
    made = np.full(n, np.iinfo(np.int64).max, dtype=np.int64)
    ahead = SystemClock().wall() - context.now
    for row, created_at in rows:
        if row < n:
            made[row] = created_at - ahead
    return made
