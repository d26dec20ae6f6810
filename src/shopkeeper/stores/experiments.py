"""Experiments as SQL rows, the users that were exposed, and what was told of them by name.

Every function works inside the caller's transaction. A row's `version` is its ETag; what a plan lists of people stands
under `user_id`, so that erasing finds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, and_, delete, func, insert, or_, select, tuple_, update

from shopkeeper.core.clock import moment
from shopkeeper.core.errors import NotFound
from shopkeeper.core.experiments import Course, Experiment, Plan
from shopkeeper.stores import schema
from shopkeeper.stores.etags import check_tag
from shopkeeper.stores.schema import experiments as table

_U = schema.experiment_units.c
_PIECE = 500


@dataclass(frozen=True)
class Kept:
    """One row: what was asked for, how it stands."""

    experiment_id: str
    status: str
    version: int
    plan: Plan
    course: Course
    created_at: int
    created_by: str
    updated_at: int
    updated_by: str

    @property
    def tag(self) -> str:
        return f'"{self.version}"'

    @property
    def subject(self) -> str:
        return self.plan.target.subject


@dataclass(frozen=True, slots=True)
class Unit:
    """One user who was answered by a variant. `exposed_at` us of the shop's clock, `exposed_seq` the log's end then."""

    experiment_id: str
    phase: int
    user_row: int
    variant: int
    exposed_at: int
    exposed_seq: int
    moved: bool = False


def add(connection: Connection, experiment_id: str, plan: Plan, *, now: int, by: str) -> Kept:
    connection.execute(
        insert(table).values(
            experiment_id=experiment_id,
            status="draft",
            version=1,
            created_at=now,
            created_by=by,
            updated_at=now,
            updated_by=by,
            state=msgspec.to_builtins(Course()),
            **_says(plan),
        )
    )
    return get(connection, experiment_id)


def get(connection: Connection, experiment_id: str) -> Kept:
    """Raises NotFound."""
    row = connection.execute(select(table).where(table.c.experiment_id == experiment_id)).one_or_none()
    if row is None:
        raise NotFound(f"no experiment {experiment_id[:80]!r}", code="unknown_experiment", field="experiment_id")
    return _kept(row)


def check(kept: Kept, if_match: str | None) -> None:
    """Raises Stale."""
    check_tag(if_match, kept.tag, f"experiment {kept.plan.name!r}")


def put(connection: Connection, before: Kept, *, now: int, by: str, **changed: Any) -> Kept:
    """`status`, `plan` and `course` that are given take the place of what is there."""
    values: dict[str, Any] = {"version": before.version + 1, "updated_at": now, "updated_by": by}
    if "plan" in changed:
        values |= _says(changed["plan"])
    if "course" in changed:
        values["state"] = msgspec.to_builtins(changed["course"])
    if "status" in changed:
        values["status"] = changed["status"]
    connection.execute(update(table).where(table.c.experiment_id == before.experiment_id).values(**values))
    return get(connection, before.experiment_id)


def remove(connection: Connection, experiment_id: str) -> None:
    for each in (schema.experiment_units, schema.experiment_events, table):
        connection.execute(delete(each).where(each.c.experiment_id == experiment_id))


def page(
    connection: Connection, *, limit: int, after: str | None, status: str | None
) -> tuple[list[Kept], str | None, int]:
    """Newest first: (experiments, the id after which the next page begins, total)."""
    wanted = [] if status is None else [table.c.status == status]
    total = connection.scalar(select(func.count()).select_from(table).where(*wanted)) or 0
    older = [*wanted, *([] if after is None else [table.c.experiment_id < after])]
    rows = connection.execute(select(table).where(*older).order_by(table.c.experiment_id.desc()).limit(limit + 1))
    found = [_kept(row) for row in rows]
    return found[:limit], found[limit - 1].experiment_id if len(found) > limit else None, total


def in_status(connection: Connection, *status: str) -> list[Kept]:
    """Oldest first."""
    rows = connection.execute(select(table).where(table.c.status.in_(status)).order_by(table.c.experiment_id))
    return [_kept(row) for row in rows]


# -- who was exposed


def add_units(connection: Connection, units: Sequence[Unit]) -> int:
    """Those of people who were erased meanwhile, and those that are there already, are left out; how many were new."""
    users, added = schema.users.c, 0
    for at in range(0, len(units), _PIECE):
        some = units[at : at + _PIECE]
        asked = {one.user_row for one in some}
        gone = set(connection.scalars(select(users.row).where(users.row.in_(asked), users.kind == "erased")))
        keys = [(one.experiment_id, one.phase, one.user_row) for one in some]
        there = select(_U.experiment_id, _U.phase, _U.user_row)
        known = {
            tuple(row)
            for row in connection.execute(there.where(tuple_(_U.experiment_id, _U.phase, _U.user_row).in_(keys)))
        }
        new = {key: one for key, one in zip(keys, some, strict=True) if key not in known and one.user_row not in gone}
        if new:
            connection.execute(insert(schema.experiment_units), [_columns(one) for one in new.values()])
            added += len(new)
    return added


def units(connection: Connection, experiment_id: str, phase: int) -> list[Unit]:
    """All of a phase, and of earlier ones those that moved."""
    mine = select(schema.experiment_units).where(_U.experiment_id == experiment_id)
    rows = connection.execute(mine.where(or_(_U.phase == phase, and_(_U.moved, _U.phase < phase))).order_by(_U.phase))
    return [Unit(*row) for row in rows]


def move_units(connection: Connection, source: int, target: int) -> None:
    """Two users are one: where only the first was exposed, the second keeps that variant; where both were, the one who
    stays does. What was told of the first is told of the second."""
    mine = connection.execute(select(schema.experiment_units).where(_U.user_row == source)).all()
    theirs = {
        (row.experiment_id, row.phase)
        for row in connection.execute(select(_U.experiment_id, _U.phase).where(_U.user_row == target))
    }
    connection.execute(delete(schema.experiment_units).where(_U.user_row == source))
    fresh = [
        {**row._mapping, "user_row": target, "moved": True}
        for row in mine
        if (row.experiment_id, row.phase) not in theirs
    ]
    if fresh:
        connection.execute(insert(schema.experiment_units), fresh)
    told = schema.experiment_events
    connection.execute(update(told).where(told.c.user_row == source).values(user_row=target))


def tell(connection: Connection, experiment_id: str, user_row: int, metric: str, value: float, *, now: int) -> bool:
    """What an own page tells of a user. False for one who was erased meanwhile."""
    users = schema.users.c
    if connection.scalar(select(users.kind).where(users.row == user_row)) in (None, "erased"):
        return False
    connection.execute(
        insert(schema.experiment_events).values(
            experiment_id=experiment_id, user_row=user_row, metric=metric, value=value, time=now
        )
    )
    return True


def _columns(unit: Unit) -> dict[str, Any]:
    return {name: getattr(unit, name) for name in Unit.__slots__}


def _says(plan: Plan) -> dict[str, Any]:
    stored = msgspec.to_builtins(plan)
    stored["allow"] = (
        [{"user_id": id, "variant": variant} for id, variant in plan.allow.items()]
        if isinstance(plan.allow, dict)
        else _listed(plan.allow)
    )
    stored["deny"] = _listed(plan.deny)
    return {"name": plan.name, "layer": plan.layer, "subject": plan.target.subject, "plan": stored}


def _listed(ids: Iterable[str]) -> list[dict[str, str]]:
    return [{"user_id": id} for id in ids]


def _kept(row: Row[Any]) -> Kept:
    stored = dict(row.plan)
    forced = any("variant" in one for one in stored["allow"])
    stored["allow"] = (
        {one["user_id"]: one["variant"] for one in stored["allow"]}
        if forced
        else [one["user_id"] for one in stored["allow"]]
    )
    stored["deny"] = [one["user_id"] for one in stored["deny"]]
    return Kept(
        row.experiment_id,
        row.status,
        row.version,
        msgspec.convert(stored, Plan),
        msgspec.convert(row.state, Course),
        row.created_at,
        row.created_by,
        row.updated_at,
        row.updated_by,
    )


def told(kept: Kept) -> Experiment:
    """As the API shows it."""
    course, plan = kept.course, kept.plan
    weights = course.weights or _shares([one.weight for one in plan.variants])
    return Experiment(
        **{name: getattr(plan, name) for name in Plan.__struct_fields__},
        experiment_id=kept.experiment_id,
        status=kept.status,  # type: ignore[arg-type]
        version=kept.version,
        phase=course.phase,
        weights={one.name: weight for one, weight in zip(plan.variants, weights, strict=True)},
        part=course.share if course.phase else plan.share,
        created_at=moment(kept.created_at),
        created_by=kept.created_by,
        updated_at=moment(kept.updated_at),
        updated_by=kept.updated_by,
        started_at=None if course.started_at is None else moment(course.started_at),
        ended_at=None if course.ended_at is None else moment(course.ended_at),
        winner=course.winner,
        verdict=course.verdict,
        reason=course.reason,
        rolling=course.rolling,
        rolled_out=course.before is not None,
    )


def _shares(weights: Sequence[float]) -> list[float]:
    total = sum(weights) or 1.0
    return [weight / total for weight in weights]
