"""Experiments on the scenario `bandit`: which policy brings more. A view on the experiments of the shop."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from fastapi import Request, Response
from msgspec import Meta, Struct

from shopkeeper.api.bandit import PATH, asked_now
from shopkeeper.api.body import read
from shopkeeper.api.door import CallerDep, Doors, Id, ShopDep, reply
from shopkeeper.core.clock import moment
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.experiments import Plan, Results, Target, Variant
from shopkeeper.recommend.explore.bandit import NAME, explored_by
from shopkeeper.stores.experiments import Kept as Experiment

doors = Doors("Learning")
_EXPERIMENTS = f"{PATH}/experiments"
_CLOSE = 1e-6
_MOST = 1000


class TryForm(Struct):
    """`algorithms`: for each variant its policy, as `{"algorithm": "ucb1", ...its parameters}`; a variant that has a
    policy's name needs to say none. The first is the control. `traffic_split`: the share of each, 1 together; none:
    even."""

    experiment_name: Annotated[str, Meta(min_length=1, max_length=128)]
    algorithms: Annotated[dict[str, dict[str, Any]], Meta(min_length=2, max_length=10)]
    traffic_split: dict[str, Annotated[float, Meta(ge=0, le=1)]] = msgspec.field(default_factory=dict)
    duration_hours: Annotated[float, Meta(ge=1, le=168)] = 24.0
    min_sample_size: Annotated[int, Meta(ge=10)] = 100


class Begun(Struct):
    status: str
    experiment_id: str
    start_time: datetime
    end_time: datetime
    variants: list[str]
    message: str


class Tried(Struct):
    """`end_time`: when it ends at the latest."""

    experiment_id: str
    experiment_name: str
    status: str
    variants: list[str]
    start_time: datetime | None
    end_time: datetime | None


class AllTried(Struct):
    experiments: list[Tried]
    count: int


class Found(Struct):
    status: str
    results: Results


class Ended(Struct):
    status: str
    message: str


@doors.add("POST", _EXPERIMENTS, scope="o", body=TryForm, answer=Begun, errors=(409, 429, 503))
async def begin(request: Request, shop: ShopDep, caller: CallerDep) -> Response:
    """Lets several policies draw, each for its part of the users, from now on"""
    form = await read(request, TryForm)
    asked = asked_now(shop)
    shares = _shares(form)
    variants = []
    for name, config in form.algorithms.items():
        policy = config.get("algorithm", name)
        if not isinstance(policy, str):
            raise Invalid(f"algorithms.{name}.algorithm must be the name of a policy", field="algorithms")
        params = {key: value for key, value in config.items() if key != "algorithm"}
        explore = explored_by(policy, params, pool=asked.pool, floor=asked.floor)
        variants.append(Variant(name=name, config={"explore": explore}, weight=shares[name]))
    plan = Plan(
        name=form.experiment_name,
        target=Target(scenario=NAME),
        variants=variants,
        metric="reward",
        min_sample=form.min_sample_size,
        max_days=form.duration_hours / 24,
    )
    made = await asyncio.to_thread(shop.experiments.create, plan, by=caller.name)
    begun = await asyncio.to_thread(shop.experiments.start, made.experiment_id, by=caller.name)
    start = moment(shop.clock.wall())
    end = start + timedelta(hours=form.duration_hours)
    names = [one.name for one in variants]
    return reply(Begun("success", begun.experiment_id, start, end, names, "the experiment is running"))


@doors.add("GET", _EXPERIMENTS, scope="r", answer=AllTried)
async def list_all(shop: ShopDep) -> Response:
    """Experiments on the policies of the bandit, the newest first"""
    found: list[Tried] = []
    cursor: str | None = None
    while True:
        page, cursor, _ = await asyncio.to_thread(shop.experiments.page, limit=_MOST, cursor=cursor)
        found += [
            Tried(
                one.experiment_id,
                one.name,
                one.status,
                [variant.name for variant in one.variants],
                one.started_at,
                None if one.started_at is None else one.started_at + timedelta(days=one.max_days),
            )
            for one in page
            if one.target.scenario == NAME
        ]
        if cursor is None:
            return reply(AllTried(found, len(found)))


@doors.add("GET", f"{_EXPERIMENTS}/{{experiment_id}}/results", scope="r", answer=Found, errors=(404,))
async def results(shop: ShopDep, experiment_id: Id) -> Response:
    """What an experiment says now"""
    await _mine(shop, experiment_id)
    return reply(Found("success", await asyncio.to_thread(shop.experiments.results, experiment_id)))


@doors.add("POST", f"{_EXPERIMENTS}/{{experiment_id}}/end", scope="o", answer=Ended, errors=(404, 409, 429))
async def end(shop: ShopDep, caller: CallerDep, experiment_id: Id) -> Response:
    """Ends it: everybody is drawn for by the bandit's own policy again"""
    await _mine(shop, experiment_id)
    await asyncio.to_thread(shop.experiments.stop, experiment_id, by=caller.name)
    return reply(Ended("success", "the experiment has ended"))


async def _mine(shop: ShopDep, experiment_id: str) -> Experiment:
    """Raises NotFound for one that is about something else."""
    kept = await asyncio.to_thread(shop.experiments.get, experiment_id)
    if kept.plan.target.scenario != NAME:
        raise NotFound(f"experiment {experiment_id[:80]!r} is not about the bandit", code="unknown_experiment")
    return kept


def _shares(form: TryForm) -> dict[str, float]:
    """Raises Invalid."""
    if not form.traffic_split:
        return dict.fromkeys(form.algorithms, 1.0)
    if form.traffic_split.keys() != form.algorithms.keys():
        raise Invalid("traffic_split names other variants than algorithms; give each its share", field="traffic_split")
    if abs(sum(form.traffic_split.values()) - 1) > _CLOSE:
        told = f"traffic_split sums to {sum(form.traffic_split.values()):g}, expected 1"
        raise Invalid(told, code="out_of_bounds", field="traffic_split")
    return form.traffic_split
