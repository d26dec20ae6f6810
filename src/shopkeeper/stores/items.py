"""Items: what is sold or shown. A deleted item stays, inactive, because its sales stay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import Connection, Row, func, or_, select, update

from shopkeeper.core.clock import Clock, moment
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.ids import check_id, check_name
from shopkeeper.core.records import Item
from shopkeeper.stores import schema
from shopkeeper.stores.attributes import check_attributes
from shopkeeper.stores.catalog import Catalog
from shopkeeper.stores.etags import check_match, later
from shopkeeper.stores.paging import containing, cursor_after, key_of
from shopkeeper.stores.put_many import PutMany, split_checked
from shopkeeper.stores.rows import RowGiver
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import Vocabularies

__all__ = ["Catalog", "ItemStore"]

Items: TypeAlias = tuple[list[Item], str | None, int]
_C = schema.items.c


class ItemStore:
    """Reads answer at once; changes answer a Future that is done when they are durable and in the catalog."""

    def __init__(self, db: Database, vocabularies: Vocabularies, clock: Clock, catalog: Catalog) -> None:
        self._db = db
        self._clock = clock
        self._catalog = catalog
        self._rows = RowGiver(vocabularies, clock)

    def get(self, item_id: str) -> Item:
        """Raises NotFound."""
        with self._db.read() as connection:
            return _item(_stored(connection, item_id))

    def list(
        self,
        q: str | None = None,
        kind: str | None = None,
        category: str | None = None,
        active: bool | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Items:
        """`(items, next_cursor, total)` in order of item_id; `q` is a part of the id or the name."""
        matching = select(schema.items)
        if q is not None:
            like = containing(q)
            matching = matching.where(or_(_C.item_id.like(like, escape="\\"), _C.name.like(like, escape="\\")))
        for column, wanted in ((_C.kind, kind), (_C.category, category), (_C.active, active)):
            if wanted is not None:
                matching = matching.where(column == wanted)
        page = matching.order_by(_C.item_id).limit(limit + 1)
        if (after := key_of(cursor)) is not None:
            page = page.where(_C.item_id > after)
        with self._db.read() as connection:
            rows = connection.execute(page).all()
            total = connection.execute(select(func.count()).select_from(matching.subquery())).scalar_one()
        items = [_item(row) for row in rows[:limit]]
        return items, cursor_after(items[-1].item_id) if len(rows) > limit else None, total

    def put(self, item: Item, if_match: str | None = None) -> Future[tuple[Item, bool]]:
        """Replaces the record; `(stored, created)`. Raises Invalid; Stale comes by the future."""
        _check(item)
        return self._db.writer.submit(lambda connection: self._put(connection, item, if_match))

    def put_many(self, items: Sequence[Item]) -> Future[PutMany]:
        """Replaces many records in one transaction; a bad one is rejected alone."""
        good, rejected = split_checked(items, _check)

        def write(connection: Connection) -> PutMany:
            done = self.put_in(connection, good)
            return PutMany(created=done.created, updated=done.updated, rejected=rejected)

        return self._db.writer.submit(write)

    def put_in(self, connection: Connection, items: Sequence[Item]) -> PutMany:
        """`put_many` of checked items inside a write of the caller's."""
        created = sum(self._put(connection, item, None)[1] for item in items)
        return PutMany(created=created, updated=len(items) - created)

    def delete(self, item_id: str, if_match: str | None = None) -> Future[None]:
        """Takes the item out of every slate; it stays readable as inactive. NotFound, Stale come by the future."""

        def write(connection: Connection) -> None:
            stored = _stored(connection, item_id)
            check_match(if_match, stored.updated_at, f"item {item_id!r}")
            now = later(self._clock.wall(), stored.updated_at)
            connection.execute(update(schema.items).where(_C.row == stored.row).values(active=False, updated_at=now))
            self._catalog.touch(stored.row)

        return self._db.writer.submit(write)

    def _put(self, connection: Connection, item: Item, if_match: str | None) -> tuple[Item, bool]:
        before = connection.execute(select(schema.items).where(_C.item_id == item.item_id)).first()
        check_match(if_match, None if before is None else before.updated_at, f"item {item.item_id!r}")
        row = self._rows.items(connection, {item.item_id: item.kind})[item.item_id]
        now = later(self._clock.wall(), None if before is None else before.updated_at)
        born = now if before is None else before.created_at
        facts = {name: getattr(item, name) for name in ("name", "kind", "category", "price", "active", "attributes")}
        change = update(schema.items).where(_C.row == row)
        connection.execute(change.values(**facts, created_at=born, updated_at=now))
        self._catalog.touch(row)
        return msgspec.structs.replace(item, created_at=moment(born), updated_at=moment(now)), before is None


def _stored(connection: Connection, item_id: str) -> Row[Any]:
    found = connection.execute(select(schema.items).where(_C.item_id == item_id)).first()
    if found is None:
        raise NotFound(f"no item {item_id!r}", code="unknown_item", field="item_id")
    return found


def _item(row: Row[Any]) -> Item:
    return Item(
        item_id=row.item_id,
        name=row.name,
        kind=row.kind,
        category=row.category,
        price=row.price,
        active=row.active,
        attributes=row.attributes,
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
    )


def _check(item: Item) -> None:
    check_id(item.item_id, "item_id")
    check_name(item.kind, "kind")
    if not 1 <= len(item.name) <= 500 or not item.name.isprintable():
        raise Invalid("name must be 1 to 500 printable characters", field="name")
    if item.category is not None and (len(item.category) > 200 or not item.category.isprintable()):
        raise Invalid("category must be at most 200 printable characters", field="category")
    if item.price is not None and not (math.isfinite(item.price) and 0 <= item.price <= 1e12):
        raise Invalid("price must be a number from 0 to 1e12", field="price")
    check_attributes(item.attributes)
