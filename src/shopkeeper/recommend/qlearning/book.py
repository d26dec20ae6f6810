"""The agents of a shop: made, asked, told, trained and measured.

A training works on a copy in a process of its own: until it is done, and when it is cancelled or killed, the agent is
as before. Meanwhile the agent answers, and takes no steps: they would be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

import msgspec
import numpy as np
from sqlalchemy import Connection

from shopkeeper.core.clock import Clock, moment
from shopkeeper.core.errors import Busy, NotFound
from shopkeeper.core.records import Job, Record
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.recommend.qlearning.agent import Agent
from shopkeeper.recommend.qlearning.config import AgentConfig
from shopkeeper.recommend.qlearning.environment import fits
from shopkeeper.recommend.qlearning.files import new
from shopkeeper.recommend.qlearning.jobs import EVALUATE, MADE, TRAIN, AgentEvaluation, AgentTraining
from shopkeeper.recommend.qlearning.keeper import AgentKeeper, facts_of
from shopkeeper.recommend.qlearning.steps import Transition, action_of, reward_of, state_of
from shopkeeper.recommend.qlearning.worlds import size_of
from shopkeeper.stores import agents as table
from shopkeeper.stores import jobs as job_rows
from shopkeeper.stores import visits
from shopkeeper.stores.agents import AgentRow
from shopkeeper.stores.artifacts import write_durably
from shopkeeper.stores.home import Home
from shopkeeper.stores.paging import cursor_after, key_of
from shopkeeper.stores.sql import Database
from shopkeeper.stores.visits import Verdict

T = TypeVar("T")
_TOLD = ("episodes", "mean_reward", "best_reward", "stopped")


class AgentFacts(Record, kw_only=True):
    """`status`: ready, or training while a job is at it. `epsilon`: the chance of a random action now. `training`: what
    the last training came to, null before the first. `verdicts`: the newest of each scenario on whose visits it was
    judged, where one agent is asked for."""

    agent_id: str
    agent_type: str
    status: str
    created_at: datetime
    created_by: str
    updated_at: datetime
    config: AgentConfig
    episodes: int
    updates: int
    epsilon: float
    training: dict[str, Any] | None = None
    job_id: str | None = None
    verdicts: list[dict[str, Any]] = msgspec.field(default_factory=list)


Facts: TypeAlias = list[AgentFacts]


class AgentBook:
    """From any thread but the writer's."""

    def __init__(self, db: Database, home: Home, clock: Clock, jobs: JobService) -> None:
        self._db, self._clock, self._jobs, self._job_folder = db, clock, jobs, home.jobs
        self._gone: tuple[Callable[[str], None], ...] = ()
        self.keeper = AgentKeeper(db, home.path / "agents", clock)
        self._random = np.random.default_rng()  # of actions that are tried; what is learned hangs on none of it
        for kind in (TRAIN, EVALUATE):
            jobs.on_start(kind, self._begin)
        jobs.on_finish(TRAIN, self._finish)

    # -- which there are

    def create(self, config: AgentConfig, *, by: str = "") -> AgentFacts:
        """Raises Invalid for what does not go together, Conflict when there are too many, Unavailable."""
        return _shown(self.keeper.add(new(config), by=by), None)

    def get(self, agent_id: str) -> AgentFacts:
        """Raises NotFound, Unavailable."""
        with self.keeper.locked(agent_id) as agent, self._db.read() as connection:
            row = table.get(connection, agent_id)
            row.facts = facts_of(agent, row.facts.get("training"))
            shown = _shown(row, job_rows.under_way(connection, _work(agent_id)))
            return msgspec.structs.replace(
                shown, verdicts=[one.judged for one in visits.verdicts(connection, agent_id)]
            )

    def list(self, *, limit: int = 50, cursor: str | None = None) -> tuple[Facts, str | None, int]:
        """Newest first: (agents, next cursor, total). Counters are those of the last file. Raises Invalid (cursor)."""
        with self._db.read() as connection:
            rows, total = table.page(connection, limit=limit + 1, before=key_of(cursor))
            shown = [_shown(row, job_rows.under_way(connection, _work(row.agent_id))) for row in rows[:limit]]
        return shown, cursor_after(rows[limit - 1].agent_id) if len(rows) > limit else None, total

    def delete(self, agent_id: str) -> None:
        """With its file. Raises NotFound, Busy while it is trained."""
        with self.keeper.locked(agent_id):
            self._check_free(agent_id)
            self.keeper.remove(agent_id)
        for listener in self._gone:
            listener(agent_id)

    def on_gone(self, listener: Callable[[str], None]) -> None:
        """`listener(agent_id)` hears of agents that were deleted."""
        self._gone = (*self._gone, listener)

    def ids(self) -> Sequence[str]:
        """Of all agents."""
        with self._db.read() as connection:
            return table.ids(connection)

    def config(self, agent_id: str) -> AgentConfig:
        """Raises NotFound."""
        with self._db.read() as connection:
            return msgspec.convert(table.get(connection, agent_id).config, AgentConfig)

    def verdict(self, agent_id: str, scenario: str) -> Verdict | None:
        """Whether it may steer a scenario, as it was judged last; None: it never was."""
        return next((one for one in self.verdicts(agent_id) if one.scenario == scenario), None)

    def verdicts(self, agent_id: str) -> Sequence[Verdict]:
        """The newest of each scenario on whose visits it was judged since its last training."""
        with self._db.read() as connection:
            return visits.verdicts(connection, agent_id)

    def changed_at(self, agent_id: str) -> int:
        """Since when it is the agent that it is, us of the wall clock: a training makes another. Raises NotFound."""
        with self._db.read() as connection:
            return trained_at(connection, agent_id)

    # -- acting and learning

    def action(self, agent_id: str, state: Sequence[float], *, explore: bool = False) -> tuple[int, Sequence[float]]:
        """(action, values of all actions). Raises NotFound, Invalid."""
        with self.keeper.locked(agent_id) as agent:
            at = state_of(agent.config, state)
            values = agent.values(at[None, :])[0]
            return agent.choose(at, self._random if explore else None), values.tolist()

    def update(
        self, agent_id: str, state: Sequence[float], action: int, reward: float, after: Sequence[float], done: bool
    ) -> float:
        """The temporal difference. Raises NotFound, Invalid, Busy while the agent is trained, Unavailable."""
        with self.keeper.locked(agent_id) as agent:
            config = agent.config
            step = Transition(
                state_of(config, state),
                action_of(config, action),
                reward_of(reward),
                state_of(config, after, "next_state"),
                done,
            )
            self._check_free(agent_id)
            return self.keeper.learn(agent_id, agent, step)

    def learn(self, agent_id: str, steps: Sequence[Transition], also: Callable[[Connection], None]) -> None:
        """Many steps that are in order, and what is to be durable together with them. Raises NotFound, Busy while the
        agent is trained, Unavailable, and what `also` raises; then nothing was learned."""
        with self.keeper.locked(agent_id) as agent:
            self._check_free(agent_id)
            self.keeper.learn_all(agent_id, agent, steps, also)

    def read(self, agent_id: str, look: Callable[[Agent], T]) -> T:
        """What `look` says of the agent, which it must not change. Raises NotFound, Unavailable."""
        with self.keeper.locked(agent_id) as agent:
            return look(agent)

    # -- training and measuring

    def train(self, agent_id: str, *, max_episodes: int, patience: int, environment: str, by: str = "") -> Job:
        """Raises NotFound, Invalid, Busy while it is trained, Conflict for an environment that it does not fit."""
        order = AgentTraining(agent_id=agent_id, max_episodes=max_episodes, patience=patience, environment=environment)
        # A step that comes at the same time is either in the file or refused.
        with self.keeper.locked(agent_id) as agent:
            fits(agent.config, size_of(environment))
            return self._submit(TRAIN, order, by, _work(agent_id))

    def training(self, agent_id: str) -> Job:
        """The newest training. Raises NotFound, also when there was none."""
        with self._db.read() as connection:
            table.get(connection, agent_id)
            going = job_rows.under_way(connection, _work(agent_id))
        if going is not None:
            return self._jobs.get(going)
        for job in self._jobs.list(kind=TRAIN, limit=1000)[0]:
            if job.params.get("agent_id") == agent_id:
                return job
        raise NotFound(f"agent {agent_id} was not trained yet; POST .../training/start begins", code="no_training")

    def stop(self, agent_id: str) -> Job:
        """Raises NotFound, Conflict when nothing runs."""
        return self._jobs.cancel(self.training(agent_id).job_id)

    def evaluate(self, agent_id: str, *, num_episodes: int, environment: str, by: str = "") -> Job:
        """Of the agent as it is when the job starts. Raises NotFound, Invalid, Conflict as `train`."""
        with self.keeper.locked(agent_id) as agent:
            fits(agent.config, size_of(environment))
        order = AgentEvaluation(agent_id=agent_id, num_episodes=num_episodes, environment=environment)
        return self._submit(EVALUATE, order, by, None)

    def _submit(self, kind: str, order: AgentTraining | AgentEvaluation, by: str, work: str | None) -> Job:
        params = {name: one for name, one in msgspec.to_builtins(order).items() if name != "path"}
        return self._jobs.submit(kind, params, requested_by=by, work_key=work)

    def _begin(self, job: Job) -> Mapping[str, Any]:
        """The job gets a copy of its own: the agent's file goes when the next one is there."""
        copy = self._job_folder / job.job_id / "given.npz"
        write_durably(copy, self.keeper.packed(job.params["agent_id"]))
        return {"path": str(copy)}

    def _finish(self, job: Job, result: Mapping[str, Any]) -> None:
        made = self._job_folder / job.job_id / "work" / MADE
        agent_id = job.params["agent_id"]
        told = {name: result[name] for name in _TOLD} | {"job_id": job.job_id, "ended_at": self._clock.wall()}
        self.keeper.replace(
            agent_id,
            made.read_bytes(),
            told,
            name=job.job_id,
            also=lambda connection: visits.forget(connection, agent_id),
        )

    def _check_free(self, agent_id: str) -> None:
        """Raises Busy while a training is queued or runs."""
        with self._db.read() as connection:
            job_id = job_rows.under_way(connection, _work(agent_id))
        if job_id is not None:
            raise Busy(f"agent {agent_id} is being trained by job {job_id}; wait for it or stop it", job_id=job_id)


def trained_at(connection: Connection, agent_id: str) -> int:
    """The same, inside a transaction."""
    training = table.get(connection, agent_id).facts.get("training")
    return int((training or {}).get("ended_at", 0))


def _shown(row: AgentRow, job_id: str | None) -> AgentFacts:
    config = msgspec.convert(row.config, AgentConfig)
    return AgentFacts(
        agent_id=row.agent_id,
        agent_type=config.agent_type,
        status="ready" if job_id is None else "training",
        created_at=moment(row.created_at),
        created_by=row.created_by,
        updated_at=moment(row.updated_at),
        config=msgspec.structs.replace(config, learning_rate=config.rate),
        job_id=job_id,
        **row.facts,
    )


def _work(agent_id: str) -> str:
    return f"agent:{agent_id}"
