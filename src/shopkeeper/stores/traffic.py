"""How a model's requests are shared, as SQL: an append-only record of plans.

Functions work inside the caller's transaction. Kinds: `split` (which versions answer) and `shadow` (which version is
asked without being heard). The plan in force is the newest row; a row without a plan took it away. What was in force at
a moment is the newest row of that time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sqlalchemy import Connection, func, insert, select

from shopkeeper.stores.schema import traffic

Kind: TypeAlias = Literal["split", "shadow"]
KINDS: tuple[Kind, ...] = ("split", "shadow")


@dataclass(frozen=True)
class PlanChange:
    """One row of the record. `time` in microseconds."""

    model: str
    scope: str
    plan: dict[str, Any] | None
    time: int
    changed_by: str
    reason: str
    position: int


def put(
    connection: Connection,
    model: str,
    scope: str,
    kind: Kind,
    plan: Mapping[str, Any] | None,
    *,
    now: int,
    by: str,
    reason: str,
) -> None:
    connection.execute(
        insert(traffic).values(
            model=model,
            scope=scope,
            kind=kind,
            plan=None if plan is None else dict(plan),
            time=now,
            changed_by=by,
            reason=reason,
        )
    )


def current(
    connection: Connection, model: str, scope: str, kind: Kind, *, until: int | None = None
) -> PlanChange | None:
    """The newest row (up to and including the time `until`); None when there was never a plan."""
    wanted = [traffic.c.model == model, traffic.c.scope == scope, traffic.c.kind == kind]
    if until is not None:
        wanted.append(traffic.c.time <= until)
    row = connection.execute(select(traffic).where(*wanted).order_by(traffic.c.position.desc()).limit(1)).one_or_none()
    return None if row is None else _change(row)


def in_force(connection: Connection, kind: Kind) -> list[PlanChange]:
    """The plans of all models that have one now."""
    newest = (
        select(func.max(traffic.c.position)).where(traffic.c.kind == kind).group_by(traffic.c.model, traffic.c.scope)
    )
    rows = connection.execute(select(traffic).where(traffic.c.position.in_(newest)))
    return [change for row in rows if (change := _change(row)).plan is not None]


def mentioned(connection: Connection, model: str, scope: str, text: str) -> bool:
    """Whether the reason of any split of the model holds `text`."""
    mine = (traffic.c.model == model, traffic.c.scope == scope, traffic.c.kind == "split")
    holds = traffic.c.reason.contains(text, autoescape=True)
    return connection.scalar(select(traffic.c.position).where(*mine, holds).limit(1)) is not None


def versions_in_traffic(connection: Connection, model: str, scope: str) -> set[int]:
    """Versions that a split or a shadow names now."""
    found: set[int] = set()
    if (split := current(connection, model, scope, "split")) is not None and split.plan is not None:
        found |= {int(variant["version"]) for variant in split.plan["variants"]}
    if (shadow := current(connection, model, scope, "shadow")) is not None and shadow.plan is not None:
        found.add(int(shadow.plan["version"]))
    return found


def _change(row: Any) -> PlanChange:
    return PlanChange(row.model, row.scope, row.plan, row.time, row.changed_by, row.reason, row.position)
