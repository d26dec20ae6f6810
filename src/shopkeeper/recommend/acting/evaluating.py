"""May an agent steer a scenario? Told from visits in which it was asked: what its choices would have brought.

Judged are the choices that it noted as it went, each made before it had learned of that visit (Dawid, "Prequential
analysis", 1984): an agent that remembers what happened to pay in a visit gains nothing by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

import msgspec
import numpy as np
from sqlalchemy import Connection

from shopkeeper.core.clock import Clock, moment
from shopkeeper.core.errors import Conflict
from shopkeeper.core.records import Record
from shopkeeper.quality.gate import judge_policy
from shopkeeper.quality.perdecision import Episodes, EpisodeValue, per_decision
from shopkeeper.recommend.qlearning.book import AgentBook, trained_at
from shopkeeper.stores import visits as table
from shopkeeper.stores.sql import Database
from shopkeeper.stores.visits import Verdict

MOST_SLATES = 100_000
"""The newest learned slates that are looked at."""

COVER = 0.9
"""Of all clicks, that are looked at: those of a visit's first slates."""


class VisitsJudged(Record, kw_only=True):
    """`verdict` PROMOTE, HOLD or REJECT, with the `reasons`. Of the first `horizon` slates of visits: `value`, clicks a
    visit if the agent had steered, with its interval; `logged`, clicks a visit as it was; `gain`, the difference.
    `effective`: as many visits steered by the agent would say as much."""

    scenario: str
    verdict: str
    reasons: list[str]
    value: float
    low: float
    high: float
    error: float
    logged: float
    gain: float
    gain_low: float
    gain_high: float
    horizon: int
    visits: int
    slates: int
    effective: float
    rewarded: float
    most_weight: float
    judged_at: datetime


class VisitJudging:
    """Never on the loop."""

    def __init__(self, db: Database, clock: Clock, agents: AgentBook) -> None:
        self._db, self._clock, self._agents = db, clock, agents

    def judge(self, agent_id: str, scenario: str) -> VisitsJudged:
        """Of the agent's newest actions in the scenario; the verdict is kept with the agent. Raises NotFound, Conflict
        (`no_visits`: none is learned yet; `agent_changed`: it was trained meanwhile), Invalid (`no_overlap`)."""
        since = self._agents.changed_at(agent_id)
        with self._db.read() as connection:
            key = table.newest_key(connection, scenario, agent_id)
            rows = (
                [] if key is None else table.learned(connection, scenario, agent_id, key, since=since, most=MOST_SLATES)
            )
        episodes = whole(rows)
        if key is None or not len(episodes.reward):
            raise Conflict(
                f"the agent has not learned a whole visit of {scenario[:64]!r} yet: name it there in the field agent, "
                "in the mode shadow; a visit is learned when it and the time of its clicks are over",
                code="no_visits",
            )
        judged = self._judged(scenario, per_decision(episodes, cover=COVER))
        told: dict[str, Any] = msgspec.to_builtins(judged)
        verdict = Verdict(
            agent_id=agent_id,
            scenario=scenario,
            key=key,
            verdict=judged.verdict,
            judged=told,
            judged_at=self._clock.wall(),
        )

        def keep(connection: Connection) -> None:
            if trained_at(connection, agent_id) != since:
                raise Conflict(
                    "a training has put another agent in the place of the one that was judged; judge it again when it "
                    "has learned from visits",
                    code="agent_changed",
                )
            table.keep(connection, verdict)

        self._db.writer.run(keep)
        return judged

    def _judged(self, scenario: str, value: EpisodeValue) -> VisitsJudged:
        metrics = {name: float(getattr(value, name)) for name in _JUDGED_BY}
        # The gain over what was logged, which has none over itself.
        gate = judge_policy({**metrics, "logged": 0.0}, None, value="gain", tolerance=0.0)
        told = {name: one for name, one in msgspec.to_builtins(value).items() if name not in ("episodes", "steps")}
        return VisitsJudged(
            scenario=scenario,
            verdict=gate.verdict,
            reasons=list(gate.reasons),
            visits=value.episodes,
            slates=value.steps,
            judged_at=moment(self._clock.wall()),
            **told,
        )


_JUDGED_BY = ("gain", "gain_low", "gain_high", "effective", "rewarded")


def whole(rows: Sequence[tuple[str, int, int, int, float, float]]) -> Episodes:
    """Of visits all of whose slates are there. `rows`: (visit, number in it, action, choice, propensity, reward)."""
    kept = []
    for at, (_, group) in enumerate(groupby(sorted(rows), key=lambda row: row[0])):
        visit = list(group)
        if [row[1] for row in visit] == list(range(len(visit))):
            kept += [(at, row[5], row[4], float(row[2] == row[3])) for row in visit]
    columns = np.array(kept, dtype=np.float64).reshape(-1, 4).T
    return Episodes(columns[0].astype(np.int64), columns[1], columns[2], columns[3])
