"""Experiments: what is tried on whom, what came of it, and how many people that needs."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

import msgspec
from fastapi import Query, Request, Response
from msgspec import Meta

from shopkeeper.api.body import read
from shopkeeper.api.door import CallerDep, Cursor, Doors, Id, Limit, Page, ShopDep, reply
from shopkeeper.api.users import IfMatch
from shopkeeper.core.experiments import Assignment, Experiment, Plan, Results
from shopkeeper.core.records import Record
from shopkeeper.lifecycle.experiments.rolling import STEPS
from shopkeeper.quality.power import size_for_means, size_for_shares
from shopkeeper.stores.event_check import AMOUNT_LIMIT
from shopkeeper.stores.experiments import Kept, told

doors = Doors("Experiments")
_PATH = "/api/v1/experiments"
_User = Annotated[str, Query(min_length=1, max_length=128)]
_Share = Annotated[float, Meta(gt=0, le=1)]


class StopForm(Record, kw_only=True):
    """`winner`: a variant that you choose, null: the one that the results name. `roll_out`: everybody gets it."""

    winner: str | None = None
    roll_out: bool = False
    reason: Annotated[str, Meta(max_length=1000)] = ""


class RollOutForm(Record, kw_only=True):
    """`variant` gets each share for `step_hours`; after the last it is what everybody gets."""

    variant: str
    steps: Annotated[list[_Share], Meta(min_length=1, max_length=20)] = msgspec.field(
        default_factory=lambda: list(STEPS)
    )
    step_hours: Annotated[float, Meta(ge=0, le=8760)] = 24.0


class SharesForm(Record, kw_only=True):
    """`share` of the layer's users who take part, `weights` of the variants; one of them or both."""

    share: _Share | None = None
    weights: dict[str, Annotated[float, Meta(ge=0, le=1e6)]] | None = None


class EventForm(Record, kw_only=True):
    user_id: Annotated[str, Meta(min_length=1, max_length=128)]
    metric: Annotated[str, Meta(min_length=1, max_length=64)]
    value: Annotated[float, Meta(ge=-AMOUNT_LIMIT, le=AMOUNT_LIMIT)] = 1.0


class Noted(Record, kw_only=True):
    """False: the user is not known here, or does not agree to be personalised."""

    accepted: bool


class SizeForm(Record, kw_only=True):
    """`effect` is relative: 0.1 is a tenth more. `baseline`: a share of people, or with `deviation` (of one person's
    number) a mean."""

    baseline: float
    effect: float
    alpha: Annotated[float, Meta(gt=0, lt=1)] = 0.05
    power: Annotated[float, Meta(gt=0, lt=1)] = 0.8
    deviation: Annotated[float, Meta(gt=0)] | None = None
    variants: Annotated[int, Meta(ge=2, le=10)] = 2


class SampleSize(Record, kw_only=True):
    """People in each variant, and in all of them."""

    per_variant: int
    total: int


@doors.add("GET", _PATH, scope="r", answer=Page[Experiment])
async def list_experiments(
    shop: ShopDep,
    limit: Limit = 50,
    cursor: Cursor = None,
    status: Annotated[Literal["draft", "running", "paused", "done"] | None, Query()] = None,
) -> Response:
    """All experiments, the newest first"""
    return reply(Page(*await asyncio.to_thread(shop.experiments.page, limit=limit, cursor=cursor, status=status)))


@doors.add("POST", _PATH, scope="o", status=201, body=Plan, answer=Experiment, errors=(404, 429))
async def create_experiment(request: Request, shop: ShopDep, caller: CallerDep) -> Response:
    """Makes a draft: nobody takes part before it is started"""
    form = await read(request, Plan)
    made = await asyncio.to_thread(shop.experiments.create, form, by=caller.name)
    return _told(made, 201, {"location": f"{_PATH}/{made.experiment_id}"})


