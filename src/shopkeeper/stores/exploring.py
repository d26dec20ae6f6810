"""What policies drew for the slots of slates, and what was learned of it, in SQL.

Rows are numbered in the order in which they were written: a learner goes through them once, by number. They go by the
real time of their making, as slates do, whose ids they bear.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, bindparam, delete, func, insert, or_, select, update

from shopkeeper.core.clock import SECOND
from shopkeeper.core.ids import ulid
from shopkeeper.stores import schema

LEASE = 60 * SECOND
_E = schema.explored.c
_X = schema.explorers.c
_L = schema.leases.c
_EVENTS = schema.events.c


class ExploredRow(msgspec.Struct, kw_only=True):
    """The s drawn slots of one slate. `slots` places on the slate, `drawn` item rows, `pools` item rows (s, m) filled
    up with -1, the greedy one first, `chances` with which each was drawn, given what stands above it. `context` (d,),
    as the policy read it. `key` stands for the policy and what it was begun with, `asked`. `rewards` None: not learned
    yet. `seq` 0: not written yet."""

    slate_id: str
    user_row: int | None
    user_id: str | None
    made_at: int
    noted_at: int
    last_seq: int
    scenario: str
    scenario_version: int
    key: str
    policy: str
    snapshot: int
    slots: bytes
    drawn: bytes
    pools: bytes
    chances: bytes
    asked: dict[str, Any]
    context: bytes | None
    rewards: bytes | None = None
    seq: int = 0

    @property
    def places(self) -> NDArray[np.int32]:
        return np.frombuffer(self.slots, dtype=np.int32)

    @property
    def items(self) -> NDArray[np.int32]:
        return np.frombuffer(self.drawn, dtype=np.int32)

    @property
    def offered(self) -> NDArray[np.int32]:
        return np.frombuffer(self.pools, dtype=np.int32).reshape(len(self.places), -1)

    @property
    def propensities(self) -> NDArray[np.float64]:
        return np.frombuffer(self.chances, dtype=np.float64)

    @property
    def vector(self) -> NDArray[np.float64] | None:
        return None if self.context is None else np.frombuffer(self.context, dtype=np.float64)

    @property
    def earned(self) -> NDArray[np.float64] | None:
        return None if self.rewards is None else np.frombuffer(self.rewards, dtype=np.float64)


class Learned(msgspec.Struct, kw_only=True):
    """What a learner left: `number` of the snapshot, `position` of the last row that it knows, `rounds` in all.
    `asked`: what the policy was begun with."""

    scenario: str
    key: str
    policy: str
    asked: dict[str, Any]
    number: int
    position: int
    rounds: int
    state: bytes
    changed_at: int


class Told(msgspec.Struct, kw_only=True):
    """An event about an item that names an answer."""

    seq: int
    event_id: str
    user_row: int
    item_row: int
    type_row: int
    time: int
    value: float | None
    context: dict[str, Any]


# -- the log


def add(connection: Connection, rows: Sequence[ExploredRow]) -> int:
    """Inside a write; how many were new. Those of people who were erased meanwhile are left out."""
    asked = {row.user_row for row in rows} - {None}
    users = schema.users.c
    gone = set(connection.scalars(select(users.row).where(users.row.in_(asked), users.kind == "erased")))
    known = set(connection.scalars(select(_E.slate_id).where(_E.slate_id.in_([row.slate_id for row in rows]))))
    once = {row.slate_id: row for row in rows if row.slate_id not in known and row.user_row not in gone}
    new = [msgspec.structs.asdict(row) for row in once.values()]
    # Not the highest that is left: the newest may have been erased, and a learner was there already.
    last = connection.scalar(select(func.max(_E.seq))) or 0
    learned = connection.scalar(select(func.max(_X.position))) or 0
    for seq, row in enumerate(new, max(last, learned) + 1):
        row["seq"] = seq
    if new:
        connection.execute(insert(schema.explored), new)
    return len(new)


def after(connection: Connection, scenario: str, key: str, position: int, limit: int) -> list[ExploredRow]:
    """The next rows that were drawn for a scenario by a policy, in order."""
    mine = (_E.scenario == scenario, _E.key == key, _E.seq > position)
    return [
        _row(line) for line in connection.execute(select(schema.explored).where(*mine).order_by(_E.seq).limit(limit))
    ]


def earlier(connection: Connection, scenario: str, seq: int) -> Iterator[ExploredRow]:
    """What was drawn for a scenario before a row, by whichever policy, and learned."""
    query = select(schema.explored).where(_E.scenario == scenario, _E.seq < seq, _E.rewards.is_not(None))
    for line in connection.execute(query.order_by(_E.seq).execution_options(yield_per=500)):
        yield _row(line)


def spans(connection: Connection) -> list[tuple[str, str, int, int]]:
    """(scenario, key, first row, last row) of all that has drawn."""
    query = select(_E.scenario, _E.key, func.min(_E.seq), func.max(_E.seq)).group_by(_E.scenario, _E.key)
    return [(str(one[0]), str(one[1]), int(one[2]), int(one[3])) for one in connection.execute(query)]


def learned_rows(
    connection: Connection, scenario: str | None = None, *, since: int = 0, until: int = 2**62
) -> Iterator[ExploredRow]:
    """Rows whose rewards are known, made in [since, until] (us of the shop's clock), in order of their numbers."""
    query = select(schema.explored).where(_E.rewards.is_not(None), _E.made_at >= since, _E.made_at <= until)
    if scenario is not None:
        query = query.where(_E.scenario == scenario)
    for line in connection.execute(query.order_by(_E.seq).execution_options(yield_per=1000)):
        yield _row(line)


def count(connection: Connection, scenario: str) -> tuple[int, int]:
    """(rows of a scenario, those of them that are learned)."""
    query = select(func.count(), func.count(_E.rewards)).where(_E.scenario == scenario)
    found = connection.execute(query).one()
    return int(found[0]), int(found[1])


def average(connection: Connection, scenario: str, newest: int = 10_000) -> float | None:
    """What the slots of the newest learned slates earned; None: none is learned."""
    query = select(_E.rewards).where(_E.scenario == scenario, _E.rewards.is_not(None)).order_by(_E.seq.desc())
    earned = b"".join(connection.scalars(query.limit(newest)))
    return round(float(np.frombuffer(earned, dtype=np.float64).mean()), 6) if earned else None


def answer_of(
    connection: Connection, scenario: str, user_row: int | None, user_id: str, item_row: int, newest: int = 20
) -> str | None:
    """The newest of somebody's slates in which an item was drawn; None: not in the newest."""
    mine = _E.user_id == user_id if user_row is None else or_(_E.user_row == user_row, _E.user_id == user_id)
    query = select(_E.slate_id, _E.drawn).where(_E.scenario == scenario, mine).order_by(_E.seq.desc()).limit(newest)
    for slate_id, drawn in connection.execute(query):
        if item_row in np.frombuffer(drawn, dtype=np.int32):
            return str(slate_id)
    return None


def reward(connection: Connection, rewards: Mapping[int, bytes]) -> None:
    """Inside a write: what the rows of these numbers earned."""
    if rewards:
        lines = [{"row": seq, "earned": earned} for seq, earned in rewards.items()]
        change = update(schema.explored).where(_E.seq == bindparam("row"))
        connection.execute(change.values(rewards=bindparam("earned")), lines)


def told_of(connection: Connection, users: Sequence[int], types: Sequence[int], since: int) -> Iterator[Told]:
    """Events of these people and types about items, with a context, whose number is above `since`."""
    columns = ("seq", "event_id", "user_row", "item_row", "type_row", "time", "value", "context")
    query = select(*(_EVENTS[name] for name in columns)).where(
        _EVENTS.user_row.in_(users),
        _EVENTS.seq > since,
        _EVENTS.type_row.in_(types),
        _EVENTS.item_row.is_not(None),
        _EVENTS.context.is_not(None),
    )
    for line in connection.execute(query.order_by(_EVENTS.seq).execution_options(yield_per=2000)):
        if isinstance(line.context, dict):
            yield Told(**{str(name): value for name, value in line._mapping.items()})


def drop_before(connection: Connection, at_ms: int, limit: int) -> int:
    """Inside a write: takes at most `limit` rows that were made before a moment, ms of real time; how many went."""
    cut = ulid(max(at_ms, 0))[:10]
    old = select(_E.seq).where(_E.slate_id < cut).order_by(_E.slate_id).limit(limit)
    return connection.execute(delete(schema.explored).where(_E.seq.in_(old))).rowcount


# -- what was learned


def learned(connection: Connection, scenario: str, key: str) -> Learned | None:
    found = connection.execute(select(schema.explorers).where(_X.scenario == scenario, _X.key == key)).first()
    return None if found is None else Learned(**{str(name): value for name, value in found._mapping.items()})


def numbers(connection: Connection) -> dict[tuple[str, str], tuple[int, int]]:
    """By scenario and key (number of the newest snapshot, the last row that it knows)."""
    found = connection.execute(select(_X.scenario, _X.key, _X.number, _X.position))
    return {(str(one[0]), str(one[1])): (int(one[2]), int(one[3])) for one in found}


def keep(connection: Connection, fresh: Learned, before: int) -> bool:
    """Inside a write: the next snapshot of a scenario; False, and nothing changes, when the newest is not `before` (0:
    there was none): somebody else has learned meanwhile."""
    values = msgspec.structs.asdict(fresh)
    mine = (_X.scenario == fresh.scenario, _X.key == fresh.key)
    present = connection.scalar(select(_X.number).where(*mine))
    if (present or 0) != before:
        return False
    if present is None:
        connection.execute(insert(schema.explorers).values(**values))
    else:
        connection.execute(update(schema.explorers).where(*mine).values(**values))
    return True


def forget(connection: Connection, before: int) -> None:
    """Inside a write: what has not learned since a moment, us of real time, goes."""
    connection.execute(delete(schema.explorers).where(_X.changed_at < before))


# -- the lease


def lease(connection: Connection, name: str, worker: str, *, now: int) -> bool:
    """Inside a write: is the work ours for `LEASE` from now on? `now` is real time.

    A lease that ends later than one taken now would is nobody's: the clock was set back since it was taken.
    """
    free = or_(_L.worker == worker, _L.lease_until < now, _L.lease_until > now + LEASE)
    ours = {"worker": worker, "lease_until": now + LEASE}
    if connection.execute(update(schema.leases).where(_L.name == name, free).values(**ours)).rowcount:
        return True
    if connection.scalar(select(_L.name).where(_L.name == name)) is not None:
        return False
    connection.execute(insert(schema.leases).values(name=name, **ours))
    return True


def holds(connection: Connection, name: str, worker: str) -> bool:
    """Inside a write: nobody else has taken it over."""
    return connection.scalar(select(_L.worker).where(_L.name == name)) == worker


def release(connection: Connection, name: str, worker: str) -> None:
    """Inside a write: whoever comes next need not wait for its end."""
    connection.execute(delete(schema.leases).where(_L.name == name, _L.worker == worker))


def _row(line: Row[Any]) -> ExploredRow:
    return ExploredRow(**{str(name): value for name, value in line._mapping.items()})
