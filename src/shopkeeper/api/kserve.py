"""KServe V1: `:predict` on the fast lane, and what may be asked. One prediction an instance, never flattened."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import Response
from msgspec import UNSET, Meta, UnsetType

from shopkeeper.api import scoring
from shopkeeper.api.addressed import listed, loaded
from shopkeeper.api.body import decode
from shopkeeper.api.call import Call
from shopkeeper.api.door import Doors, Id, ShopDep, reply
from shopkeeper.api.errors import Answer, FieldProblem, Malformed
from shopkeeper.api.inference import ModelReady, is_ready
from shopkeeper.api.scoring import MOST_ROWS, Predictions, check_rows
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import Invalid

Instances = Annotated[list[dict[str, Any] | list[Any]], Meta(max_length=MOST_ROWS)]


class PredictRequest(msgspec.Struct):
    """Rows as objects, or as lists of values in the order of the feature names. `inputs` is read when `instances` is
    not given."""

    instances: Instances | UnsetType = UNSET
    inputs: Instances | UnsetType = UNSET


class ModelNames(msgspec.Struct):
    models: list[str]


doors = Doors("KServe V1")
doors.hot(
    "POST", "/v1/models/{model}:predict",
    scope="p", summary="One prediction an instance", body=PredictRequest, answer=Predictions,
    errors=(400, 404, 429, 500, 504),
)  # fmt: skip


async def predict(shop: Shop, call: Call) -> Answer:
    """Answers the hot door."""
    request = decode(call.body, PredictRequest)
    instances = request.inputs if request.instances is UNSET else request.instances
    if instances is UNSET:
        problem = FieldProblem("instances", "is missing")
        raise Malformed("instances is missing", code="wrong_value", errors=[problem])
    rows = [one for one in instances if isinstance(one, dict)]
    if len(rows) < len(instances):
        rows = _named(instances, sorted((await loaded(shop, call.model)).model.feature_names))
    check_rows(rows)
    subject = scoring.subject_of(call.header(b"x-user-id"), rows)
    scored = await scoring.score(shop, call.model, None, rows, subject=subject)
    body = msgspec.json.encode(Predictions(scored.predictions))
    return Answer(200, body, ((b"x-model-version", scored.tag.encode()),))


@doors.add("GET", "/v1/models", scope="-", answer=ModelNames)
async def models(shop: ShopDep) -> Response:
    """The models that may be asked"""
    return reply(ModelNames([one.model for one in listed(shop)]))


@doors.add("GET", "/v1/models/{model}", scope="-", answer=ModelReady, errors=(404,))
async def model(shop: ShopDep, model: Id) -> Response:
    """Whether a model answers"""
    return reply(ModelReady(model, await is_ready(shop, model)))


def _named(instances: list[dict[str, Any] | list[Any]], columns: list[str]) -> list[dict[str, Any]]:
    """Lists of values are columns sorted by name, as in a matrix of the Open Inference Protocol."""
    rows = []
    for at, one in enumerate(instances):
        if isinstance(one, dict):
            rows.append(one)
        elif len(one) == len(columns):
            rows.append(dict(zip(columns, one, strict=True)))
        else:
            raise Invalid(
                f"instance {at} has {len(one)} values; this model expects {len(columns)}, sorted by name: "
                f"{', '.join(columns)}",
                code="bad_instance",
                field=f"instances[{at}]",
            )
    return rows