@doors.add("POST", f"{_PATH}/sample-size", scope="r", body=SizeForm, answer=SampleSize)
async def sample_size(request: Request) -> Response:
    """How many people a variant needs"""
    form = await read(request, SizeForm)
    # Every comparison with the control needs its part of alpha, as the results are adjusted.
    alpha = form.alpha / (form.variants - 1)
    if form.deviation is None:
        n = size_for_shares(form.baseline, form.baseline * (1 + form.effect), alpha, form.power)
    else:
        n = size_for_means(form.baseline * form.effect, form.deviation, alpha, form.power)
    return reply(SampleSize(per_variant=n, total=n * form.variants))


@doors.add("GET", f"{_PATH}/{{experiment_id}}", scope="r", answer=Experiment, errors=(404,))
async def get_experiment(shop: ShopDep, experiment_id: Id) -> Response:
    """One experiment as it stands"""
    return _told(await asyncio.to_thread(shop.experiments.get, experiment_id))


@doors.add("PUT", f"{_PATH}/{{experiment_id}}", scope="o", body=Plan, answer=Experiment, errors=(404, 409, 412, 429))
async def change_experiment(
    request: Request, shop: ShopDep, caller: CallerDep, experiment_id: Id, if_match: IfMatch = None
) -> Response:
    """Says a draft anew"""
    form = await read(request, Plan)
    return _told(
        await asyncio.to_thread(shop.experiments.change, experiment_id, form, if_match=if_match, by=caller.name)
    )


@doors.add("DELETE", f"{_PATH}/{{experiment_id}}", scope="o", status=204, errors=(404, 409, 412, 429))
async def delete_experiment(shop: ShopDep, experiment_id: Id, if_match: IfMatch = None) -> Response:
    """Takes a draft away"""
    await asyncio.to_thread(shop.experiments.delete, experiment_id, if_match=if_match)
    return Response(status_code=204)


@doors.add("POST", f"{_PATH}/{{experiment_id}}/start", scope="o", answer=Experiment, errors=(404, 409, 412, 429))
async def start_experiment(shop: ShopDep, caller: CallerDep, experiment_id: Id, if_match: IfMatch = None) -> Response:
    """Users take part from the next request on"""
    return _told(await asyncio.to_thread(shop.experiments.start, experiment_id, if_match=if_match, by=caller.name))


@doors.add("POST", f"{_PATH}/{{experiment_id}}/pause", scope="o", answer=Experiment, errors=(404, 409, 412, 429))
async def pause_experiment(shop: ShopDep, caller: CallerDep, experiment_id: Id, if_match: IfMatch = None) -> Response:
    """Everybody is answered as ever until it goes on"""
    return _told(await asyncio.to_thread(shop.experiments.pause, experiment_id, if_match=if_match, by=caller.name))


@doors.add("POST", f"{_PATH}/{{experiment_id}}/resume", scope="o", answer=Experiment, errors=(404, 409, 412, 429))
async def resume_experiment(shop: ShopDep, caller: CallerDep, experiment_id: Id, if_match: IfMatch = None) -> Response:
    """Goes on: the same users, the same variants"""
    return _told(await asyncio.to_thread(shop.experiments.resume, experiment_id, if_match=if_match, by=caller.name))


@doors.add(
    "POST", f"{_PATH}/{{experiment_id}}/stop",
    scope="o", body=StopForm, answer=Experiment, errors=(404, 409, 412, 429),
)  # fmt: skip
async def stop_experiment(
    request: Request, shop: ShopDep, caller: CallerDep, experiment_id: Id, if_match: IfMatch = None
) -> Response:
    """Ends it, and lets everybody have the winner if you say so"""
    form = await read(request, StopForm) if await request.body() else StopForm()
    done = await asyncio.to_thread(
        shop.experiments.stop,
        experiment_id,
        winner=form.winner,
        roll_out=form.roll_out,
        if_match=if_match,
        by=caller.name,
        reason=form.reason,
    )
    return _told(done)


