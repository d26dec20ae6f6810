"""What lets a shop's scenarios ask agents: which action answers, the log of visits, the one that learns from them."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from shopkeeper.bootstrap.furnishing import Stores
from shopkeeper.core.changes import Change
from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.core.ids import ulid
from shopkeeper.features.history import UserHistories
from shopkeeper.features.state import FeatureState
from shopkeeper.recommend.acting.evaluating import VisitJudging
from shopkeeper.recommend.acting.frozen import FrozenAgents
from shopkeeper.recommend.acting.learner import VisitLearning
from shopkeeper.recommend.acting.steering import Steering
from shopkeeper.recommend.acting.visitlog import VisitLog
from shopkeeper.recommend.acting.visits import OpenVisits
from shopkeeper.recommend.explore.earned import Earnings
from shopkeeper.recommend.qlearning.book import AgentBook
from shopkeeper.recommend.scenariobook import ScenarioBook
from shopkeeper.settings import Settings
from shopkeeper.stores.sql import Database

_LOGGER = logging.getLogger(__name__)
TICK_S = 10.0
_NEWEST = 200
"""Events of a person whose items tell how well the shop knows them."""


@dataclass
class ActingAgents:
    """`steering` and `log` are used on the loop; `agents.refresh`, `learning` and `judging` on threads."""

    agents: FrozenAgents
    steering: Steering
    log: VisitLog
    learning: VisitLearning
    judging: VisitJudging
    book: ScenarioBook
    _asked: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _running: asyncio.Task[None] | None = field(default=None, init=False)
    _learns: bool = field(default=False, init=False)

    def start(self) -> None:
        """Agents are read and visits may be noted. On the loop."""
        self.log.start()
        self.agents.missing = self._asked.set
        self._want()
        self._running = asyncio.create_task(self._run(), name="agents in slates")

    def hear(self, change: Change) -> None:
        """The agent of a scenario that was written is read before the first slate asks for it."""
        if change.kind in ("scenario", "all"):
            self._want()
            self._asked.set()

    def _want(self) -> None:
        for scenario in self.book.all():
            if scenario.asking is not None:
                self.agents.want(scenario.asking.agent_id)

    def learn(self) -> None:
        """From now on this process learns, or waits for the lease of the one that does. On the loop."""
        self._learns = True

    async def stop(self) -> None:
        """Writes what waits; the database is open still. A second call does nothing."""
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.wait({running})
        await self.log.stop()
        if running is not None and self._learns:
            try:
                await asyncio.to_thread(self.learning.release)
            except ShopkeeperError as error:
                _LOGGER.warning("the lease on learning from visits ends by itself: %s", error.message)

    def turn(self) -> int:
        """Learns, if this process does, and reads agents anew, also when nothing could be learned; how many visits were
        learned. Not on the loop."""
        try:
            return self.learning.turn() if self._learns else 0
        finally:
            self.agents.refresh()

    async def _run(self) -> None:
        while True:
            self._asked.clear()
            try:
                await asyncio.shield(asyncio.to_thread(self.turn))
            except ShopkeeperError as error:
                _LOGGER.warning("no agent learns for now: %s", error.message)
            except Exception:  # an edge: the shop serves on by what was learned before
                _LOGGER.exception("visits could not be learned")
            try:
                async with asyncio.timeout(TICK_S):
                    await self._asked.wait()
            except TimeoutError:
                continue


def open_visits(stores: Stores, features: FeatureState) -> OpenVisits:
    def before(row: int) -> int:
        history = features.part(UserHistories).get(row)
        if history is None:
            return 0
        items = history.rows["item"][-_NEWEST:]
        return len(set(items[items >= 0].tolist()))

    return OpenVisits(
        stores.vocab.users, stores.vocab.event_types, before=before, items=lambda: len(stores.vocab.items)
    )


def acting_agents(
    settings: Settings,
    db: Database,
    clock: Clock,
    stores: Stores,
    *,
    agents: AgentBook,
    visits: OpenVisits,
    allows: Callable[[int], bool],
    book: ScenarioBook,
) -> ActingAgents:
    users, log = stores.vocab.users, stores.log
    frozen = FrozenAgents(agents)
    agents.on_gone(frozen.drop)
    return ActingAgents(
        agents=frozen,
        steering=Steering(frozen, visits, users, allows=allows, strangers=settings.consent_default),
        log=VisitLog(db, visits, users, clock, last_seq=lambda: log.last_seq),
        learning=VisitLearning(
            db,
            clock,
            agents,
            Earnings(users, stores.vocab.event_types, allows=allows, window_s=settings.explore_window_s),
            worker=f"{socket.gethostname()[:64]}-{os.getpid()}-{ulid()}",
            window_s=settings.explore_window_s,
            keep_days=settings.explore_keep_days,
        ),
        judging=VisitJudging(db, clock, agents),
        book=book,
    )
