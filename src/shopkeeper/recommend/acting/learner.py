"""The one that lets agents learn from visits: by a lease in SQL, each visit once, when it and the time of its clicks
are over.

What the agent was told and that it was told are one write: whoever is killed leaves both or neither.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from sqlalchemy import Connection

from shopkeeper.core.clock import DAY, MINUTE, SECOND, Clock
from shopkeeper.core.errors import Busy, Conflict, NotFound, ShopkeeperError
from shopkeeper.recommend.acting.visits import GAP
from shopkeeper.recommend.explore.earned import Earnings
from shopkeeper.recommend.qlearning.book import AgentBook
from shopkeeper.recommend.qlearning.steps import Transition
from shopkeeper.stores import exploring
from shopkeeper.stores import visits as table
from shopkeeper.stores.sql import Database
from shopkeeper.stores.visits import VisitRow
from shopkeeper.telemetry import metrics

_LOGGER = logging.getLogger(__name__)
LEASE = "agents"
AT_ONCE = 200
"""So many visits are learned in one write at most."""
_AHEAD = 5 * MINUTE
_DROPPED = 2_000


class VisitLearning:
    """`turn` is called from time to time, on one thread at a time and never on the loop. `worker` names the process;
    `window_s` is how long clicks count, `keep_days` how long visits are kept."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        agents: AgentBook,
        earnings: Earnings,
        *,
        worker: str,
        window_s: float = 1800.0,
        keep_days: float = 30.0,
    ) -> None:
        self._db, self._clock = db, clock
        self._agents, self._earnings = agents, earnings
        self._worker = worker
        self._over = max(round(window_s * SECOND), GAP)
        self._keep = round(keep_days * DAY)

    def turn(self) -> int:
        """How many visits were learned here. Raises Unavailable, Overloaded when SQL does not answer."""
        now = self._clock.wall()
        if not self._db.writer.run(lambda one: exploring.lease(one, LEASE, self._worker, now=now)):
            return 0
        self.step("leased")
        learned = sum(self._learn_all(agent_id) for agent_id in self._agents.ids())
        self._db.writer.run(lambda one: table.drop_before(one, (now - self._keep) // 1000, _DROPPED))
        return learned

    def release(self) -> None:
        """Whoever comes next need not wait for the end of the lease."""
        self._db.writer.run(lambda one: exploring.release(one, LEASE, self._worker))

    def step(self, name: str) -> None:
        """Called after each step, by its name: leased, read, written (not yet durable), learned."""

    def _learn_all(self, agent_id: str) -> int:
        learned = 0
        try:
            while count := self._learn(agent_id):
                learned += count
        except Busy:
            pass  # it is being trained: its visits wait
        except (Conflict, NotFound) as error:  # others have learned, or somebody was erased meanwhile; or it is gone
            _LOGGER.info("agent %s learns at the next turn: %s", agent_id, error.message)
        except ShopkeeperError as error:  # its file is damaged, say: the others learn
            _LOGGER.warning("agent %s does not learn: %s", agent_id, error.message)
        except Exception:  # an edge: what one agent meets keeps no other from learning
            _LOGGER.exception("agent %s does not learn", agent_id)
        return learned

    def _learn(self, agent_id: str) -> int:
        """Up to AT_ONCE visits more; how many that were."""
        now = self._clock.wall()
        with self._db.read() as connection:
            visits = table.due(connection, agent_id, before=now - self._over, ahead=now + _AHEAD, limit=AT_ONCE)
            if not visits:
                return 0
            outcomes = self._earnings.outcomes(connection, [row for visit in visits for row in visit])
        self.step("read")
        clicks = {seq: float(one.taken.sum()) for seq, one in outcomes.items()}
        refused = [row.seq for visit in visits for row in visit if row.seq not in clicks]
        steps = [step for visit in visits for step in steps_of(visit, clicks)]

        def write(connection: Connection) -> None:
            if not exploring.holds(connection, LEASE, self._worker):
                raise Conflict("another process learns from visits now", code="lease_lost")
            table.remove(connection, refused)
            if table.reward(connection, clicks) != len(clicks):
                raise Conflict("some of these visits are learned already, or gone", code="visits_changed")
            self.step("written")

        self._agents.learn(agent_id, steps, write)
        self.step("learned")
        for scenario, count in Counter(visit[0].scenario for visit in visits).items():
            metrics.visits_learned_total.labels(scenario).inc(count)
        return len(visits)


def steps_of(visit: Sequence[VisitRow], clicks: dict[int, float]) -> list[Transition]:
    """What an agent is told of a visit. Its last slate ends it; where a slate was lost, what followed the one before is
    not known."""
    steps = [
        Transition(np.array(one.state), one.action, clicks[one.seq], np.array(after.state), done=False)
        for one, after in pairwise(visit)
        if after.number == one.number + 1 and one.seq in clicks
    ]
    last = visit[-1]
    if last.seq in clicks:
        steps.append(Transition(np.array(last.state), last.action, clicks[last.seq], np.array(last.state), done=True))
    return steps
