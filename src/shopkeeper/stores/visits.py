"""Slates of visits in which an agent was asked, and what was judged of agents by them. Every function works inside the
caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, delete, func, insert, or_, select, update

from shopkeeper.core.ids import ulid
from shopkeeper.stores import schema

_V = schema.agent_visits.c
_J = schema.agent_verdicts.c


class VisitRow(msgspec.Struct, kw_only=True):
    """One slate: what was seen of the visit before it (`state`), the `action` that was shown, drawn with `propensity`,
    and the agent's `choice`. `reward` None: not learned yet. `seq` 0: not written yet."""

    slate_id: str
    visit_id: str
    number: int
    user_row: int | None
    user_id: str | None
    made_at: int
    noted_at: int
    last_seq: int
    scenario: str
    scenario_version: int
    agent_id: str
    key: str
    state: list[float]
    action: int
    choice: int
    propensity: float
    shown: bytes
    reward: float | None = None
    seq: int = 0

    @property
    def items(self) -> NDArray[np.int32]:
        return np.frombuffer(self.shown, dtype=np.int32)


class Verdict(msgspec.Struct, kw_only=True):
    """`judged`: all that the judgement said. `judged_at` us of the wall clock."""

    agent_id: str
    scenario: str
    key: str
    verdict: str
    judged: dict[str, Any]
    judged_at: int


def add(connection: Connection, rows: Sequence[VisitRow]) -> int:
    """Inside a write; how many were new. Those of people who were erased meanwhile are left out."""
    asked = {row.user_row for row in rows} - {None}
    users = schema.users.c
    gone = set(connection.scalars(select(users.row).where(users.row.in_(asked), users.kind == "erased")))
    known = set(connection.scalars(select(_V.slate_id).where(_V.slate_id.in_([row.slate_id for row in rows]))))
    once = {row.slate_id: row for row in rows if row.slate_id not in known and row.user_row not in gone}
    new = [msgspec.structs.asdict(row) for row in once.values()]
    for row in new:
        del row["seq"]
    if new:
        connection.execute(insert(schema.agent_visits), new)
    return len(new)


def due(connection: Connection, agent_id: str, *, before: int, ahead: int, limit: int) -> list[list[VisitRow]]:
    """Whole visits of an agent that are not learned yet and whose newest slate was noted up to a moment, the oldest
    first. One that was noted after `ahead` is from before the clock was set back."""
    waits = (_V.agent_id == agent_id, _V.reward.is_(None))
    over = or_(func.max(_V.noted_at) <= before, func.min(_V.noted_at) > ahead)
    ended = select(_V.visit_id).where(*waits).group_by(_V.visit_id).having(over).order_by(func.min(_V.seq)).limit(limit)
    rows = connection.execute(select(schema.agent_visits).where(*waits, _V.visit_id.in_(ended)).order_by(_V.seq))
    visits: dict[str, list[VisitRow]] = {}
    for line in rows:
        visits.setdefault(line.visit_id, []).append(_row(line))
    return list(visits.values())


def reward(connection: Connection, rewards: Mapping[int, float]) -> int:
    """Inside a write: what the rows of these numbers brought; how many of them had not been learned before."""
    lines = [{"row": seq, "earned": earned} for seq, earned in rewards.items()]
    change = update(schema.agent_visits).where(_V.seq == bindparam("row"), _V.reward.is_(None))
    return connection.execute(change.values(reward=bindparam("earned")), lines).rowcount if lines else 0


def remove(connection: Connection, numbers: Sequence[int]) -> None:
    """Inside a write: rows of people of whom nothing is learned any more."""
    for start in range(0, len(numbers), 500):
        connection.execute(delete(schema.agent_visits).where(_V.seq.in_(numbers[start : start + 500])))


def drop_before(connection: Connection, at_ms: int, limit: int) -> int:
    """Inside a write: takes at most `limit` rows that were made before a moment, ms of real time; how many went."""
    cut = ulid(max(at_ms, 0))[:10]
    old = select(_V.seq).where(_V.slate_id < cut).order_by(_V.slate_id).limit(limit)
    return connection.execute(delete(schema.agent_visits).where(_V.seq.in_(old))).rowcount


def newest_key(connection: Connection, scenario: str, agent_id: str) -> str | None:
    """Which actions an agent had in its newest learned slate of a scenario; None: it has none."""
    mine = (_V.agent_id == agent_id, _V.reward.is_not(None), _V.scenario == scenario)
    return connection.scalar(select(_V.key).where(*mine).order_by(_V.seq.desc()).limit(1))


def learned(
    connection: Connection, scenario: str, agent_id: str, key: str, *, since: int, most: int
) -> list[tuple[str, int, int, int, float, float]]:
    """The newest `most` learned slates that were noted since a moment, us of real time: (visit, number in it, action,
    choice, propensity, reward), in the order in which they were noted."""
    mine = (_V.agent_id == agent_id, _V.reward.is_not(None), _V.scenario == scenario, _V.key == key)
    columns = (_V.visit_id, _V.number, _V.action, _V.choice, _V.propensity, _V.reward)
    query = select(*columns).where(*mine, _V.noted_at >= since).order_by(_V.seq.desc()).limit(most)
    return [tuple(line) for line in connection.execute(query)][::-1]


# -- what was judged


def keep(connection: Connection, verdict: Verdict) -> None:
    """Inside a write: in place of the judgement before. Raises Conflict when the agent is gone."""
    mine = (_J.agent_id == verdict.agent_id, _J.scenario == verdict.scenario)
    connection.execute(delete(schema.agent_verdicts).where(*mine))
    connection.execute(insert(schema.agent_verdicts).values(**msgspec.structs.asdict(verdict)))


def verdicts(connection: Connection, agent_id: str) -> list[Verdict]:
    """Of all scenarios, by name."""
    query = select(schema.agent_verdicts).where(_J.agent_id == agent_id).order_by(_J.scenario)
    return [
        Verdict(**{str(name): value for name, value in line._mapping.items()}) for line in connection.execute(query)
    ]


def forget(connection: Connection, agent_id: str) -> None:
    """Inside a write: the agent is another one now."""
    connection.execute(delete(schema.agent_verdicts).where(_J.agent_id == agent_id))


def _row(line: Any) -> VisitRow:
    return VisitRow(**{str(name): value for name, value in line._mapping.items()})
