"""The stock paths' trainings, in the shapes that older forecast clients know."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any, Literal

import msgspec
from fastapi import Request, Response

from shopkeeper import plugins
from shopkeeper.api.body import read
from shopkeeper.api.door import CallerDep, Doors, Envelope, Id, ShopDep, enveloped
from shopkeeper.api.forms import StockTraining, UsualParams
from shopkeeper.api.stockasking import scope_by_mode
from shopkeeper.api.stocknames import find, model_name
from shopkeeper.bootstrap import Shop
from shopkeeper.core.converting import converted
from shopkeeper.core.errors import Invalid, NotFound, ShopkeeperError
from shopkeeper.core.ids import check_id
from shopkeeper.core.records import Job, Version
from shopkeeper.core.scopes import Scope

doors = Doors("Stock")
TaskStatus = Literal["pending", "running", "completed", "failed", "cancelled"]
_STATUS = {"queued": "pending", "done": "completed"}
_CURVE = "loss.json"


class Task(msgspec.Struct):
    """A training as a task; `progress` in percent."""

    task_id: str
    job_id: str
    job_url: str
    status: str
    progress: float
    current_epoch: int | None
    total_epochs: int | None
    metrics: dict[str, Any]
    error: str | None
    model: str
    scope: str
    model_type: str


class Loss(msgspec.Struct):
    """`val` null: the algorithm measured none in that epoch."""

    epoch: int
    train: float | None
    val: float | None


@doors.add(
    "POST", "/api/training",
    scope="o", status=202, body=StockTraining, answer=Envelope[Task], errors=(404, 409, 429),
)  # fmt: skip
async def train(request: Request, shop: ShopDep, caller: CallerDep) -> Response:
    """Begins to train a forecast model"""
    form = await read(request, StockTraining)
    job = await asyncio.to_thread(_submit, shop, form, caller.name)
    return enveloped(_task(job), 202, {"location": job.job_url})


@doors.add("GET", "/api/training", scope="r", answer=Envelope[list[Task]])
async def list_trainings(shop: ShopDep, status: TaskStatus | None = None) -> Response:
    """The newest forecast trainings"""
    tasks = await asyncio.to_thread(_tasks, shop)
    return enveloped([task for task in tasks if status in (None, task.status)])


@doors.add("GET", "/api/training/{task_id}", scope="r", answer=Envelope[Task], errors=(404,))
async def get_training(shop: ShopDep, task_id: Id) -> Response:
    """One forecast training"""
    return enveloped(_task(await asyncio.to_thread(_found, shop, task_id)))


@doors.add(
    "POST", "/api/training/{task_id}/cancel", scope="o", status=202, answer=Envelope[Task], errors=(404, 409, 429)
)
async def cancel_training(shop: ShopDep, task_id: Id) -> Response:
    """Asks a forecast training to stop; what it had learned is dropped"""

    def cancel() -> Job:
        return shop.jobs.cancel(_found(shop, task_id).job_id)

    return enveloped(_task(await asyncio.to_thread(cancel)), 202)


@doors.add("GET", "/api/training/{task_id}/loss", scope="r", answer=Envelope[list[Loss]], errors=(404,))
async def training_loss(shop: ShopDep, task_id: Id) -> Response:
    """The loss of each epoch so far; empty for an algorithm that has no epochs"""
    return enveloped(await asyncio.to_thread(_losses, shop, task_id))


def _submit(shop: Shop, form: StockTraining, by: str) -> Job:
    """Epochs, batch size and learning rate are left out where the algorithm does not know them, as older clients send
    them with every training; what else it does not know is refused."""
    trainer = _forecaster(form.model_type)
    scope = scope_by_mode(form.training_mode, form.product_id, form.store_id, form.category)
    _check_known(shop, scope)
    given = {"epochs": form.epochs, **form.hyperparameters}
    usual = UsualParams.__struct_fields__
    converted({name: value for name, value in given.items() if name in usual}, UsualParams)
    known = trainer.Params.__struct_fields__
    params = {name: value for name, value in given.items() if name in known or name not in usual}
    source: dict[str, Any] = {"kind": "shop"}
    if form.aggregation_method != "sum":
        source["aggregation"] = form.aggregation_method
    more: dict[str, Any] = {}
    model = model_name(form.model_type, scope)
    if form.start_from is not None:
        more["start_from"] = _beginning(find(shop, form.start_from), model, scope)
    return shop.releases.train(
        model, form.model_type, params=params, source=source, scope=str(scope), requested_by=by, **more
    )


def _beginning(version: Version, model: str, scope: Scope) -> int:
    """The number of a version of the same model. Raises Invalid."""
    if (version.model, version.scope) != (model, str(scope)):
        raise Invalid(
            f"start_from is a version of {version.model} of {version.scope}, not of {model} of {scope}",
            code="cannot_continue",
            field="start_from",
        )
    return version.version


def _forecaster(name: str) -> Any:
    try:
        trainer = plugins.algorithm(name)
    except NotFound as error:
        raise Invalid(error.message, code="unknown_model_type", field="model_type") from error
    if trainer.family != "forecast":
        raise Invalid(f"{name} does not forecast; see /api/models/types", code="unknown_model_type", field="model_type")
    return trainer


def _check_known(shop: Shop, scope: Scope) -> None:
    """Raises NotFound for a product, store or category that the shop has never heard of."""
    if scope.kind == "product":
        shop.items.get(check_id(str(scope.id), "product_id"))
    store = scope.id if scope.kind == "store" else scope.store
    if store is not None:
        shop.shops.get(check_id(store, "store_id"))
    if scope.kind == "category" and not shop.items.list(category=scope.id, limit=1)[2]:
        raise NotFound(f"no category {str(scope.id)[:128]!r}", code="unknown_category", field="category")


def _tasks(shop: Shop) -> list[Task]:
    jobs, _, _ = shop.jobs.list(kind="train", limit=200)
    return [_task(job) for job in jobs if _is_forecast(job)]


def _found(shop: Shop, task_id: str) -> Job:
    """Raises NotFound, also for a job of another kind."""
    job = shop.jobs.get(task_id)
    if not _is_forecast(job):
        raise NotFound(f"job {task_id[:64]!r} is no forecast training", code="unknown_task")
    return job


def _losses(shop: Shop, task_id: str) -> list[Loss]:
    """From the job's events; when these are gone, from what the version has kept."""
    job = _found(shop, task_id)
    told = [event.data for event in shop.jobs.events(job.job_id) if event.type == "epoch"]
    if told:
        return [Loss(int(one["epoch"]), one.get("loss"), one.get("val_loss")) for one in told]
    version = shop.registry.version_of_job(job.job_id)
    if version is None:
        return []
    try:
        content = (shop.registry.folder(version) / _CURVE).read_bytes()
        return msgspec.json.decode(content, type=list[Loss])
    except (OSError, msgspec.DecodeError, ShopkeeperError):
        return []


def _is_forecast(job: Job) -> bool:
    return job.kind == "train" and _family(str(job.params.get("algorithm"))) == "forecast"


@cache
def _family(algorithm: str) -> str | None:
    try:
        return plugins.algorithm(algorithm).family
    except ShopkeeperError:
        return None


def _task(job: Job) -> Task:
    last = job.progress
    return Task(
        task_id=job.job_id,
        job_id=job.job_id,
        job_url=job.job_url,
        status=_STATUS.get(job.status, job.status),
        progress=100.0 if job.status == "done" else last.percent,
        current_epoch=last.epoch,
        total_epochs=last.of if last.epoch is not None else job.params.get("params", {}).get("epochs"),
        metrics=dict(last.metrics),
        error=job.error,
        model=job.params["model"],
        scope=job.params.get("scope", "all"),
        model_type=job.params["algorithm"],
    )
