"""Refreshing what is learned from the graph, and training its model; in the form that older clients know."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from fastapi import Request, Response
from msgspec import Meta

from shopkeeper.api.body import decode
from shopkeeper.api.door import CallerDep, Doors, ShopDep
from shopkeeper.api.errors import FieldProblem, Malformed
from shopkeeper.api.waiting import Timeout, Wait, answered
from shopkeeper.core.records import Job
from shopkeeper.operations.refreshing import RefreshOrder
from shopkeeper.operations.trained import outcome, summary

T = TypeVar("T")
doors = Doors("Operations")


class Refreshed(RefreshOrder, kw_only=True, forbid_unknown_fields=False):
    """What a refresh has come to, and the parameters it used. `retrain_loss` is the last epoch's; null without a
    retraining. `seconds` by stage."""

    message: str
    duration_seconds: float
    node_counts: dict[str, int]
    retrain_loss: float | None
    fusion_training: dict[str, Any]
    seconds: dict[str, float | None]


class HgtForm(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`train_ratio` and `val_ratio` are shares of the edges, the rest is for the test. `metis_*` are read in the mode
    metis_sampling: the graph is cut into parts, and each step trains on one of them, or all on `metis_partition_id`."""

    epochs: Annotated[int, Meta(ge=1, le=200)] = 5
    train_ratio: Annotated[float, Meta(gt=0, le=1)] = 0.8
    val_ratio: Annotated[float, Meta(ge=0, lt=1)] = 0.1
    negative_ratio: Annotated[float, Meta(ge=0, le=5)] = 1.0
    temperature: Annotated[float, Meta(gt=0, le=5)] = 0.2
    learning_rate: Annotated[float, Meta(gt=0, le=1)] | None = None
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    training_mode: Literal["full_graph", "metis_sampling"] = "full_graph"
    metis_num_parts: Annotated[int, Meta(ge=2, le=100)] = 4
    metis_imbalance_factor: Annotated[float, Meta(ge=0, le=1)] = 0.01
    metis_seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    metis_recursive: bool = True
    metis_partition_id: Annotated[int, Meta(ge=0)] | None = None


class HgtTrained(msgspec.Struct):
    """`summary`: loss_history, val_metrics and test_metrics by edge type, edge_statistics, sampling_stats,
    duration_seconds, node_counts, graph_path, and the parameters used."""

    message: str
    summary: dict[str, Any]


@doors.add(
    "POST",
    "/api/v1/graph/refresh",
    scope="o",
    status=202,
    body=RefreshOrder,
    body_required=False,
    waited=Refreshed,
    errors=(409, 429),
)
async def refresh(
    request: Request, shop: ShopDep, caller: CallerDep, wait: Wait = False, timeout_s: Timeout = 300
) -> Response:
    """Makes all vectors anew, on request with a new model, and tunes the fused score"""
    order = await _form(request, RefreshOrder)
    job = await asyncio.to_thread(shop.operations.refresh.submit, order, by=caller.name)
    return await answered(shop, job.job_id, wait=wait, timeout_s=timeout_s, closing=request.app.state.closing)


@doors.add(
    "POST",
    "/api/v1/operations/training/hgt",
    scope="o",
    status=202,
    body=HgtForm,
    body_required=False,
    waited=HgtTrained,
    errors=(409, 429),
)
async def train_hgt(
    request: Request, shop: ShopDep, caller: CallerDep, wait: Wait = False, timeout_s: Timeout = 300
) -> Response:
    """Trains the model of the graph anew; its gate decides whether it serves"""
    form = await _form(request, HgtForm)
    _check(form)
    params = {name: value for name, value in msgspec.to_builtins(form).items() if value is not None}
    seed = params.pop("seed", None)
    job = await asyncio.to_thread(shop.operations.train_hgt, params, seed=seed, by=caller.name)

    def told(job: Job) -> HgtTrained:
        return HgtTrained(outcome(job), summary(job, shop.registry))

    closing = request.app.state.closing
    return await answered(shop, job.job_id, wait=wait, timeout_s=timeout_s, closing=closing, told=told)


def _check(form: HgtForm) -> None:
    """What no single field says. Raises Malformed."""
    if form.train_ratio + form.val_ratio >= 1:
        raise _wrong("val_ratio", "train_ratio and val_ratio together must be below 1, so that some is left to test on")
    if form.metis_partition_id is not None and form.metis_partition_id >= form.metis_num_parts:
        raise _wrong("metis_partition_id", f"must be below metis_num_parts, {form.metis_num_parts}")


def _wrong(field: str, what: str) -> Malformed:
    return Malformed(f"{field}: {what}", code="wrong_value", errors=[FieldProblem(field, what)])


async def _form(request: Request, kind: type[T]) -> T:
    body = await request.body()
    return decode(body or b"{}", kind)
