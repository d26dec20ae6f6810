"""Open Inference Protocol V2 over HTTP. `infer` is answered on the fast lane.

Errors bear the protocol's field `error` beside ours (api/errors.py). The binary data extension is not spoken: its
tensors are refused, and a wish for binary outputs is answered in JSON, which clients of the extension read too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from fastapi import Response
from msgspec import UNSET, Meta, UnsetType

from shopkeeper import __version__
from shopkeeper.api import scoring
from shopkeeper.api.addressed import address, known, listed, loaded, texts_of
from shopkeeper.api.body import decode
from shopkeeper.api.call import Call
from shopkeeper.api.door import Doors, Id, ShopDep, reply
from shopkeeper.api.errors import Answer
from shopkeeper.api.standing import lacking
from shopkeeper.api.tensors import FEATURES, MATRIX, OUTPUT, Tensor, chosen, rows_of, tensors_of
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import Invalid
from shopkeeper.lifecycle.addresses import CHAMPION
from shopkeeper.lifecycle.outputs import kind_of

NAME = "shopkeeper"
Parameters = dict[str, str | float | bool]


class InputTensor(msgspec.Struct):
    name: str
    shape: Annotated[list[Annotated[int, Meta(ge=0)]], Meta(min_length=1, max_length=8)]
    datatype: str
    data: list[Any] | UnsetType = UNSET
    parameters: Parameters | None = None


class WantedOutput(msgspec.Struct):
    name: str
    parameters: Parameters | None = None


class InferRequest(msgspec.Struct):
    """`data` is flat in row-major order, or nested as `shape` says. Without `outputs` all are told."""

    inputs: Annotated[list[InputTensor], Meta(min_length=1, max_length=4096)]
    id: str | None = None
    parameters: Parameters | None = None
    outputs: list[WantedOutput] | None = None


class InferResponse(msgspec.Struct, omit_defaults=True):
    model_name: str
    model_version: str
    outputs: list[Tensor]
    id: str | UnsetType = UNSET


class TensorMetadata(msgspec.Struct, omit_defaults=True):
    """-1 in `shape`: any number. `parameters.columns`: the features of a matrix's columns, in order."""

    name: str
    datatype: str
    shape: list[int]
    parameters: Mapping[str, str] | UnsetType = UNSET


class ModelMetadata(msgspec.Struct):
    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ServerMetadata(msgspec.Struct):
    name: str
    version: str
    extensions: list[str]


class Live(msgspec.Struct):
    live: bool


class ServerReady(msgspec.Struct):
    """`live` is what the protocol's text says here, `ready` what its name says and clients read."""

    ready: bool
    live: bool = True


class ModelReady(msgspec.Struct):
    name: str
    ready: bool


doors = Doors("Open Inference Protocol")
_MODEL, _VERSION = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
doors.hot(
    "POST", f"{_MODEL}/infer", f"{_VERSION}/infer",
    scope="p", summary="Tensors in, tensors out", body=InferRequest, answer=InferResponse,
    errors=(400, 404, 429, 500, 504),
)  # fmt: skip


async def infer(shop: Shop, call: Call) -> Answer:
    """Answers the hot door."""
    if call.header(b"inference-header-content-length") is not None:
        raise _binary()
    request = decode(call.body, InferRequest)
    inputs = [_json_tensor(one) for one in request.inputs]
    asked = await loaded(shop, call.model, call.version)
    rows = rows_of(inputs, asked.model.feature_names, texts_of(asked.model))
    subject = scoring.subject_of(call.header(b"x-user-id"), rows)
    scored = await scoring.score(shop, call.model, call.version, rows, subject=subject)
    outputs = chosen(tensors_of(scored.output, scored.predictions), [one.name for one in request.outputs or ()])
    given = request.id if request.id is not None else UNSET
    told = InferResponse(call.model.partition("@")[0], str(scored.version), outputs, given)
    return Answer(200, msgspec.json.encode(told), ((b"x-model-version", scored.tag.encode()),))


@doors.add("GET", "/v2", scope="-", answer=ServerMetadata)
async def server() -> Response:
    """What this server is"""
    return reply(ServerMetadata(NAME, __version__, []))


@doors.add("GET", "/v2/health/live", scope="-", answer=Live)
async def live() -> Response:
    """Alive"""
    return reply(Live(True))


