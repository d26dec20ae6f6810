"""Experiments among policies, by the names of an earlier system: a view on the experiments of the scenario `bandit`."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from math import isclose
from typing import Annotated, Any

from fastapi import Request, Response
from msgspec import Meta, Struct

from shopkeeper.api.bandit import PATH, asked_now
from shopkeeper.api.body import read
from shopkeeper.api.door import CallerDep, Doors, Id, ShopDep, reply
from shopkeeper.core.errors import Conflict, Invalid
from shopkeeper.core.experiments import Experiment, Plan, Results, Target, VariantPlan
from shopkeeper.recommend.explore.asked import Exploring
from shopkeeper.recommend.explore.bandit import NAME, explored_by
from shopkeeper.stores.experiments import told

doors = Doors("Learning")
_NOT_YET = (429, 503)


class BanditExperimentForm(Struct):
    """`algorithms`: a name of your own to `{"algorithm": NAME, PARAMETER: VALUE}`; without `algorithm` the name is that
    of the policy. The first is the control. `traffic_split` by the same names, adding up to 1; none: even."""

    experiment_name: Annotated[str, Meta(min_length=1, max_length=128)]
    algorithms: Annotated[dict[str, dict[str, Any]], Meta(min_length=2, max_length=10)]
    traffic_split: dict[str, Annotated[float, Meta(ge=0, le=1)]] = {}
    duration_hours: Annotated[float, Meta(ge=1, le=168)] = 24.0
    min_sample_size: Annotated[int, Meta(ge=10)] = 100


class BanditExperiment(Struct):
    status: str
    experiment_id: str
    experiment_name: str
    start_time: datetime | None
    end_time: datetime | None
    variants: list[str]
    message: str


class BanditExperiments(Struct):
    experiments: list[BanditExperiment]
    count: int


class BanditResults(Struct):
    status: str
    results: Results


class Ended(Struct):
    status: str
    message: str


@doors.add(
    "POST",
    f"{PATH}/experiments",
    scope="o",
    body=BanditExperimentForm,
    answer=BanditExperiment,
    errors=(409, *_NOT_YET),
)
async def begin_bandit_experiment(request: Request, shop: ShopDep, caller: CallerDep) -> Response:
    """Tries policies against each other on the users of the bandit, at once"""
    form = await read(request, BanditExperimentForm)
    plan, book = plan_of(form, asked_now(shop)), shop.experiments
    draft = await asyncio.to_thread(book.create, plan, by=caller.name)
    try:
        begun = await asyncio.to_thread(book.start, draft.experiment_id, by=caller.name)
    except Conflict:
        await asyncio.to_thread(book.delete, draft.experiment_id)
        raise
    return reply(view_of(told(begun), "the experiment runs"))


@doors.add("GET", f"{PATH}/experiments", scope="r", answer=BanditExperiments)
async def list_bandit_experiments(shop: ShopDep) -> Response:
    """The newest 1,000, whatever became of them"""
    found, _, _ = await asyncio.to_thread(shop.experiments.page, limit=1000)
    mine = [view_of(one, one.reason) for one in found if one.target.scenario == NAME]
    return reply(BanditExperiments(mine, len(mine)))


@doors.add("GET", f"{PATH}/experiments/{{experiment_id}}/results", scope="r", answer=BanditResults, errors=(404,))
async def bandit_experiment_results(shop: ShopDep, experiment_id: Id) -> Response:
    """What an experiment says now: the reward of a user, policy by policy"""
    return reply(BanditResults("success", await asyncio.to_thread(shop.experiments.results, experiment_id)))


@doors.add("POST", f"{PATH}/experiments/{{experiment_id}}/end", scope="o", answer=Ended, errors=(404, 409, 429))
async def end_bandit_experiment(shop: ShopDep, caller: CallerDep, experiment_id: Id) -> Response:
    """Everybody is drawn for as before"""
    done = await asyncio.to_thread(shop.experiments.stop, experiment_id, by=caller.name)
    verdict = f"winner: {done.course.winner}" if done.course.winner is not None else done.course.verdict
    return reply(Ended("success", f"experiment {done.plan.name} has ended, {verdict}"))


def plan_of(form: BanditExperimentForm, asked: Exploring) -> Plan:
    """Each policy draws as `asked` does, of which it takes the pool, what is spread evenly and what is held out. Raises
    Invalid."""
    split = form.traffic_split or dict.fromkeys(form.algorithms, 1 / len(form.algorithms))
    if set(split) != set(form.algorithms) or not isclose(sum(split.values()), 1.0, abs_tol=1e-6):
        raise Invalid(
            "traffic_split must give each of the algorithms a share, 1 in all", code="bad_split", field="traffic_split"
        )
    variants = []
    for name, config in form.algorithms.items():
        rest = {key: value for key, value in config.items() if key != "algorithm"}
        explore = explored_by(
            str(config.get("algorithm", name)), rest, pool=asked.pool, floor=asked.floor, held_out=asked.held_out
        )
        variants.append(VariantPlan(name=name, config={"explore": explore}, weight=split[name]))
    return Plan(
        name=form.experiment_name,
        target=Target(scenario=NAME),
        variants=variants,
        metric="reward",
        layer="bandit",
        min_sample=form.min_sample_size,
        max_days=form.duration_hours / 24,
    )


def view_of(one: Experiment, message: str) -> BanditExperiment:
    end = one.ended_at
    if end is None and one.started_at is not None:
        end = one.started_at + timedelta(days=one.max_days)
    return BanditExperiment(
        status="success",
        experiment_id=one.experiment_id,
        experiment_name=one.name,
        start_time=one.started_at,
        end_time=end,
        variants=[variant.name for variant in one.variants],
        message=message or one.status,
    )
