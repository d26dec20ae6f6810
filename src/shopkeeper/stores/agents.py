"""Agents as rows: which there are, which file holds each, and the steps that it was told since. Every function works
inside the caller's transaction."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from shopkeeper.core.errors import Conflict, NotFound
from shopkeeper.stores.schema import agent_steps as steps
from shopkeeper.stores.schema import agent_verdicts as verdicts
from shopkeeper.stores.schema import agents as table

MOST_AGENTS = 200


class AgentRow(msgspec.Struct, kw_only=True):
    """`file` is a name in HOME/agents. Times in us of the wall clock."""

    agent_id: str
    config: dict[str, Any]
    file: str
    sha256: str
    facts: dict[str, Any]
    created_at: int
    created_by: str
    updated_at: int


def add(connection: Connection, row: AgentRow, *, most: int = MOST_AGENTS) -> None:
    """Raises Conflict when there are as many as may be."""
    if (connection.scalar(select(func.count()).select_from(table)) or 0) >= most:
        raise Conflict(f"there are {most} agents already; delete one first", code="too_many_agents")
    connection.execute(insert(table).values(**msgspec.structs.asdict(row)))


def get(connection: Connection, agent_id: str) -> AgentRow:
    """Raises NotFound."""
    row = connection.execute(select(table).where(table.c.agent_id == agent_id)).one_or_none()
    if row is None:
        raise NotFound(f"no agent {agent_id[:64]!r}; see /api/v1/qlearning/agents", code="unknown_agent")
    return _row(row)


def page(connection: Connection, *, limit: int, before: str | None) -> tuple[list[AgentRow], int]:
    """Newest first, those with a smaller id than `before`; and how many there are in all."""
    total = connection.scalar(select(func.count()).select_from(table)) or 0
    older = [table.c.agent_id < before] if before is not None else []
    rows = connection.execute(select(table).where(*older).order_by(table.c.agent_id.desc()).limit(limit))
    return [_row(row) for row in rows], total


def ids(connection: Connection) -> list[str]:
    """Of all, the oldest first."""
    return list(connection.scalars(select(table.c.agent_id).order_by(table.c.agent_id)))


def saved(
    connection: Connection, agent_id: str, *, file: str, sha256: str, facts: dict[str, Any], until: int, now: int
) -> None:
    """A file holds all that was learned, and the steps up to number `until` with it. Raises NotFound."""
    values = {"file": file, "sha256": sha256, "facts": facts, "updated_at": now}
    changed = connection.execute(update(table).where(table.c.agent_id == agent_id).values(values))
    if changed.rowcount != 1:
        raise NotFound(f"no agent {agent_id[:64]!r}; see /api/v1/qlearning/agents", code="unknown_agent")
    connection.execute(delete(steps).where(steps.c.agent_id == agent_id, steps.c.seq <= until))


def tell(connection: Connection, agent_id: str, seq: int, step: dict[str, Any]) -> None:
    connection.execute(insert(steps).values(agent_id=agent_id, seq=seq, step=step))


def told(connection: Connection, agent_id: str) -> list[tuple[int, dict[str, Any]]]:
    """(number, step), in order."""
    rows = connection.execute(select(steps).where(steps.c.agent_id == agent_id).order_by(steps.c.seq))
    return [(row.seq, row.step) for row in rows]


def remove(connection: Connection, agent_id: str) -> str:
    """The name of its file, which may go. Raises NotFound."""
    file = get(connection, agent_id).file
    for kept in (steps, verdicts):
        connection.execute(delete(kept).where(kept.c.agent_id == agent_id))
    connection.execute(delete(table).where(table.c.agent_id == agent_id))
    return file


def files(connection: Connection) -> set[str]:
    return set(connection.scalars(select(table.c.file)))


def _row(row: Row[Any]) -> AgentRow:
    return AgentRow(**{str(name): value for name, value in row._mapping.items()})
