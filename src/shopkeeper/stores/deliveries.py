"""The outbox of webhooks, as SQL: what shall be told is written in the transaction of what happened, and sent later.

Every function works inside the caller's transaction. `created_at` differs from row to row and grows (see
`WebhookStore`), so it is the order of a webhook's line. A pending row whose `next_try` is null goes before all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from shopkeeper.core.clock import micros, moment
from shopkeeper.core.webhooks import TEST, Delivery
from shopkeeper.stores.schema import deliveries as table
from shopkeeper.stores.schema import webhooks

PENDING: Final = "pending"
DELIVERED: Final = "delivered"
FAILED: Final = "failed"
_C = table.c
_CHUNK = 1000


class Waiting(Delivery, kw_only=True):
    """With whom it is about; None: nobody."""

    user_row: int | None


def add(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    for start in range(0, len(rows), _CHUNK):
        connection.execute(insert(table), rows[start : start + _CHUNK])


def at_once(connection: Connection) -> dict[str, Waiting]:
    """Webhook -> the pending one that goes before all others; there is at most one."""
    rows = connection.execute(select(table).where(_C.status == PENDING, _C.next_try.is_(None)))
    return {row.webhook_id: _waiting(row) for row in rows}


def line(connection: Connection, webhook_id: str, *, since: int, limit: int) -> list[Waiting]:
    """The pending ones in order, from `since` on (the `created_at` of one that was pending lately)."""
    mine = (_C.webhook_id == webhook_id, _C.status == PENDING, _C.created_at >= since)
    rows = connection.execute(select(table).where(*mine).order_by(_C.created_at).limit(limit))
    return [_waiting(row) for row in rows]


def settle(connection: Connection, told: Delivery, *, now: int) -> bool:
    """Writes what an attempt left: status, attempts, next_try, answer, error. False when the row is pending no more.

    A test that was delivered lets the line go on at once: the receiver works again.
    """
    values = {name: getattr(told, name) for name in ("status", "attempts", "answer", "error")}
    values["next_try"] = None if told.next_try is None else micros(told.next_try)
    values["finished_at"] = None if told.status == PENDING else now
    still = (_C.delivery_id == told.delivery_id, _C.status == PENDING)
    done = connection.execute(update(table).where(*still).values(values)).rowcount == 1
    if done and told.event == TEST and told.status == DELIVERED:
        release(connection, told.webhook_id, now=now)
    return done


def release(connection: Connection, webhook_id: str, *, now: int) -> None:
    """What waits for another attempt may be tried now."""
    waiting = (_C.status == PENDING, _C.next_try > now, _C.webhook_id == webhook_id)
    connection.execute(update(table).where(*waiting).values(next_try=now))


def counts(connection: Connection) -> dict[str, int]:
    """Webhook -> how many of its deliveries are pending."""
    query = select(_C.webhook_id, func.count()).where(_C.status == PENDING).group_by(_C.webhook_id)
    return dict(connection.execute(query).all())


def newest(connection: Connection) -> int:
    """The greatest `created_at`; 0 when there is none."""
    ends = (_newest_of(connection, webhook_id) for webhook_id in _known(connection))
    return max(ends, default=0)


def trim(connection: Connection, webhook_id: str, *, keep: int, now: int, reason: str) -> int:
    """Gives up all but the `keep` newest pending ones. Returns how many."""
    mine = (_C.webhook_id == webhook_id, _C.status == PENDING)
    newest_first = select(_C.created_at).where(*mine).order_by(_C.created_at.desc()).offset(keep).limit(1)
    if (last := connection.execute(newest_first).scalar()) is None:
        return 0
    values = {"status": FAILED, "error": reason, "next_try": None, "finished_at": now}
    return connection.execute(update(table).where(*mine, _C.created_at <= last).values(values)).rowcount


def cutoffs(connection: Connection, *, before: int, keep: int) -> dict[str, int | None]:
    """Webhook -> what was finished and made before this may go: before `before`, or not among the `keep` newest rows.
    None: the webhook is gone, everything may go."""
    there = set(connection.execute(select(webhooks.c.webhook_id)).scalars())
    found: dict[str, int | None] = {}
    for webhook_id in list(_known(connection)):
        newest_first = select(_C.created_at).where(_C.webhook_id == webhook_id).order_by(_C.created_at.desc())
        edge = connection.execute(newest_first.offset(keep - 1).limit(1)).scalar()
        found[webhook_id] = max(before, edge or 0) if webhook_id in there else None
    return found


def tidy(connection: Connection, cuts: Mapping[str, int | None], *, limit: int) -> int:
    """Removes at most `limit` rows that may go. Returns how many."""
    removed = 0
    for webhook_id, cut in cuts.items():
        old: Select[Any] = select(_C.delivery_id).where(_C.webhook_id == webhook_id)
        if cut is not None:
            old = old.where(_C.created_at < cut, _C.status != PENDING)
        some = old.order_by(_C.created_at).limit(limit - removed)
        removed += connection.execute(delete(table).where(_C.delivery_id.in_(some))).rowcount
        if removed >= limit:
            break
    return removed


def page(connection: Connection, webhook_id: str, *, limit: int, before: int | None) -> list[Delivery]:
    """Newest first, those made before `before`."""
    query = select(table).where(_C.webhook_id == webhook_id)
    if before is not None:
        query = query.where(_C.created_at < before)
    rows = connection.execute(query.order_by(_C.created_at.desc()).limit(limit))
    return [_delivery(row) for row in rows]


def get(connection: Connection, delivery_id: str) -> Delivery:
    return _delivery(connection.execute(select(table).where(_C.delivery_id == delivery_id)).one())


def _known(connection: Connection) -> Iterator[str]:
    """The webhooks that have rows, each by one step in the index: not by reading all rows."""
    last = ""
    while (
        found := connection.execute(select(func.min(_C.webhook_id)).where(_C.webhook_id > last)).scalar()
    ) is not None:
        yield found
        last = found


def _newest_of(connection: Connection, webhook_id: str) -> int:
    return int(connection.execute(select(func.max(_C.created_at)).where(_C.webhook_id == webhook_id)).scalar_one())


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(**_facts(row))


def _waiting(row: Row[Any]) -> Waiting:
    return Waiting(user_row=row.user_row, **_facts(row))


def _facts(row: Row[Any]) -> dict[str, Any]:
    return {
        "delivery_id": row.delivery_id,
        "webhook_id": row.webhook_id,
        "event": row.event,
        "status": row.status,
        "attempts": row.attempts,
        "next_try": None if row.next_try is None else moment(row.next_try),
        "answer": row.answer,
        "error": row.error,
        "created_at": moment(row.created_at),
        "finished_at": None if row.finished_at is None else moment(row.finished_at),
        "payload": row.payload,
    }
