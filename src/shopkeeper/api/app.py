"""The ASGI application: one middleware, the fast lane, and FastAPI behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from shopkeeper import __version__
from shopkeeper.api import (
    algorithms,
    archives,
    bandit,
    bandit_experiments,
    batch,
    cache,
    calendar,
    datasets,
    embeddings,
    errors,
    events,
    experiments,
    features,
    forecasts,
    fusion,
    graph,
    health,
    identities,
    imports,
    inference,
    items,
    jobs,
    kserve,
    learning,
    models,
    modelservice,
    openapi,
    operations,
    personal,
    personalization,
    predictions,
    previews,
    privacy,
    products,
    profiles,
    qlearning,
    recommendations,
    refresh,
    registry,
    rules,
    scenarios,
    schedules,
    segments,
    simulation,
    stockmodels,
    stockpredictions,
    stockstores,
    stockupload,
    traffic,
    trainings,
    users,
    webhooks,
    whatif,
)
from shopkeeper.api.access import Access
from shopkeeper.api.door import Doors, needs
from shopkeeper.api.errors import FieldProblem, Malformed
from shopkeeper.api.fastlane import Fastlane
from shopkeeper.api.livesocket import LiveSockets
from shopkeeper.api.middleware import Gatehouse, Limits
from shopkeeper.api.socketio import with_socketio
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import Invalid, NotFound, ShopkeeperError

_SOCKETIO_CLIENTS = 1000

NOUNS: tuple[Doors, ...] = (
    health.doors,
    events.doors,
    users.doors,
    identities.doors,
    privacy.doors,
    items.doors,
    profiles.doors,
    whatif.doors,
    rules.doors,
    previews.doors,
    segments.doors,
    personalization.doors,
    batch.doors,
    cache.doors,
    recommendations.doors,
    scenarios.doors,
    personal.doors,
    features.doors,
    algorithms.doors,
    modelservice.doors,
    models.doors,
    archives.doors,
    registry.doors,
    traffic.doors,
    bandit.doors,
    bandit_experiments.doors,
    experiments.doors,
    predictions.doors,
    kserve.doors,
    inference.doors,
    embeddings.doors,
    forecasts.doors,
    calendar.doors,
    trainings.doors,
    stockpredictions.doors,
    stockmodels.doors,
    products.doors,
    stockstores.doors,
    stockupload.doors,
    jobs.doors,
    schedules.doors,
    webhooks.doors,
    datasets.doors,
    imports.doors,
    simulation.doors,
    operations.doors,
    fusion.doors,
    graph.doors,
    refresh.doors,
    learning.doors,
    qlearning.doors,
)


class ControlPlane(FastAPI):
    """FastAPI with the OpenAPI page of all doors, those of the fast lane included."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = openapi.complete(super().openapi(), [door for noun in NOUNS for door in noun.all])
        return self.openapi_schema


class Closing(asyncio.Event):
    """Set when the server begins to drain: streams end, new requests get 503. `interrupt` ends streams only, for those
    who listened to a shop whose data is changed for other."""

    def __init__(self) -> None:
        super().__init__()
        self._for_good = False

    def set(self) -> None:
        self._for_good = True
        super().set()

    def interrupt(self) -> None:
        super().set()

    def go_on(self) -> None:
        if not self._for_good:
            self.clear()


def create_app(shop: Shop, closing: Closing | None = None, *, manage: bool = True) -> Gatehouse:
    """The whole API of an opened shop. `manage`: start and stop the shop with the server's lifespan."""
    closing = closing or Closing()
    shop.changeover.listen(closing.interrupt, closing.go_on)
    settings = shop.settings
    access = Access(settings.api_key)
    api = _control_plane(shop, closing, manage=manage)
    api.state.access = access
    doors = with_socketio(api, shop, access, closing, most=_SOCKETIO_CLIENTS)
    return Gatehouse(
        Fastlane(shop, doors, LiveSockets(shop, access, closing, most=settings.live_sockets)),
        access=access,
        limits=Limits(settings.body_limit, settings.batch_body_limit, settings.upload_limit),
        closing=closing.is_set,
        turnstile=shop.turnstile,
    )


def _control_plane(shop: Shop, closing: Closing, *, manage: bool) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if manage:
            await shop.start()
        try:
            yield
        finally:
            closing.set()
            if manage:
                await shop.stop()

    api = ControlPlane(
        title="Shopkeeper",
        version=__version__,
        description="Know every customer, suggest the right thing, order tomorrow's stock before it runs out.",
        lifespan=lifespan,
        redirect_slashes=False,
        redoc_url=None,
    )
    api.state.shop = shop
    api.state.closing = closing
    for noun in NOUNS:
        _mount(api, noun)
    api.add_api_websocket_route("/ws/jobs/{job_id}", jobs.watch)
    api.add_api_websocket_route("/ws/training/{job_id}", jobs.watch)
    _answer_errors(api)
    return api


def _mount(api: FastAPI, noun: Doors) -> None:
    for door in noun.all:
        if door.endpoint is None:
            continue
        api.add_api_route(
            door.path,
            door.endpoint,
            methods=[door.method],
            status_code=door.status,
            response_class=Response,
            response_model=None,
            dependencies=[Depends(needs(door.scope))],
            operation_id=door.operation_id,
        )


def _answer_errors(api: FastAPI) -> None:
    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, ShopkeeperError)
        return _response(errors.answer(error, request.url.path, request.scope["request_id"]))

    async def unreadable(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        found = [FieldProblem(".".join(map(str, one["loc"][1:])), one["msg"]) for one in error.errors()]
        message = "; ".join(f"{one.field}: {one.message}" for one in found)
        return await ours(request, Malformed(message, errors=found))

    async def plain(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        answer = await ours(request, _from_starlette(request, error))
        answer.headers.update(error.headers or {})  # Allow, beside 405
        return answer

    async def unexpected(request: Request, _: Exception) -> Response:
        return _response(errors.unexpected(request.url.path, request.scope["request_id"]))

    api.add_exception_handler(ShopkeeperError, ours)
    api.add_exception_handler(RequestValidationError, unreadable)
    api.add_exception_handler(HTTPException, plain)
    api.add_exception_handler(Exception, unexpected)


def _from_starlette(request: Request, error: HTTPException) -> ShopkeeperError:
    if error.status_code == 405:
        return Invalid(f"{request.method} is not served here; see /docs", code="method_not_allowed")
    if error.status_code == 404:
        return NotFound("there is no such door; /docs lists them all", code="unknown_path")
    return Malformed(str(error.detail))


def _response(answer: errors.Answer) -> Response:
    headers = {name.decode(): value.decode() for name, value in answer.headers}
    return Response(answer.body, answer.status, headers, media_type=answer.media.decode())
