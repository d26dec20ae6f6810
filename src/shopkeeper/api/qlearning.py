"""Agents that learn what pays in the long run: make, ask, tell, train and measure them."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from fastapi import Query, Request, Response
from msgspec import Meta, Struct

from shopkeeper.api.body import decode, read
from shopkeeper.api.door import CallerDep, Cursor, Doors, Id, Limit, Page, Queued, ShopDep, queued, reply
from shopkeeper.api.waiting import Timeout, Wait, answered
from shopkeeper.core.records import Job
from shopkeeper.recommend.acting.evaluating import VisitsJudged
from shopkeeper.recommend.qlearning.book import AgentFacts
from shopkeeper.recommend.qlearning.config import AgentConfig
from shopkeeper.recommend.qlearning.policy import MOST_TOLD, PolicyTable, policy_of
from shopkeeper.recommend.qlearning.worlds import SESSION

doors = Doors("Learning")
_AGENTS = "/api/v1/qlearning/agents"
_ONE = f"{_AGENTS}/{{agent_id}}"
_State = Annotated[list[float], Meta(max_length=4096)]
_Name = Annotated[str, Meta(min_length=1, max_length=64)]


class AskForm(Struct, forbid_unknown_fields=True):
    """`explore`: with the agent's own chance any action, else the best."""

    state: _State
    explore: bool = False


class Action(Struct):
    """`q_values`: what each action is worth, in the order of their numbers."""

    action: int
    q_values: list[float]


class StepForm(Struct, forbid_unknown_fields=True):
    """`done`: the episode ends, and `next_state` is worth nothing."""

    state: _State
    action: int
    reward: float
    next_state: _State
    done: bool = False


class Learned(Struct):
    """Reward + gamma x value of the best action after - value of the action, before the step was learned."""

    td_error: float


class AgentPolicy(Struct):
    """`policy`: the best action in each of `states`; `q_table`: the values of all actions there, null for a net.
    `total` states are known, at most `limit` are told."""

    agent_id: str
    policy: list[int]
    states: list[list[float]]
    q_table: list[list[float]] | None
    total: int


class AgentTrainForm(Struct, forbid_unknown_fields=True):
    """`patience`: ends after so many episodes without a higher mean reward (of 100 episodes)."""

    max_episodes: Annotated[int, Meta(ge=1, le=100_000)] = 1000
    patience: Annotated[int, Meta(ge=1, le=100_000)] = 200
    environment: _Name = SESSION


class EvaluationForm(Struct, forbid_unknown_fields=True):
    """`scenario`: on visits of it in which the agent was asked, instead of episodes in an environment."""

    num_episodes: Annotated[int, Meta(ge=1, le=10_000)] = 10
    environment: _Name = SESSION
    scenario: _Name | None = None


class Evaluated(Struct, omit_defaults=True):
    """Of the rewards of whole episodes, without discount. `visits`: where these were visits of a scenario that others
    than the agent steered; then `std_reward` is the standard error of the mean."""

    mean_reward: float
    std_reward: float
    episodes: int
    visits: VisitsJudged | None = None


@doors.add("POST", _AGENTS, scope="o", status=201, body=AgentConfig, body_required=False, answer=AgentFacts,
           errors=(409, 429))  # fmt: skip
async def create_agent(request: Request, shop: ShopDep, caller: CallerDep) -> Response:
    """Makes an agent that has learned nothing yet"""
    config = await _form(request, AgentConfig)
    made = await asyncio.to_thread(shop.agents.create, config, by=caller.name)
    return reply(made, 201, {"location": f"{_AGENTS}/{made.agent_id}"})


