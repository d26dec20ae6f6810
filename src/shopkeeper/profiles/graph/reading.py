"""A whole shop as a training or an embedding reads it: its graph, the ids of its nodes and what is known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.errors import Conflict
from shopkeeper.core.protocols import Report, TrainingContext
from shopkeeper.profiles.fusion.past import refused_of
from shopkeeper.profiles.graph.build import Scope, ShopGraph, Things, build
from shopkeeper.profiles.graph.schema import USER
from shopkeeper.profiles.graph.tables import NodeTable, table_of
from shopkeeper.profiles.people import People
from shopkeeper.stores import schema
from shopkeeper.stores.sql import Database, open_database
from shopkeeper.stores.whole_log import fingerprint, read_log

WHOLE = Scope()


@dataclass(frozen=True)
class ShopReading:
    """`events` in order of time; `last_seq` the newest of them in log order, 0: none. `ids` by node type, users' empty;
    `tables` by node type: attributes of today, a shop keeps no history of them. Of users who do not agree to be
    profiled (`refused`) there are neither edges nor attributes. `item_ids` by item row."""

    shop: ShopGraph
    ids: Mapping[str, tuple[str, ...]]
    tables: Mapping[str, NodeTable]
    refused: frozenset[int]
    item_ids: tuple[str, ...]
    events: EventBatch

    @property
    def last_seq(self) -> int:
        return int(self.events.seq.max(initial=0))

    def fingerprint(self) -> str:
        """SHA-256 over users, items, types and times of all events."""
        return fingerprint(self.events)


def read_graph(context: TrainingContext, report: Report, scope: Scope = WHOLE) -> ShopReading:
    """Read-only. Raises Conflict when nothing has happened yet, Invalid for a scope that cannot be."""
    log = read_log(context, report)
    names = log.names
    if not len(log.events):
        raise Conflict("the shop has no events yet: import some first, then train", code="needs_data")
    db = open_database(context.sql_url, read_only=True)
    try:
        refused = refused_of(db, names, context.now)
        items = _items(db)
        people = People(db)
        people.refresh()
    finally:
        db.close()
    things = Things([item["kind"] for item in items], [item["category"] for item in items])
    types = names.event_types.ids(range(len(names.event_types)))
    shop = build(log.events, n_users=len(names.users), things=things, types=types, refused=refused, scope=scope)
    item_ids = tuple(item["item_id"] for item in items)
    ids = {kind: tuple(item_ids[row] for row in rows.tolist()) for kind, rows in shop.rows.items()}
    tables = {kind: table_of([item_facts(items[row]) for row in rows.tolist()]) for kind, rows in shop.rows.items()}
    tables[USER] = user_table(people, len(names.users), refused)
    for node_type, found in shop.names.items():
        ids[node_type] = found
        tables[node_type] = NodeTable(len(found))
    return ShopReading(shop, ids, tables, refused, item_ids, log.events)


def user_table(people: People, n: int, refused: frozenset[int] = frozenset()) -> NodeTable:
    """Of n user rows, as of the last refresh of `people`."""
    rows: list[Mapping[str, Any]] = [{}] * n
    for person in people.all():
        if person.row < n and person.row not in refused and not person.removed:
            rows[person.row] = person.attributes
    return table_of(rows)


def item_facts(item: Mapping[str, Any]) -> dict[str, Any]:
    """What an encoder may know of an item: its name, its price and its own attributes."""
    return {**item["attributes"], "name": item["name"], "price": item["price"]}


def _items(db: Database) -> Sequence[Mapping[str, Any]]:
    """By row."""
    with db.read() as connection:
        found = connection.execute(select(schema.items).order_by(schema.items.c.row)).mappings().all()
    return [dict(row) for row in found]
