"""What a new champion, or the end of a model, changes in aliases and traffic, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from shopkeeper.core.records import Gate, Record, Version
from shopkeeper.lifecycle.addresses import CANDIDATE, CHAMPION, PREVIOUS
from shopkeeper.stores import registry as table
from shopkeeper.stores import traffic


class Promotion(Record, kw_only=True):
    """What a promotion or a rollback did. `gate` is what the decision was made with."""

    name: str
    scope: str
    old_version: int | None
    new_version: int
    gate: Gate | None


def point_champion(
    connection: Connection,
    version: Version,
    allowed: Callable[[int | None], Gate | None],
    *,
    now: int,
    reason: str,
    by: str,
    forced: bool,
) -> Promotion:
    """`allowed` is asked once more, about the champion of this moment."""
    name, scope, number = version.model, version.scope, version.version
    pointing = table.current(connection, name, scope)
    old = pointing.get(CHAMPION)
    gate = allowed(old)
    if old != number:
        table.point(connection, name, scope, CHAMPION, number, now=now, by=by, reason=reason, forced=forced)
        if old is not None:
            table.point(connection, name, scope, PREVIOUS, old, now=now, by=by, reason=reason)
        _end_traffic(connection, name, scope, number, now=now, by=by)
    if pointing.get(CANDIDATE) == number:
        table.point(connection, name, scope, CANDIDATE, None, now=now, by=by, reason="became champion")
    return Promotion(name=name, scope=scope, old_version=old, new_version=number, gate=gate)


def _end_traffic(connection: Connection, name: str, scope: str, champion: int, *, now: int, by: str) -> None:
    """A new champion answers everybody: the split ends, and a shadow of the champion itself."""
    why = f"v{champion} became champion"
    split = traffic.current(connection, name, scope, "split")
    if split is not None and split.plan is not None:
        traffic.put(connection, name, scope, "split", None, now=now, by=by, reason=why)
    shadow = traffic.current(connection, name, scope, "shadow")
    if shadow is not None and shadow.plan is not None and shadow.plan["version"] == champion:
        traffic.put(connection, name, scope, "shadow", None, now=now, by=by, reason=why)


def end_all_traffic(connection: Connection, name: str, scope: str, *, now: int, by: str) -> None:
    """The model is deleted."""
    for kind in traffic.KINDS:
        plan = traffic.current(connection, name, scope, kind)
        if plan is not None and plan.plan is not None:
            traffic.put(connection, name, scope, kind, None, now=now, by=by, reason="the model was deleted")