@doors.add("GET", "/v2/health/ready", scope="-", answer=ServerReady)
async def ready(shop: ShopDep) -> Response:
    """Ready to infer; 503 while starting, draining or without a required model"""
    is_ready = server_ready(shop)
    return reply(ServerReady(is_ready), 200 if is_ready else 503)


@doors.add("GET", _MODEL, scope="-", answer=ModelMetadata, errors=(404,))
async def model_metadata(shop: ShopDep, model: Id) -> Response:
    """A model's tensors"""
    return reply(await describe(shop, model))


@doors.add("GET", _VERSION, scope="-", answer=ModelMetadata, errors=(404,))
async def version_metadata(shop: ShopDep, model: Id, version: Id) -> Response:
    """A version's tensors"""
    return reply(await describe(shop, model, version))


@doors.add("GET", f"{_MODEL}/ready", scope="-", answer=ModelReady, errors=(404,))
async def model_ready(shop: ShopDep, model: Id) -> Response:
    """Whether a model answers; 503 when it does not"""
    return await _told_ready(shop, model)


@doors.add("GET", f"{_VERSION}/ready", scope="-", answer=ModelReady, errors=(404,))
async def version_ready(shop: ShopDep, model: Id, version: Id) -> Response:
    """Whether a version answers when it is asked; 503 when it is broken"""
    return await _told_ready(shop, model, version)


def server_ready(shop: Shop) -> bool:
    """Nothing that the shop requires is lacking, and there is a model to ask."""
    return not lacking(shop) and bool(listed(shop))


async def is_ready(shop: Shop, name: str, version: str | None = None) -> bool:
    """A model is when its champion is in memory, a version when it can be loaded. Raises NotFound, Invalid (name)."""
    model, ref, _ = address(shop, name, version)
    if shop.serving.peek(model, ref) is not None:
        return True
    if ref == CHAMPION:
        await asyncio.to_thread(shop.registry.model, model)
        return False
    return (await asyncio.to_thread(shop.registry.version, model, ref)).status != "broken"


async def describe(shop: Shop, model: str, version: str | None = None) -> ModelMetadata:
    """Raises NotFound, Unavailable, Invalid."""
    found, facts = await asyncio.to_thread(known, shop, model, version)
    versions, _, _ = await asyncio.to_thread(shop.registry.versions, found.model, limit=100)
    return ModelMetadata(
        name=model.partition("@")[0],
        versions=[str(one.version) for one in versions],
        platform=f"{NAME}_{found.algorithm}",
        inputs=_inputs(facts, found.feature_names),
        outputs=_outputs(facts),
    )


def _inputs(facts: Any, names: list[str]) -> list[TensorMetadata]:
    """A matrix; where a feature is a text one tensor each; where a model has no columns rows as JSON."""
    if not names:
        return [TensorMetadata(FEATURES, "BYTES", [-1])]
    if texts := texts_of(facts):
        return [TensorMetadata(name, "BYTES" if name in texts else "FP64", [-1]) for name in sorted(names)]
    return [TensorMetadata(MATRIX, "FP64", [-1, len(names)], {"columns": ",".join(sorted(names))})]


def _outputs(facts: Any) -> list[TensorMetadata]:
    """A fact that only a loaded model has (a property of its class) stays open."""
    kind = kind_of(facts)
    if kind == "object":
        names = getattr(facts, "output_names", ())
        return [TensorMetadata(name, "FP64", [-1]) for name in names if isinstance(names, tuple | list)]
    if kind == "vector":
        size = getattr(facts, "output_size", None)
        return [TensorMetadata(OUTPUT, "FP64", [-1, size if isinstance(size, int) else -1])]
    return [TensorMetadata(OUTPUT, "BYTES" if kind == "list" else "FP64", [-1])]


async def _told_ready(shop: Shop, model: str, version: str | None = None) -> Response:
    there = await is_ready(shop, model, version)
    return reply(ModelReady(model, there), 200 if there else 503)


def _json_tensor(given: InputTensor) -> Tensor:
    if given.data is UNSET:
        if given.parameters and "binary_data_size" in given.parameters:
            raise _binary()
        raise Invalid(f"{given.name[:80]}: data is missing", code="bad_tensor", field=given.name[:80])
    return Tensor(given.name, given.shape, given.datatype, given.data)


def _binary() -> Invalid:
    return Invalid("binary tensor data is not read here; send data as JSON", code="binary_data")
