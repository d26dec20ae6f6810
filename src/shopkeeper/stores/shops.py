"""The stores (branches) of the shop. A store's row is never reused, so a deleted one stays as a marked row."""

from __future__ import annotations

import math
from concurrent.futures import Future
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import Connection, exists, select, update

from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import Conflict, Invalid, NotFound
from shopkeeper.core.ids import check_id
from shopkeeper.core.records import Store
from shopkeeper.stores import schema
from shopkeeper.stores.paging import cursor_after, key_of
from shopkeeper.stores.rows import RowGiver
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import Vocabularies

Ids: TypeAlias = list[str]
_C = schema.shops.c


class ShopStore:
    """Few rows: lists are whole."""

    def __init__(self, db: Database, vocabularies: Vocabularies, clock: Clock) -> None:
        self._db = db
        self._rows = RowGiver(vocabularies, clock)

    def get(self, store_id: str) -> Store:
        """Raises NotFound."""
        with self._db.read() as connection:
            return _stored(connection, store_id)

    def list(self) -> list[Store]:
        """All stores in order of store_id, those known only from events included."""
        with self._db.read() as connection:
            rows = connection.execute(select(_C.store_id, _C.facts).order_by(_C.store_id)).all()
        return [_store(store_id, facts) for store_id, facts in rows if not facts.get("deleted")]

    def create(self, store: Store) -> Future[Store]:
        """Conflict comes by the future when the id is taken."""
        _check(store)

        def write(connection: Connection) -> Store:
            if _facts(connection, store.store_id) is not None:
                raise Conflict(f"store {store.store_id!r} exists already; change it with PUT", code="exists")
            return self._write(connection, store)

        return self._db.writer.submit(write)

    def put(self, store: Store) -> Future[tuple[Store, bool]]:
        """Replaces or creates; `(stored, created)`."""
        _check(store)

        def write(connection: Connection) -> tuple[Store, bool]:
            created = _facts(connection, store.store_id) is None
            return self._write(connection, store), created

        return self._db.writer.submit(write)

    def delete(self, store_id: str) -> Future[None]:
        """NotFound, and Conflict for a store with sales or stock, come by the future."""

        def write(connection: Connection) -> None:
            _stored(connection, store_id)
            row = connection.execute(select(_C.row).where(_C.store_id == store_id)).scalar_one()
            for column, what in ((schema.events.c.store_row, "events"), (schema.stock_levels.c.store_row, "stock")):
                if connection.execute(select(exists().where(column == row))).scalar():
                    raise Conflict(f"store {store_id!r} has {what}; close it instead: status=closed", code="has_sales")
            connection.execute(update(schema.shops).where(_C.row == row).values(facts={"deleted": True}))

        return self._db.writer.submit(write)

    def item_ids(self, store_id: str, *, limit: int = 50, cursor: str | None = None) -> tuple[Ids, str | None, int]:
        """`(ids, next_cursor, total)` of the items that the store has sold or holds, in order. It reads what the store
        has sold: a second for millions of sales."""
        row = select(_C.row).where(_C.store_id == store_id).scalar_subquery()
        events, levels, items = schema.events.c, schema.stock_levels.c, schema.items.c
        sold = select(events.item_row.label("item")).where(
            events.store_row == row, events.item_row.is_not(None), events.quantity > 0
        )
        held = select(levels.item_row).where(levels.store_row == row)
        there = select(items.item_id).where(items.row.in_(sold.union(held)))
        with self._db.read() as connection:
            ids = sorted(connection.scalars(there))
        after = key_of(cursor)
        page = [id for id in ids if after is None or id > after]
        more = len(page) > limit
        return page[:limit], cursor_after(page[limit - 1]) if more else None, len(ids)

    def _write(self, connection: Connection, store: Store) -> Store:
        row = self._rows.stores(connection, [store.store_id])[store.store_id]
        facts = msgspec.structs.asdict(store)
        del facts["store_id"]
        connection.execute(update(schema.shops).where(_C.row == row).values(facts=facts))
        return store


def _facts(connection: Connection, store_id: str) -> dict[str, Any] | None:
    facts = connection.execute(select(_C.facts).where(_C.store_id == store_id)).scalar()
    return None if facts is None or facts.get("deleted") else facts


def _stored(connection: Connection, store_id: str) -> Store:
    facts = _facts(connection, store_id)
    if facts is None:
        raise NotFound(f"no store {store_id!r}", code="unknown_store", field="store_id")
    return _store(store_id, facts)


def _store(store_id: str, facts: dict[str, Any]) -> Store:
    return msgspec.convert({"name": store_id, **facts, "store_id": store_id}, Store)


def _check(store: Store) -> None:
    check_id(store.store_id, "store_id")
    if store.size is not None and not (math.isfinite(store.size) and store.size >= 0):
        raise Invalid("size must be a number of at least 0", field="size")
    for name in ("name", "location", "type", "opening_date", "status"):
        text = getattr(store, name)
        if text is not None and (len(text) > 500 or not text.isprintable()):
            raise Invalid(f"{name} must be at most 500 printable characters", field=name)
