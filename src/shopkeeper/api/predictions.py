"""The prediction wire: rows in, outputs out. The predictions are answered on the fast lane."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any
from urllib.parse import parse_qs

import msgspec
from fastapi import Query, Request, Response
from msgspec import UNSET, UnsetType

from shopkeeper.api.addressed import DEFAULT, default_model, stands_in
from shopkeeper.api.body import decode, read
from shopkeeper.api.call import Call
from shopkeeper.api.door import Doors, ShopDep, reply
from shopkeeper.api.errors import Answer, FieldProblem, Malformed
from shopkeeper.api.scoring import Data, Predictions, check_rows, score, subject_of
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import Invalid, NotFound, ShopkeeperError
from shopkeeper.lifecycle.outputs import flattened
from shopkeeper.lifecycle.serving import Reloaded
from shopkeeper.lifecycle.views import WIRE

doors = Doors("Predictions")
_GONE = "artifact_missing"
_QUERY = (("version", {"type": "string"}), ("strict", {"type": "boolean", "default": False}))
_ERRORS = (400, 404, 429, 500, 504)
doors.hot(
    "POST", "/predictions/{model}",
    scope="p", summary="One output a row; the model may be name@alias",
    body=Data, answer=Predictions, errors=_ERRORS, query=_QUERY,
)  # fmt: skip
doors.hot(
    "POST", "/predictions/{model}/{version}",
    scope="p", summary="The same by a version or alias",
    body=Data, answer=Predictions, errors=_ERRORS, query=_QUERY,
)  # fmt: skip


class OldData(msgspec.Struct):
    """`data` wins when both are given."""

    data: list[dict[str, Any]] | UnsetType = UNSET
    features_list: list[dict[str, Any]] | UnsetType = UNSET


class OldPredictions(msgspec.Struct):
    """`scores` equals `predictions`; of a model with several named numbers a row it is called `scores_list`."""

    predictions: list[Any]
    scores: list[Any] | UnsetType = UNSET
    scores_list: list[Any] | UnsetType = UNSET


doors.hot(
    "POST", "/predict",
    scope="p", summary="The older form: scores and predictions are equal",
    body=OldData, answer=OldPredictions, errors=_ERRORS,
    query=(("model", {"type": "string", "default": DEFAULT}), _QUERY[1]),
)  # fmt: skip


class ReloadForm(msgspec.Struct, forbid_unknown_fields=True):
    """The body may be left out. Other fields are refused: they would seem to narrow what is reloaded."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None


class ReloadDone(msgspec.Struct):
    """Old and new version of the model with the most features, which older clients ask about; `models` has all."""

    status: str
    message: str
    old_version: str | None
    new_version: str | None
    feature_count: int
    models: list[Reloaded]


async def predict(shop: Shop, call: Call) -> Answer:
    """Answers the hot door `/predict`."""
    form = decode(call.body, OldData)
    rows = form.features_list if form.data is UNSET else form.data
    if rows is UNSET:
        problem = FieldProblem("data", "is missing")
        raise Malformed("data (or features_list) is missing", code="wrong_value", errors=[problem])
    check_rows(rows)
    scored = await score(shop, call.model, None, rows, subject=subject_of(call.header(b"x-user-id"), rows))
    told = flattened(scored.output, scored.predictions, strict=call.flag("strict"))
    named = "scores_list" if scored.output == "object" else "scores"
    body = msgspec.json.encode(OldPredictions(told, **{named: told}))
    return Answer(200, body, ((b"x-model-version", scored.tag.encode()),))


def model_of(shop: Shop, query: bytes) -> str:
    """The model that `?model=` names, or the one that is meant without it."""
    model = parse_qs(query.decode("latin-1")).get("model", [DEFAULT])[-1] if query else DEFAULT
    return default_model(shop) if model == DEFAULT else model


@doors.add(
    "POST", "/reload",
    scope="o", body=ReloadForm, body_required=False, answer=ReloadDone, errors=(400, 404, 422, 500),
)  # fmt: skip
async def reload(
    request: Request, shop: ShopDep, model: Annotated[str | None, Query(max_length=200)] = None
) -> Response:
    """Loads the champions anew, of one model or all, and switches to them; a failed load keeps the old one"""
    form = await read(request, ReloadForm) if await request.body() else ReloadForm()
    if None not in (model, form.model) and model != form.model:
        raise Invalid(
            "the query and the body name different models; name one of them", code="two_models", field="model"
        )
    model = form.model if model is None else model
    if model is not None and model in WIRE:
        model = stands_in(shop, model) or model
    models = await asyncio.to_thread(shop.serving.reload, model)
    failed = [one for one in models if one.error]
    if failed:
        told = f"the old versions go on serving; {'; '.join(f'{one.name}: {one.error}' for one in failed)}"
        if {one.code for one in failed} == {_GONE}:
            raise NotFound(told, code=_GONE)
        raise ShopkeeperError(told, code="reload_failed")
    first = max(models, key=lambda one: one.feature_count, default=None)
    done = ReloadDone(
        status="success",
        message=f"{len(models)} model(s) reloaded",
        old_version=_v(first.old) if first else None,
        new_version=_v(first.new) if first else None,
        feature_count=first.feature_count if first else 0,
        models=models,
    )
    return reply(done)


def _v(version: int | None) -> str | None:
    return None if version is None else f"v{version}"
