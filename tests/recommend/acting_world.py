"""A database in which an agent was asked for slates of visits, and those who let it learn of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from explore_world import WINDOW_S, World

from shopkeeper.core.clock import MINUTE, StoppedClock
from shopkeeper.core.ids import ulid
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.recommend.acting.acted import Acted
from shopkeeper.recommend.acting.asked import Asking, asking
from shopkeeper.recommend.acting.learner import VisitLearning
from shopkeeper.recommend.acting.visitlog import VisitLog
from shopkeeper.recommend.acting.visits import GAP, OpenVisits
from shopkeeper.recommend.explore.earned import Earnings
from shopkeeper.recommend.made import Made
from shopkeeper.recommend.qlearning.book import AgentBook
from shopkeeper.recommend.qlearning.config import AgentConfig
from shopkeeper.stores.home import Home

CONFIG = AgentConfig(action_size=2, bins=2, batch_size=2, replays=2, seed=3)
ACTIONS = [{"name": "as it is"}, {"name": "varied", "config": {"diversity": 1.0}}]


def asked_of(agent_id: str, **more: Any) -> Asking:
    found = asking({"agent_id": agent_id, "actions": ACTIONS, "share": 0.5, **more})
    assert found is not None
    return found


class Acting(World):
    """`asked` of the one agent that there is."""

    def __init__(self, folder: Path, *, clock: StoppedClock | None = None) -> None:
        super().__init__(folder, clock=clock)
        self.agents = AgentBook(self.db, Home(folder), self.clock, JobService(self.db, Home(folder), self.clock))
        known = self.agents.ids()
        self.agent_id = known[0] if known else self.agents.create(CONFIG).agent_id
        self.asked = asked_of(self.agent_id)
        vocab = self.vocab
        self.open = OpenVisits(vocab.users, vocab.event_types, before=lambda _: 3, items=lambda: len(vocab.items))
        self.visits = VisitLog(self.db, self.open, vocab.users, self.clock, last_seq=lambda: self.events.last_seq)

    def visit_learning(self, worker: str = "one", kind: type[VisitLearning] = VisitLearning) -> VisitLearning:
        allows = lambda row: row not in self.refusing  # noqa: E731
        earnings = Earnings(self.vocab.users, self.vocab.event_types, allows=allows, window_s=WINDOW_S)
        return kind(self.db, self.clock, self.agents, earnings, worker=worker, window_s=WINDOW_S)

    def slate(self, user: str, items: Sequence[str], action: int = 0, *, choice: int = 1) -> str:
        """Answered a minute after the one before; its id."""
        self.clock.advance(MINUTE)
        made = self.slate_of(user, items, action, choice=choice)
        self.visits.note(made)
        return made.slate_id

    def slate_of(self, user: str, items: Sequence[str], action: int = 0, *, choice: int = 1) -> Made:
        row, now = self.vocab.users.row(user), self.clock.now()
        state = self.open.state("home", self.asked.key, user, row, now)
        acted = Acted(self.asked, state, action, choice, float(self.asked.chances(choice)[action]))
        return Made(
            slate_id=ulid(self.clock.wall() // 1000), user_id=user, user=-1 if row is None else row, scenario="home",
            scenario_version=1, items=(), rows=np.array(self.vocab.items.rows(items), dtype=np.int32), made_at=now,
            ttl_s=0.0, taken_ms=1.0, model_version="", versions={}, stages={}, acted=acted,
        )  # fmt: skip

    def click(self, user: str, item: str, slate_id: str) -> None:
        self.clock.advance(MINUTE // 6)
        self.tell(user, item, request=slate_id)

    def write_visits(self) -> None:
        asyncio.run(self.visits.stop())

    def visits_end(self) -> None:
        self.clock.advance(GAP + MINUTE)