@doors.add(
    "POST", f"{_PATH}/{{experiment_id}}/shares",
    scope="o", body=SharesForm, answer=Experiment, errors=(404, 409, 412, 429),
)  # fmt: skip
async def share_experiment(
    request: Request, shop: ShopDep, caller: CallerDep, experiment_id: Id, if_match: IfMatch = None
) -> Response:
    """Another part of the users, or other weights, from now on; only whom it must is moved"""
    form = await read(request, SharesForm)
    if form.share is None and form.weights is None:
        return _told(await asyncio.to_thread(shop.experiments.get, experiment_id))
    kept = await asyncio.to_thread(
        shop.experiments.reshare,
        experiment_id,
        share=form.share,
        weights=form.weights,
        if_match=if_match,
        by=caller.name,
    )
    return _told(kept)


@doors.add(
    "POST", f"{_PATH}/{{experiment_id}}/roll-out",
    scope="o", body=RollOutForm, answer=Experiment, errors=(404, 409, 412, 429),
)  # fmt: skip
async def roll_out_experiment(
    request: Request, shop: ShopDep, caller: CallerDep, experiment_id: Id, if_match: IfMatch = None
) -> Response:
    """Gives a variant more and more of the users, step by step; a guard or a stop takes it back"""
    form = await read(request, RollOutForm)
    kept = await asyncio.to_thread(
        shop.experiments.roll,
        experiment_id,
        form.variant,
        steps=form.steps,
        step_hours=form.step_hours,
        if_match=if_match,
        by=caller.name,
    )
    return _told(kept)


@doors.add("POST", f"{_PATH}/{{experiment_id}}/step", scope="o", answer=Experiment, errors=(404, 409, 412, 429))
async def step_experiment(shop: ShopDep, caller: CallerDep, experiment_id: Id) -> Response:
    """The next step of a roll-out now, whatever the time"""
    return _told(await asyncio.to_thread(shop.experiments.step, experiment_id, by=caller.name))


@doors.add("POST", f"{_PATH}/{{experiment_id}}/roll-back", scope="o", answer=Experiment, errors=(404, 409, 412, 429))
async def roll_back_experiment(
    shop: ShopDep, caller: CallerDep, experiment_id: Id, if_match: IfMatch = None
) -> Response:
    """What was there before the winner is there again"""
    return _told(await asyncio.to_thread(shop.experiments.roll_back, experiment_id, if_match=if_match, by=caller.name))


@doors.add("GET", f"{_PATH}/{{experiment_id}}/results", scope="r", answer=Results, errors=(404,))
async def experiment_results(shop: ShopDep, experiment_id: Id) -> Response:
    """What it says now"""
    return reply(await asyncio.to_thread(shop.experiments.results, experiment_id))


@doors.add("GET", f"{_PATH}/{{experiment_id}}/assignment", scope="p", answer=Assignment, errors=(404,))
async def experiment_assignment(shop: ShopDep, experiment_id: Id, user_id: _User) -> Response:
    """Which variant a user gets; asking counts nobody"""
    return reply(await asyncio.to_thread(shop.experiments.assignment, experiment_id, user_id))


@doors.add(
    "POST", f"{_PATH}/{{experiment_id}}/events",
    scope="p", status=202, body=EventForm, answer=Noted, errors=(404, 409, 429),
)  # fmt: skip
async def experiment_event(request: Request, shop: ShopDep, experiment_id: Id) -> Response:
    """What a user did, by a name of your own; durable before the answer"""
    form = await read(request, EventForm)
    accepted = await asyncio.to_thread(shop.experiments.tell, experiment_id, form.user_id, form.metric, form.value)
    return reply(Noted(accepted=accepted), 202)


def _told(kept: Kept, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return reply(told(kept), status, {"etag": kept.tag, **(headers or {})})
