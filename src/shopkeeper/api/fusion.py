"""Training the fusion of rules and learned vectors, in the form that older clients know."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from fastapi import Query, Request, Response

from shopkeeper.api.body import decode
from shopkeeper.api.door import CallerDep, Doors, ShopDep, queued, reply
from shopkeeper.api.waiting import Timeout, Wait, ended
from shopkeeper.core.records import FINISHED
from shopkeeper.operations.trained import fusion_metrics, outcome
from shopkeeper.profiles.fusing import NAME

doors = Doors("Operations")


class FusionForm(msgspec.Struct):
    """In the query, or here; where both say something, this counts. `learning_rate` is another word for `lr`."""

    sample_size: Annotated[int, msgspec.Meta(ge=32, le=10_000)] | None = None
    epochs: Annotated[int, msgspec.Meta(ge=1, le=200)] | None = None
    lr: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    learning_rate: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    batch_size: Annotated[int, msgspec.Meta(ge=8, le=1024)] | None = None


class FusionTrained(msgspec.Struct):
    """`metrics`: {trained, samples, epochs, final_loss} and the measures; not trained: {trained: false, reason}."""

    message: str
    metrics: dict[str, Any]


@doors.add(
    "POST",
    "/api/v1/operations/fusion/train",
    scope="o",
    status=202,
    body=FusionForm,
    body_required=False,
    waited=FusionTrained,
    errors=(409, 429),
)
async def train_fusion(
    request: Request,
    shop: ShopDep,
    caller: CallerDep,
    sample_size: Annotated[int, Query(ge=32, le=10_000)] = 256,
    epochs: Annotated[int, Query(ge=1, le=200)] = 3,
    lr: Annotated[float, Query(gt=0, le=1)] = 1e-3,
    batch_size: Annotated[int, Query(ge=8, le=1024)] = 64,
    wait: Wait = False,
    timeout_s: Timeout = 600,
) -> Response:
    """Trains the fused score of profiles anew"""
    body = await request.body()
    form = decode(body, FusionForm) if body else FusionForm()
    params = {
        "sample_size": _or(form.sample_size, sample_size),
        "epochs": _or(form.epochs, epochs),
        "learning_rate": _or(form.lr, _or(form.learning_rate, lr)),
        "batch_size": _or(form.batch_size, batch_size),
    }
    job = await asyncio.to_thread(shop.releases.train, NAME, NAME, params=params, requested_by=caller.name)
    if wait:
        await ended(shop, job.job_id, timeout_s, request.app.state.closing)
    job = await asyncio.to_thread(shop.jobs.get, job.job_id)
    if not wait or job.status not in FINISHED:
        return queued(job.job_id)
    return reply(FusionTrained(outcome(job), fusion_metrics(job)))


def _or(said: Any, otherwise: Any) -> Any:
    return otherwise if said is None else said