@doors.add("GET", _AGENTS, scope="r", answer=Page[AgentFacts])
async def list_agents(shop: ShopDep, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Agents, newest first"""
    found, after, total = await asyncio.to_thread(shop.agents.list, limit=limit, cursor=cursor)
    return reply(Page(found, after, total))


@doors.add("GET", _ONE, scope="r", answer=AgentFacts, errors=(404,))
async def get_agent(shop: ShopDep, agent_id: Id) -> Response:
    """One agent: how it learns, and how much it has"""
    return reply(await asyncio.to_thread(shop.agents.get, agent_id))


@doors.add("DELETE", _ONE, scope="o", status=204, errors=(404, 409, 429))
async def delete_agent(shop: ShopDep, agent_id: Id) -> Response:
    """Takes an agent away, with all that it has learned"""
    await asyncio.to_thread(shop.agents.delete, agent_id)
    return Response(status_code=204)


@doors.add("POST", f"{_ONE}/action", scope="p", body=AskForm, answer=Action, errors=(404,))
async def act(request: Request, shop: ShopDep, agent_id: Id) -> Response:
    """What the agent does in a state"""
    form = await read(request, AskForm)
    action, values = await asyncio.to_thread(shop.agents.action, agent_id, form.state, explore=form.explore)
    return reply(Action(action, list(values)))


@doors.add("POST", f"{_ONE}/update", scope="p", body=StepForm, answer=Learned, errors=(404, 409, 429))
async def update(request: Request, shop: ShopDep, agent_id: Id) -> Response:
    """Tells the agent a step, which it learns; durable before the answer"""
    form = await read(request, StepForm)
    surprise = await asyncio.to_thread(
        shop.agents.update, agent_id, form.state, form.action, form.reward, form.next_state, form.done
    )
    return reply(Learned(surprise))


@doors.add("GET", f"{_ONE}/policy", scope="r", answer=AgentPolicy, errors=(404,))
async def policy(shop: ShopDep, agent_id: Id, limit: Annotated[int, Query(ge=1, le=MOST_TOLD)] = 1000) -> Response:
    """What the agent does in each state that it knows"""

    def look() -> AgentPolicy:
        found, tabular = shop.agents.read(agent_id, lambda agent: (policy_of(agent, limit), agent.config.tabular))
        return _told(agent_id, found, tabular=tabular)

    return reply(await asyncio.to_thread(look))


@doors.add("POST", f"{_ONE}/training/start", f"{_ONE}/train", scope="o", status=202, body=AgentTrainForm,
           body_required=False, answer=Queued, errors=(404, 409, 429))  # fmt: skip
async def start_training(request: Request, shop: ShopDep, caller: CallerDep, agent_id: Id) -> Response:
    """Trains the agent in an environment; until it is done the agent is as before"""
    form = await _form(request, AgentTrainForm)
    job = await asyncio.to_thread(
        shop.agents.train,
        agent_id,
        max_episodes=form.max_episodes,
        patience=form.patience,
        environment=form.environment,
        by=caller.name,
    )
    return queued(job.job_id)


@doors.add("GET", f"{_ONE}/training/status", f"{_ONE}/progress", scope="r", answer=Job, errors=(404,))
async def training_status(shop: ShopDep, agent_id: Id) -> Response:
    """The agent's newest training: episodes and mean reward so far"""
    return reply(await asyncio.to_thread(shop.agents.training, agent_id))


@doors.add("POST", f"{_ONE}/training/stop", f"{_ONE}/stop", scope="o", status=202, answer=Job, errors=(404, 409, 429))
async def stop_training(shop: ShopDep, agent_id: Id) -> Response:
    """Asks the agent's training to stop; what it had learned is dropped"""
    return reply(await asyncio.to_thread(shop.agents.stop, agent_id), 202)


@doors.add("POST", f"{_ONE}/evaluation", f"{_ONE}/evaluate", scope="o", status=202, body=EvaluationForm,
           body_required=False, waited=Evaluated, errors=(404, 409, 429))  # fmt: skip
async def evaluate(
    request: Request, shop: ShopDep, caller: CallerDep, agent_id: Id, wait: Wait = True, timeout_s: Timeout = 300
) -> Response:
    """What the agent earns in whole episodes when it does its best"""
    form = await _form(request, EvaluationForm)
    if form.scenario is not None:
        judged = await asyncio.to_thread(shop.suggesting.acting.judging.judge, agent_id, form.scenario)
        return reply(Evaluated(judged.value, judged.error, judged.visits, judged))
    job = await asyncio.to_thread(
        shop.agents.evaluate,
        agent_id,
        num_episodes=form.num_episodes,
        environment=form.environment,
        by=caller.name,
    )
    closing = request.app.state.closing
    return await answered(shop, job.job_id, wait=wait, timeout_s=timeout_s, closing=closing, told=_evaluated)


async def _form(request: Request, kind: Any) -> Any:
    """An empty body is a form of defaults."""
    body = await request.body()
    return decode(body, kind) if body else kind()


def _told(agent_id: str, found: PolicyTable, *, tabular: bool) -> AgentPolicy:
    q_table = found.values.tolist() if tabular else None
    return AgentPolicy(agent_id, found.actions.tolist(), found.states.tolist(), q_table, found.total)


def _evaluated(job: Job) -> Evaluated:
    return msgspec.convert(job.result, Evaluated)
