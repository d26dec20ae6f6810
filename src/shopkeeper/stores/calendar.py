"""Promotions, holidays and closed days, past and planned: few enough to be read whole from memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import date
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, update

from shopkeeper.core.clock import Clock
from shopkeeper.core.days import date_of, day_number
from shopkeeper.core.errors import Conflict, Invalid, NotFound
from shopkeeper.core.ids import check_id, ulid
from shopkeeper.core.records import CALENDAR_KINDS, CalendarEntry
from shopkeeper.stores.schema import calendar as table
from shopkeeper.stores.sql import Database

MOST_ENTRIES = 50_000
LONGEST_DAYS = 5 * 366
_LAST_DAY = (1 << 16) - 1


class CalendarStore:
    """Entries on any thread, from memory; a change is there before its future is done."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._entries: tuple[CalendarEntry, ...] = ()
        self._changes = 0
        self.version = 0
        self._load()
        db.writer.join(self)

    def all(self) -> tuple[CalendarEntry, ...]:
        """By first day, then by id."""
        return self._entries

    def get(self, id: str) -> CalendarEntry:
        """Raises NotFound."""
        found = next((one for one in self._entries if one.id == id), None)
        if found is None:
            raise NotFound(f"the calendar has no entry {id[:64]!r}", code="unknown_entry")
        return found

    def list(
        self, from_day: int | None = None, to_day: int | None = None, kind: str | None = None
    ) -> Sequence[CalendarEntry]:
        """Those of a kind that touch the days from `from_day` to `to_day`. Raises Invalid for an unknown kind."""
        if kind is not None and kind not in CALENDAR_KINDS:
            raise Invalid(f"kind {kind[:40]!r} must be one of {', '.join(CALENDAR_KINDS)}", field="kind")
        return [
            one
            for one in self._entries
            if (kind is None or one.kind == kind)
            and (from_day is None or day_number(date.fromisoformat(one.to)) >= from_day)
            and (to_day is None or day_number(date.fromisoformat(one.from_)) <= to_day)
        ]

    def add(self, entry: CalendarEntry, *, by: str = "") -> Future[CalendarEntry]:
        """A new entry, with an id of ours. Raises Invalid; Conflict comes by the future when there are very many."""
        made = msgspec.structs.replace(entry, id=ulid())
        values = _checked(made)
        return self._db.writer.submit(lambda connection: self._add(connection, made, values, by))

    def put(self, id: str, entry: CalendarEntry, *, by: str = "") -> Future[CalendarEntry]:
        """Says an entry anew. Raises Invalid; NotFound comes by the future."""
        changed = msgspec.structs.replace(entry, id=id)
        values = _checked(changed)

        def write(connection: Connection) -> CalendarEntry:
            stamp = {"changed_at": self._clock.wall(), "changed_by": by}
            if not connection.execute(update(table).where(table.c.id == id).values(**values, **stamp)).rowcount:
                raise NotFound(f"the calendar has no entry {id[:64]!r}", code="unknown_entry")
            self._changes += 1
            return changed

        return self._db.writer.submit(write)

    def put_many(self, entries: Sequence[CalendarEntry], *, by: str = "") -> Future[int]:
        """Adds those that are not there yet, all or none; the future says how many. Raises Invalid."""
        wanted = [(entry, _checked(entry)) for entry in entries]

        def write(connection: Connection) -> int:
            there = {_plain(row._mapping) for row in connection.execute(select(table))}
            added = 0
            for entry, values in wanted:
                if _plain(values) not in there:
                    there.add(_plain(values))
                    self._add(connection, msgspec.structs.replace(entry, id=ulid()), values, by)
                    added += 1
            return added

        return self._db.writer.submit(write)

    def delete(self, id: str) -> Future[None]:
        """NotFound comes by the future."""

        def write(connection: Connection) -> None:
            if not connection.execute(delete(table).where(table.c.id == id)).rowcount:
                raise NotFound(f"the calendar has no entry {id[:64]!r}", code="unknown_entry")
            self._changes += 1

        return self._db.writer.submit(write)

    # -- taking part in the writer's transactions

    def mark(self) -> int:
        return self._changes

    def undo(self, mark: int) -> None:
        self._changes = mark

    def publish(self) -> None:
        if self._changes:
            self._load()
            self._changes = 0

    def _load(self) -> None:
        with self._db.read() as connection:
            rows = connection.execute(select(table).order_by(table.c.from_day, table.c.id)).all()
        self._entries = tuple(_entry(row._mapping) for row in rows)
        self.version += 1

    def _add(self, connection: Connection, entry: CalendarEntry, values: dict[str, Any], by: str) -> CalendarEntry:
        if connection.execute(select(func.count()).select_from(table)).scalar_one() >= MOST_ENTRIES:
            raise Conflict(
                f"the calendar holds {MOST_ENTRIES} entries already; take old ones away", code="calendar_full"
            )
        stamp = {"changed_at": self._clock.wall(), "changed_by": by}
        connection.execute(insert(table).values(id=entry.id, **values, **stamp))
        self._changes += 1
        return entry


