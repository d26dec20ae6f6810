"""Agents as they answer slates: each as it was when it was read last, never waited for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from shopkeeper.core.errors import NotFound, Overloaded, Unavailable
from shopkeeper.recommend.acting.check import PROMOTE
from shopkeeper.recommend.qlearning.agent import Agent, Values
from shopkeeper.recommend.qlearning.steps import Floats
from shopkeeper.stores.visits import Verdict

_LOGGER = logging.getLogger(__name__)
BROKEN: Final = "agent_broken"
"""The code of an agent whose file is damaged."""


class Agents(Protocol):
    def read(self, agent_id: str, look: Callable[[Agent], _Read | None], /) -> _Read | None: ...

    def verdicts(self, agent_id: str, /) -> Sequence[Verdict]:
        """The newest of each scenario."""
        ...


@dataclass(frozen=True)
class _Read:
    updates: int
    values: Values


class FrozenAgents:
    """`choose` on the loop; `refresh` not there. `missing` is called on the loop when somebody asks for an agent that
    was not read yet."""

    def __init__(self, agents: Agents, missing: Callable[[], None] = lambda: None) -> None:
        self._agents = agents
        self.missing = missing
        self._lock = threading.Lock()
        self._read: dict[str, _Read] = {}
        self._proven: dict[str, frozenset[tuple[str, str]]] = {}
        self._why: dict[str, str] = {}
        self._wanted: set[str] = set()

    def want(self, agent_id: str) -> None:
        with self._lock:
            self._wanted.add(agent_id)

    def choose(self, agent_id: str, state: Floats) -> int | None:
        """The best action in a state; None: there is no such agent, or it was not read yet: see `why`."""
        read = self._read.get(agent_id)
        if read is not None:
            return int(read.values(state[None, :])[0].argmax())
        if agent_id not in self._wanted:
            self.want(agent_id)
            self.missing()
        return None

    def why(self, agent_id: str) -> str:
        """Why there is no choice."""
        return self._why.get(agent_id, "it is not read yet")

    def proven(self, agent_id: str, scenario: str, key: str) -> bool:
        """May it steer the scenario, with the actions that `key` stands for, as it was judged last?"""
        return (scenario, key) in self._proven.get(agent_id, ())

    def refresh(self) -> None:
        """Reads anew what is wanted and has learned since, and where it was proven. One that is gone or damaged is
        forgotten; while SQL does not answer, those that were read go on as they were."""
        with self._lock:
            wanted = list(self._wanted)
        for agent_id in wanted:
            before = self._read.get(agent_id)

            def look(agent: Agent, before: _Read | None = before) -> _Read | None:
                same = before is not None and before.updates == agent.updates
                return None if same else _Read(agent.updates, agent.frozen())

            try:
                read = self._agents.read(agent_id, look)
                # After the agent: where a training takes its place between the two, the verdicts are gone.
                verdicts = self._agents.verdicts(agent_id)
            except NotFound as error:
                self.drop(agent_id, error.message)
            except (Unavailable, Overloaded) as error:
                if error.code == BROKEN or before is None:
                    self.drop(agent_id, error.message)
            except Exception as error:  # an edge: one that cannot be read keeps no other from being read
                _LOGGER.exception("agent %s cannot be read", agent_id)
                self.drop(agent_id, f"{type(error).__name__}: {error}")
            else:
                self._proven[agent_id] = frozenset(
                    (one.scenario, one.key) for one in verdicts if one.verdict == PROMOTE
                )
                if read is not None:
                    self._read[agent_id] = read
                    self._why.pop(agent_id, None)

    def drop(self, agent_id: str, why: str = "it was deleted") -> None:
        self._why[agent_id] = why
        self._read.pop(agent_id, None)
        self._proven.pop(agent_id, None)
