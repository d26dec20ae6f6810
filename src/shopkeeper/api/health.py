"""Is it alive, is it ready, what does it measure; and where a person is led to."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from shopkeeper.api.addressed import default_model
from shopkeeper.api.door import Doors, ShopDep, reply
from shopkeeper.api.standing import incremental_loop, ingestion, lacking, served
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import Unavailable
from shopkeeper.telemetry.devices import cuda_available

doors = Doors("Health")


class Health(msgspec.Struct):
    """`ok` and `status` say that the process answers; readiness is at /readyz. `device`: where models
    serve and our own algorithms train; `device_mode`: whether jobs may see CUDA (gpu) or not (cpu)."""

    status: str
    ok: bool
    model_loaded: bool
    device: str
    device_mode: str
    cuda_available: bool
    ingestion: dict[str, Any]
    incremental_loop: dict[str, Any]


class Ready(msgspec.Struct):
    ready: bool
    reasons: list[str]


class Status(msgspec.Struct):
    status: str


class Front(msgspec.Struct):
    service: str
    status: str
    model_loaded: bool
    model_version: str | None
    feature_count: int
    models: list[str]


@doors.add("GET", "/", scope="-", answer=Front, also=(302,))
async def front(request: Request, shop: ShopDep) -> Response:
    """What this service is; a browser is led to the console"""
    if "text/html" in request.headers.get("accept", ""):
        return _to_console(shop)
    versions = served(shop)
    first = next((one for one in versions if one.model == default_model(shop)), versions[0] if versions else None)
    return reply(
        Front(
            service="shopkeeper",
            status="healthy",
            model_loaded=bool(versions),
            model_version=f"v{first.version}" if first else None,
            feature_count=len(first.feature_names) if first else 0,
            models=sorted({one.model for one in versions}),
        )
    )


@doors.add("GET", "/console", "/ui/", scope="-", status=302)
async def console(shop: ShopDep) -> Response:
    """Leads to the console"""
    return _to_console(shop)


@doors.add("GET", "/swagger/", scope="-", status=302)
async def swagger() -> Response:
    """Leads to /docs"""
    return RedirectResponse("/docs", 302)


@doors.add("GET", "/health", scope="-", answer=Health)
async def health(shop: ShopDep) -> Response:
    """Healthy as long as the process answers"""
    stream, loop = ingestion(shop), incremental_loop(shop)
    mode = shop.settings.device
    return reply(Health("healthy", True, bool(served(shop)), "cpu", mode, cuda_available(), stream, loop))


@doors.add("GET", "/livez", scope="-", answer=Status)
async def livez() -> Response:
    """Alive"""
    return reply(Status("alive"))


@doors.add("GET", "/readyz", scope="-", answer=Ready)
async def readyz(shop: ShopDep) -> Response:
    """Ready to serve; 503 with reasons while starting, draining or without a required model"""
    reasons = lacking(shop)
    return reply(Ready(not reasons, reasons), 503 if reasons else 200)


@doors.add("GET", "/ping", scope="-", answer=Status)
async def ping(shop: ShopDep) -> Response:
    """Healthy when a model is loaded"""
    if not served(shop):
        raise Unavailable("no model is loaded; train one: shopkeeper train home_ranker", code="no_model")
    return reply(Status("Healthy"))


@doors.add("GET", "/metrics", scope="r", answer="text/plain")
async def metrics() -> Response:
    """All metrics as Prometheus text"""
    from shopkeeper.telemetry.metrics import CONTENT_TYPE, exposition

    return Response(exposition(), media_type=CONTENT_TYPE)


def _to_console(shop: Shop) -> Response:
    info = shop.home.server()
    return RedirectResponse(info.console if info and info.console else "/docs", 302)