def _checked(entry: CalendarEntry) -> dict[str, Any]:
    """The columns of an entry, but its id. Raises Invalid naming the field."""
    if entry.kind not in CALENDAR_KINDS:
        raise Invalid(f"kind {entry.kind[:40]!r} must be one of {', '.join(CALENDAR_KINDS)}", field="kind")
    if not 1 <= len(entry.name) <= 200:
        raise Invalid("name must have 1 to 200 characters", field="name")
    first, last = _day(entry.from_, "from"), _day(entry.to, "to")
    if last < first:
        raise Invalid(f"to, {entry.to}, lies before from, {entry.from_}", field="to")
    if last - first >= LONGEST_DAYS:
        raise Invalid(f"an entry is at most {LONGEST_DAYS} days long; make several", field="to")
    if entry.kind != "promotion" and (entry.item_ids is not None or entry.discount is not None):
        raise Invalid(f"only a promotion names items or a discount, not a {entry.kind} entry", field="item_ids")
    for field, ids in (("item_ids", entry.item_ids), ("store_ids", entry.store_ids)):
        if ids is not None and not ids:
            raise Invalid(f"{field} is empty: leave it out for all", field=field)
        for id in ids or ():
            check_id(id, field)
    if entry.discount is not None and not (math.isfinite(entry.discount) and 0 <= entry.discount <= 1):
        raise Invalid("discount is the share of the price that is taken off, from 0 to 1", field="discount")
    return {
        "kind": entry.kind,
        "name": entry.name,
        "from_day": first,
        "to_day": last,
        "item_ids": None if entry.item_ids is None else sorted(set(entry.item_ids)),
        "store_ids": None if entry.store_ids is None else sorted(set(entry.store_ids)),
        "discount": entry.discount,
    }


def _day(text: str, field: str) -> int:
    try:
        day = day_number(date.fromisoformat(text))
    except ValueError as error:
        raise Invalid(f"{field} is {text[:40]!r}, expected a date such as 2024-12-24", field=field) from error
    if not 0 <= day <= _LAST_DAY:
        raise Invalid(f"{field} is {text}, expected a day from 1970 to 2149", field=field)
    return day


def _plain(values: Any) -> tuple[Any, ...]:
    """What makes an entry the same as another."""
    names = ("kind", "name", "from_day", "to_day", "item_ids", "store_ids", "discount")
    return tuple(tuple(values[name]) if isinstance(values[name], list) else values[name] for name in names)


def _entry(row: Any) -> CalendarEntry:
    return CalendarEntry(
        id=row["id"],
        kind=row["kind"],
        name=row["name"],
        from_=date_of(row["from_day"]).isoformat(),
        to=date_of(row["to_day"]).isoformat(),
        item_ids=row["item_ids"],
        store_ids=row["store_ids"],
        discount=row["discount"],
    )
