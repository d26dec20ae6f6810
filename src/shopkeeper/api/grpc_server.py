"""Open Inference Protocol V2 over gRPC: the same models, keys, errors and logs as over HTTP, on a port of its own.

Runs on the server's loop and drains with it. A request carries its key as metadata `x-api-key` or `authorization`, may
carry `x-request-id`, and finds `x-request-id`, `x-model-version` and `x-error-code` in the trailing metadata.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Any, NamedTuple, TypeAlias

from shopkeeper import __version__
from shopkeeper.api import scoring
from shopkeeper.api.access import Access, demand
from shopkeeper.api.addressed import loaded, texts_of
from shopkeeper.api.errors import grpc_status
from shopkeeper.api.grpc_messages import METHODS, SERVICE, messages
from shopkeeper.api.grpc_tensors import add_output, tensors_in
from shopkeeper.api.inference import NAME, describe, is_ready, server_ready
from shopkeeper.api.middleware import request_id_of, trace_id_of
from shopkeeper.api.tensors import chosen, rows_of, tensors_of
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import Conflict, ShopkeeperError, Unavailable
from shopkeeper.telemetry import metrics

log = logging.getLogger("shopkeeper.access")
# Answered at once also while the shop changes over to other data, when others wait.
_PROBES = frozenset({"ServerLive", "ServerReady"})


class Asked(NamedTuple):
    """What is noted of one request: it grows into the log line and the trailing metadata."""

    facts: dict[str, Any]
    trailing: list[tuple[str, str]]
    user: bytes | None


Work: TypeAlias = Callable[[Any, Asked], Awaitable[Any]]


def check_installed() -> None:
    """Raises Unavailable when the libraries of the extra `grpc` are missing."""
    missing = [name for name in ("grpc", "google.protobuf") if not _there(name)]
    if missing:
        raise Unavailable(
            f"gRPC needs {' and '.join(missing)}; pip install 'shopkeeper[grpc]', or leave the port 0",
            code="not_installed",
        )


class GrpcServer:
    """Serves one shop on `host:port`; port 0 takes a free one, see `port` after `start`."""

    def __init__(self, shop: Shop, host: str, port: int, closing: Callable[[], bool]) -> None:
        check_installed()
        self.shop = shop
        self.host = f"[{host}]" if ":" in host else host
        self.port = port
        self._access = Access(shop.settings.api_key)
        self._closing = closing
        self._server: Any = None

    async def start(self) -> None:
        """Raises Conflict when the port is taken."""
        import grpc

        limit = self.shop.settings.batch_body_limit
        options = [("grpc.max_receive_message_length", limit), ("grpc.so_reuseport", 0)]
        server = grpc.aio.server(options=options)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, self._handlers()),))
        try:
            self.port = server.add_insecure_port(f"{self.host}:{self.port}")
        except RuntimeError as error:
            raise Conflict(
                f"cannot listen for gRPC on {self.host}:{self.port}; give another port: --grpc-port", code="port_taken"
            ) from error
        await server.start()
        self._server = server

    async def stop(self, grace_s: float) -> None:
        """New requests are refused, running ones get `grace_s` to finish. Without a start it does nothing."""
        if self._server is not None:
            await self._server.stop(grace_s)

    def _handlers(self) -> dict[str, Any]:
        import grpc

        kinds = messages()
        works: dict[str, tuple[str, Work]] = {
            "ServerLive": ("-", self._live),
            "ServerReady": ("-", self._ready),
            "ModelReady": ("-", self._model_ready),
            "ServerMetadata": ("-", self._server_metadata),
            "ModelMetadata": ("-", self._model_metadata),
            "ModelInfer": ("p", self._infer),
        }
        return {
            method: grpc.unary_unary_rpc_method_handler(
                self._answering(method, *works[method]),
                request_deserializer=getattr(kinds, f"{method}Request").FromString,
                response_serializer=getattr(kinds, f"{method}Response").SerializeToString,
            )
            for method in METHODS
        }

    def _answering(self, method: str, scope: str, work: Work) -> Callable[[Any, Any], Awaitable[Any]]:
        import grpc

        async def answer(request: Any, context: Any) -> Any:
            began = time.perf_counter()
            given = {key: value.encode() for key, value in context.invocation_metadata() if isinstance(value, str)}
            request_id = request_id_of(given.get("x-request-id"))
            asked = Asked({"request_id": request_id}, [("x-request-id", request_id)], given.get("x-user-id"))
            if trace_id := trace_id_of(given.get("traceparent")):
                asked.facts["trace_id"] = trace_id
            status, told = "CANCELLED", ""
            try:
                self._admit(given, scope)
                if self.shop.turnstile.closed and method not in _PROBES:
                    await self.shop.turnstile.wait()
                with self.shop.turnstile.inside():
                    done = await work(request, asked)
                status = "OK"
                context.set_trailing_metadata(tuple(asked.trailing))
                return done
            except ShopkeeperError as error:
                status, told = grpc_status(error), error.message
                asked.trailing.append(("x-error-code", error.code))
            except Exception:  # the last net: whatever it was, the client gets an answer and the log the trace
                log.exception("unexpected error", extra={**asked.facts, "path": method})
                status, told = "INTERNAL", f"something broke inside; the log has it under request id {request_id}"
            finally:
                _note(method, status, time.perf_counter() - began, asked.facts)
            return await context.abort(grpc.StatusCode[status], told, tuple(asked.trailing))

        return answer

    def _admit(self, given: dict[str, bytes], scope: str) -> None:
        if self._closing() and not self.shop.turnstile.closed:
            raise Unavailable("the shop is closing; try again in a moment", code="closing")
        demand(self._access.caller(given.get("x-api-key"), given.get("authorization")), scope)

    async def _live(self, _request: Any, _asked: Asked) -> Any:
        return messages().ServerLiveResponse(live=True)

    async def _ready(self, _request: Any, _asked: Asked) -> Any:
        ready = not self.shop.turnstile.closed and server_ready(self.shop)
        return messages().ServerReadyResponse(ready=ready)

    async def _model_ready(self, request: Any, _asked: Asked) -> Any:
        there = await is_ready(self.shop, request.name, request.version or None)
        return messages().ModelReadyResponse(ready=there)

    async def _server_metadata(self, _request: Any, _asked: Asked) -> Any:
        return messages().ServerMetadataResponse(name=NAME, version=__version__)

    async def _model_metadata(self, request: Any, _asked: Asked) -> Any:
        found = await describe(self.shop, request.name, request.version or None)
        told = messages().ModelMetadataResponse(name=found.name, versions=found.versions, platform=found.platform)
        for tensors, given in ((told.inputs, found.inputs), (told.outputs, found.outputs)):
            for one in given:
                tensors.add(name=one.name, datatype=one.datatype, shape=one.shape)
                if isinstance(one.parameters, dict):
                    told.properties.update(one.parameters)
        return told

    async def _infer(self, request: Any, asked: Asked) -> Any:
        name, version = request.model_name, request.model_version or None
        asked.facts["model"] = name[:160]
        model = (await loaded(self.shop, name, version)).model
        rows = rows_of(tensors_in(request), model.feature_names, texts_of(model))
        scored = await scoring.score(self.shop, name, version, rows, subject=scoring.subject_of(asked.user, rows))
        asked.facts["model_version"] = scored.tag
        asked.trailing.append(("x-model-version", scored.tag))
        told = messages().ModelInferResponse(
            model_name=name.partition("@")[0], model_version=str(scored.version), id=request.id
        )
        for tensor in chosen(tensors_of(scored.output, scored.predictions), [one.name for one in request.outputs]):
            add_output(told, tensor, raw=bool(request.raw_input_contents))
        return told


def _note(method: str, status: str, seconds: float, facts: dict[str, Any]) -> None:
    metrics.grpc_requests_total.labels(method, status).inc()
    metrics.grpc_request_duration_seconds.labels(method).observe(seconds)
    level = logging.DEBUG if status == "OK" else logging.WARNING if status == "INTERNAL" else logging.INFO
    told = {**facts, "method": "gRPC", "path": method, "status": status, "ms": round(seconds * 1000, 3)}
    log.log(level, "gRPC %s %s", method, status, extra=told)


def _there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
