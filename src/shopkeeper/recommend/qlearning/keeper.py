"""Where agents lie: a row and a file each, the steps since in SQL, and those that are asked in memory.

A step is durable before it is learned. An agent learns the same from the same steps, so one that is read again after a
kill, from its file and the steps that came after it, is what it was.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from sqlalchemy import Connection

from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import ShopkeeperError, Unavailable
from shopkeeper.core.ids import ulid
from shopkeeper.recommend.qlearning.agent import Agent
from shopkeeper.recommend.qlearning.files import packed, unpacked
from shopkeeper.recommend.qlearning.steps import Transition
from shopkeeper.stores import agents as table
from shopkeeper.stores.agents import MOST_AGENTS, AgentRow
from shopkeeper.stores.artifacts import write_durably
from shopkeeper.stores.sql import Database

_LOGGER = logging.getLogger(__name__)
MOST_HELD: Final = 16
"""Agents in memory; another one that is asked takes the place of the one not asked for longest."""
SAVE_EVERY: Final = 500
"""Steps that stand in SQL before they go into the file."""


class _Told(msgspec.Struct):
    """A step as it stands in SQL."""

    state: list[float]
    action: int
    reward: float
    after: list[float]
    done: bool


@dataclass
class _Held:
    """An agent in memory; `saved`: how many of its updates are in its file; `tried`: how many it had when its file was
    to be written last; `gone`: it is not the one that counts."""

    agent: Agent
    saved: int
    tried: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)
    gone: bool = False


class AgentKeeper:
    """From any thread but the writer's."""

    def __init__(
        self,
        db: Database,
        folder: Path,
        clock: Clock,
        *,
        most: int = MOST_AGENTS,
        held: int = MOST_HELD,
        every: int = SAVE_EVERY,
    ) -> None:
        """`most`: how many agents there may be; `held`: how many of them in memory; `every`: steps between files."""
        self._db, self._folder, self._clock = db, folder, clock
        self._most, self._most_held, self._every = most, held, every
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, agent: Agent, *, by: str) -> AgentRow:
        """Raises Conflict when there are too many, Unavailable."""
        agent_id, now = ulid(), self._clock.wall()
        content = packed(agent)
        row = AgentRow(
            agent_id=agent_id,
            config=msgspec.to_builtins(agent.config),
            file=f"{agent_id}.{ulid()}.npz",
            sha256=_sha256(content),
            facts=facts_of(agent, None),
            created_at=now,
            created_by=by,
            updated_at=now,
        )
        self._put(row.file, content)
        try:
            self._db.writer.run(lambda connection: table.add(connection, row, most=self._most))
        except ShopkeeperError:
            self._unlink(row.file)
            raise
        return row

    @contextmanager
    def locked(self, agent_id: str) -> Iterator[Agent]:
        """The agent, and nobody else has it. Raises NotFound, Unavailable."""
        while True:
            held = self._hold(agent_id)
            with held.lock:
                if not held.gone:
                    yield held.agent
                    return

    def learn(self, agent_id: str, agent: Agent, step: Transition) -> float:
        """Inside `locked`: keeps the step, then learns it. Raises Unavailable; then nothing was learned."""
        return self.learn_all(agent_id, agent, [step])[0]

    def learn_all(
        self,
        agent_id: str,
        agent: Agent,
        steps: Sequence[Transition],
        also: Callable[[Connection], None] = lambda _: None,
    ) -> list[float]:
        """The same with many. `also` is done in the transaction that keeps them: both are durable, or neither. What it
        raises undoes both. Once they are kept nothing is raised: that the file cannot be written, as on a full disk, is
        logged and tried again after as many steps; they stand in SQL until then."""
        told = [_Told(one.state.tolist(), one.action, one.reward, one.after.tolist(), one.done) for one in steps]

        def write(connection: Connection) -> None:
            also(connection)
            for number, one in enumerate(told, agent.updates + 1):
                table.tell(connection, agent_id, number, msgspec.to_builtins(one))

        self._db.writer.run(write)
        surprises = [agent.learn(one) for one in steps]
        held = self._held[agent_id]
        if agent.updates - max(held.saved, held.tried) >= self._every:
            held.tried = agent.updates
            try:
                self.save(agent_id)
            except ShopkeeperError as error:
                _LOGGER.warning("agent %s learns, but not into its file: %s", agent_id, error.message)
        return surprises

    def packed(self, agent_id: str) -> bytes:
        """All that it has learned, as a file. Raises NotFound, Unavailable."""
        with self.locked(agent_id) as agent:
            return packed(agent)

    def save(self, agent_id: str) -> None:
        """What it has learned goes into its file. Raises NotFound, Unavailable."""
        with self.locked(agent_id) as agent, self._db.read() as connection:
            row, held = table.get(connection, agent_id), self._held[agent_id]
            if agent.updates == held.saved:
                return
            file, content = f"{agent_id}.{ulid()}.npz", packed(agent)
            self._put(file, content)
            self._note(agent_id, agent, file, content, row.facts.get("training"))
            held.saved = agent.updates
            self._unlink(row.file)

    def replace(
        self,
        agent_id: str,
        content: bytes,
        training: dict[str, Any],
        *,
        name: str,
        also: Callable[[Connection], None] = lambda _: None,
    ) -> None:
        """Another agent in its place, and `also` in one transaction with that; does nothing the second time with one
        `name`. Raises NotFound, Unavailable."""
        file = f"{agent_id}.{name}.npz"
        with self._db.read() as connection:
            row = table.get(connection, agent_id)
        if row.file == file:
            return
        agent = unpacked(content)
        self._put(file, content)
        self._note(agent_id, agent, file, content, training, also)
        self._drop(agent_id)
        self._unlink(row.file)

    def remove(self, agent_id: str) -> None:
        """With its file. Raises NotFound, Unavailable."""
        file = self._db.writer.run(lambda connection: table.remove(connection, agent_id))
        self._drop(agent_id)
        self._unlink(file)

    def sweep(self) -> int:
        """Takes files that no row knows; how many. Only while nobody makes any: when the shop starts."""
        with self._db.read() as connection:
            known = table.files(connection)
        strays = [path.name for path in self._folder.glob("*") if path.name not in known]
        for name in strays:
            self._unlink(name)
        return len(strays)

    def close(self) -> None:
        """What agents in memory have learned goes into their files; what fails here stands in SQL."""
        for agent_id in list(self._held):
            with suppress(ShopkeeperError):
                self.save(agent_id)

    def _hold(self, agent_id: str) -> _Held:
        """The agent in memory, read when it is not there yet."""
        with self._lock:
            held = self._held.get(agent_id)
            if held is None:
                held = self._held[agent_id] = self._read(agent_id)
                self._make_room(agent_id)
            self._held.move_to_end(agent_id)
            return held

    def _make_room(self, newest: str) -> None:
        """Its steps stand in SQL. One that somebody has in hand stays."""
        for agent_id, held in list(self._held.items()):
            if len(self._held) <= self._most_held:
                return
            if agent_id != newest and held.lock.acquire(blocking=False):
                held.gone = True
                held.lock.release()
                del self._held[agent_id]

    def _read(self, agent_id: str) -> _Held:
        with self._db.read() as connection:
            row, steps = table.get(connection, agent_id), table.told(connection, agent_id)
        try:
            content = (self._folder / row.file).read_bytes()
        except OSError as error:
            raise Unavailable(f"the file of agent {agent_id} cannot be read: {error}", code="agent_broken") from error
        if _sha256(content) != row.sha256:
            raise Unavailable(f"the file of agent {agent_id} is not what was written", code="agent_broken")
        agent = unpacked(content)
        held = _Held(agent, agent.updates)
        for _, told in steps:
            step = msgspec.convert(told, _Told)
            agent.learn(Transition(np.array(step.state), step.action, step.reward, np.array(step.after), step.done))
        return held

    def _note(
        self,
        agent_id: str,
        agent: Agent,
        file: str,
        content: bytes,
        training: dict[str, Any] | None,
        also: Callable[[Connection], None] = lambda _: None,
    ) -> None:
        facts, until, now = facts_of(agent, training), agent.updates, self._clock.wall()

        def write(connection: Connection) -> None:
            table.saved(connection, agent_id, file=file, sha256=_sha256(content), facts=facts, until=until, now=now)
            also(connection)

        self._db.writer.run(write)

    def _put(self, file: str, content: bytes) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_durably(self._folder / file, content)
        except OSError as error:
            raise Unavailable(f"the agent cannot be kept: {error}; check the disk's free space", code="disk") from error

    def _drop(self, agent_id: str) -> None:
        with self._lock:
            held = self._held.pop(agent_id, None)
        if held is not None:
            with held.lock:
                held.gone = True

    def _unlink(self, file: str) -> None:
        with suppress(OSError):
            (self._folder / file).unlink(missing_ok=True)


def facts_of(agent: Agent, training: dict[str, Any] | None) -> dict[str, Any]:
    """What is told of an agent without reading its file."""
    return {
        "episodes": agent.episodes,
        "updates": agent.updates,
        "epsilon": agent.epsilon,
        "training": training,
    }


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
