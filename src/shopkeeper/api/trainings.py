"""The stock paths: train, predict and list forecast models, in the shapes that older forecast clients know."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query, Request, Response

from shopkeeper import plugins
from shopkeeper.api.algorithms import described
from shopkeeper.api.body import read
from shopkeeper.api.door import CallerDep, Doors, Envelope, Id, ShopDep, enveloped
from shopkeeper.api.forms import StockPrediction, StockTraining, TrainForm
from shopkeeper.api.stockwire import ForecastModel, PredictionData, address, forecast_models, prediction_data
from shopkeeper.api.training import submit_training
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.ids import check_id
from shopkeeper.core.records import AlgorithmInfo, Job

doors = Doors("Stock")
TaskStatus = Literal["pending", "running", "completed", "failed", "cancelled"]
_STATUS = {"queued": "pending", "done": "completed"}
_FIELDS_THAT_ARE_NOT_PARAMS = frozenset({"epochs", "batch_size", "learning_rate"})


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


@doors.add(
    "POST",
    "/api/training",
    scope="o",
    status=202,
    body=StockTraining,
    answer=Envelope[Task],
    errors=(404, 409, 429),
)
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
    job = await asyncio.to_thread(shop.jobs.get, task_id)
    if not _is_forecast(job):
        raise NotFound(f"job {task_id[:64]!r} is no forecast training", code="unknown_task")
    return enveloped(_task(job))


@doors.add(
    "POST", "/api/prediction", scope="p", body=StockPrediction, answer=Envelope[PredictionData], errors=(404, 409)
)
async def predict(request: Request, shop: ShopDep) -> Response:
    """Sales to expect, by a model's uid or by what it is for"""
    form = await read(request, StockPrediction)
    model = await asyncio.to_thread(address, shop, form)
    return enveloped(prediction_data(shop, form, model))


@doors.add("GET", "/api/models", scope="r", answer=Envelope[list[ForecastModel]])
async def list_models(
    shop: ShopDep,
    training_mode: Literal["product", "store", "global"] | None = None,
    product_id: Annotated[str | None, Query(max_length=128)] = None,
    store_id: Annotated[str | None, Query(max_length=128)] = None,
    model_type: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """All versions of all forecast models"""
    found = await asyncio.to_thread(forecast_models, shop)
    wanted = {"training_mode": training_mode, "product_id": product_id, "store_id": store_id, "model_type": model_type}
    return enveloped(
        [one for one in found if all(value in (None, getattr(one, name)) for name, value in wanted.items())]
    )


@doors.add("GET", "/api/models/types", scope="r", answer=Envelope[list[AlgorithmInfo]])
async def model_types() -> Response:
    """The algorithms that forecast"""
    return enveloped(await asyncio.to_thread(described, "forecast"))


def _submit(shop: Shop, form: StockTraining, by: str) -> Job:
    """Hyperparameters that the algorithm does not know, such as epochs for a tree model, are left out."""
    scope = _scope(form.training_mode, form.product_id, form.store_id)
    trainer = _forecaster(form.model_type)
    given = {"epochs": form.epochs, **form.hyperparameters}
    known = trainer.Params.__struct_fields__
    params = {name: value for name, value in given.items() if name in known or name not in _FIELDS_THAT_ARE_NOT_PARAMS}
    wanted = TrainForm(algorithm=form.model_type, params=params)
    return submit_training(shop, "sales_daily" if scope == "all" else f"sales_{form.model_type}", scope, wanted, by)


def _forecaster(name: str) -> Any:
    try:
        trainer = plugins.algorithm(name)
    except NotFound as error:
        raise Invalid(error.message, code="unknown_model_type", field="model_type") from error
    if trainer.family != "forecast":
        raise Invalid(f"{name} does not forecast; see /api/models/types", code="unknown_model_type", field="model_type")
    return trainer


def _scope(mode: str, product_id: str | None, store_id: str | None) -> str:
    """`all`, `product:ID` or `store:ID`. Raises Invalid when the mode's id is missing."""
    if mode == "global":
        return "all"
    wanted = {"product": ("product_id", product_id), "store": ("store_id", store_id)}
    if mode not in wanted:
        raise Invalid(f"training_mode {mode[:40]!r} is none of product, store, global", field="training_mode")
    field, value = wanted[mode]
    if value is None:
        raise Invalid(f"training_mode {mode} needs {field}", code="missing_id", field=field)
    return f"{mode}:{check_id(value, field)}"


def _tasks(shop: Shop) -> list[Task]:
    jobs, _, _ = shop.jobs.list(kind="train", limit=200)
    return [_task(job) for job in jobs if _is_forecast(job)]


def _is_forecast(job: Job) -> bool:
    return job.kind == "train" and _family(str(job.params.get("algorithm"))) == "forecast"


@cache
def _family(algorithm: str) -> str | None:
    try:
        return plugins.algorithm(algorithm).family
    except NotFound:
        return None


def _task(job: Job) -> Task:
    return Task(
        task_id=job.job_id,
        job_id=job.job_id,
        job_url=job.job_url,
        status=_STATUS.get(job.status, job.status),
        progress=job.progress.percent,
        current_epoch=job.progress.epoch,
        total_epochs=job.params.get("params", {}).get("epochs"),
        metrics=dict(job.progress.metrics),
        error=job.error,
        model=job.params["model"],
        scope=job.params.get("scope", "all"),
        model_type=job.params["algorithm"],
    )
