"""Schedules as SQL rows. Every function works inside the caller's transaction.

A row is worked on by the process that holds its lease. Changing what a schedule says (`put`, `remove`) needs no lease;
what a run leaves (`save`) is written only by the holder, so a deleted schedule or a lost lease loses the write.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, or_, select, update

from shopkeeper.core.clock import SECOND, micros, moment
from shopkeeper.core.errors import Conflict, NotFound
from shopkeeper.core.schedules import Schedule, ScheduleState
from shopkeeper.stores.etags import check_match, later
from shopkeeper.stores.schema import schedules as table

LEASE = 60 * SECOND


def add(connection: Connection, schedule: Schedule, *, now: int, by: str) -> Schedule:
    """A new row. Raises Conflict (code `exists`)."""
    if connection.scalar(select(table.c.name).where(table.c.name == schedule.name)) is not None:
        raise Conflict(f"schedule {schedule.name!r} exists already; change it with PUT", code="exists")
    first = {"name": schedule.name, "version": 1, "state": _plain(ScheduleState()), "updated_at": now, "updated_by": by}
    connection.execute(insert(table).values({**_says(schedule), **first}))
    return get(connection, schedule.name)


def put(connection: Connection, schedule: Schedule, *, if_match: str | None, now: int, by: str) -> Schedule:
    """Says anew what a schedule does; what its runs left stays. Raises NotFound, Stale."""
    old = _row(connection, schedule.name)
    check_match(if_match, old.updated_at, f"schedule {schedule.name!r}")
    changed = {"version": old.version + 1, "updated_at": later(now, old.updated_at), "updated_by": by}
    connection.execute(update(table).where(table.c.name == schedule.name).values({**_says(schedule), **changed}))
    return get(connection, schedule.name)


def remove(connection: Connection, name: str, *, if_match: str | None) -> None:
    """Raises NotFound, Stale."""
    check_match(if_match, _row(connection, name).updated_at, f"schedule {name!r}")
    connection.execute(delete(table).where(table.c.name == name))


def get(connection: Connection, name: str) -> Schedule:
    """Raises NotFound."""
    return _schedule(_row(connection, name))


def page(connection: Connection, *, limit: int, after: str | None = None) -> tuple[list[Schedule], str | None, int]:
    """By name: (schedules, the name after which the next page begins, total)."""
    total = connection.scalar(select(func.count()).select_from(table)) or 0
    later_ones = [table.c.name > after] if after is not None else []
    rows = connection.execute(select(table).where(*later_ones).order_by(table.c.name).limit(limit + 1))
    found = [_schedule(row) for row in rows]
    return found[:limit], found[limit - 1].name if len(found) > limit else None, total


def everything(connection: Connection) -> list[Schedule]:
    """By name."""
    return [_schedule(row) for row in connection.execute(select(table).order_by(table.c.name))]


def lease(connection: Connection, name: str, worker: str, *, now: int) -> Schedule | None:
    """The row as it is now, ours for `LEASE`; None when it is gone or another process holds it.

    A lease that ends later than one taken now would is nobody's: the clock was set back since it was taken.
    """
    nobody = or_(table.c.lease_until.is_(None), table.c.lease_until < now, table.c.lease_until > now + LEASE)
    free = or_(nobody, table.c.worker == worker)
    taken = connection.execute(
        update(table).where(table.c.name == name, free).values(worker=worker, lease_until=now + LEASE)
    )
    return get(connection, name) if taken.rowcount == 1 else None


def save(connection: Connection, name: str, worker: str, state: ScheduleState) -> bool:
    """What a run left. False, and nothing changes, when the lease is not ours any more."""
    done = connection.execute(update(table).where(_held(name, worker)).values(state=_plain(state)))
    return done.rowcount == 1


def plan(connection: Connection, schedule: Schedule, worker: str, next_run: int | None) -> None:
    """When it runs next; nothing, when somebody has changed meanwhile what it says."""
    same = and_(_held(schedule.name, worker), table.c.version == schedule.version)
    connection.execute(update(table).where(same).values(next_run=next_run))


def release(connection: Connection, name: str, worker: str) -> None:
    connection.execute(update(table).where(_held(name, worker)).values(worker=None, lease_until=None))


def _held(name: str, worker: str) -> ColumnElement[bool]:
    return and_(table.c.name == name, table.c.worker == worker)


def _row(connection: Connection, name: str) -> Row[Any]:
    row = connection.execute(select(table).where(table.c.name == name)).one_or_none()
    if row is None:
        raise NotFound(f"no schedule {name[:80]!r}", code="unknown_schedule")
    return row


def _says(schedule: Schedule) -> dict[str, Any]:
    return {
        "cron": schedule.cron,
        "kind": schedule.kind,
        "params": schedule.params,
        "condition": schedule.condition,
        "enabled": schedule.enabled,
        "retries": schedule.retries,
        "retry_wait_s": schedule.retry_wait_s,
        "next_run": None if schedule.next_run is None else micros(schedule.next_run),
    }


def _plain(state: ScheduleState) -> Any:
    return msgspec.to_builtins(state)


def _schedule(row: Row[Any]) -> Schedule:
    return Schedule(
        name=row.name,
        cron=row.cron,
        kind=row.kind,
        params=row.params,
        condition=row.condition,
        enabled=row.enabled,
        retries=row.retries,
        retry_wait_s=row.retry_wait_s,
        next_run=None if row.next_run is None else moment(row.next_run),
        state=msgspec.convert(row.state, ScheduleState),
        version=row.version,
        updated_at=moment(row.updated_at),
        updated_by=row.updated_by,
    )
