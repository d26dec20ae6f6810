"""Hot routes as plain ASGI in front of FastAPI: decode with msgspec, work, encode.

Measured: 2.8 times FastAPI with msgspec, 4 times FastAPI with pydantic (docs/architecture.md). Everything that is not
in the table falls through to FastAPI. The doors are described here for the OpenAPI page too.
"""

from __future__ import annotations

import asyncio
import re
from functools import partial

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from shopkeeper.api import embeddings, errors, incoming, inference, kserve, livesocket, predictions, scoring
from shopkeeper.api.access import demand
from shopkeeper.api.body import decode, drain
from shopkeeper.api.call import Call, Handler
from shopkeeper.api.errors import Answer
from shopkeeper.api.middleware import tell
from shopkeeper.api.slates import check_feedback, check_request
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import Invalid, ShopkeeperError
from shopkeeper.core.records import Feedback, RecRequest
from shopkeeper.lifecycle.outputs import flattened

_json = msgspec.json.Encoder().encode
_INFER = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")
_INFER_DOORS = ("/v2/models/{model}/infer", "/v2/models/{model}/versions/{version}/infer")
RECOMMEND = "/api/v1/personalization/recommend"
_JSON = (b"content-type", b"application/json")
_PREDICTIONS = ("/predictions/{model}", "/predictions/{model}/{version}")


class Fastlane:
    """Answers the hot routes, hands the rest on. Sets `scope["door"]` to the path's template."""

    def __init__(self, shop: Shop, behind: ASGIApp, sockets: ASGIApp) -> None:
        self.shop = shop
        self.behind = behind
        self.sockets = sockets
        self._infer: Handler = partial(inference.infer, shop)
        self._kserve: Handler = partial(kserve.predict, shop)
        self._older: Handler = partial(predictions.predict, shop)
        self._by_path: dict[str, Handler] = {
            "/api/v1/personalization/feedback": self._feedback,
            "/api/v1/events": self._events,
            "/api/v1/personalization/events": self._events,
            **{path: partial(answer, shop) for path, answer in embeddings.HOT.items()},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            if scope["path"] == RECOMMEND:
                scope["door"] = RECOMMEND
                await self._suggest(scope, receive, send)
                return
            aimed = self._aimed(scope["path"], scope["query_string"])
            if aimed is not None:
                handler, scope["door"], model, version = aimed
                await self._answer(handler, model, version, scope, receive, send)
                return
        if scope["type"] == "websocket" and scope["path"] == livesocket.PATH:
            await self.sockets(scope, receive, send)
            return
        await self.behind(scope, receive, send)

    def _aimed(self, path: str, query: bytes) -> tuple[Handler, str, str, str | None] | None:
        """Handler, template, model and version of a hot path."""
        handler = self._by_path.get(path)
        if handler is not None:
            return handler, path, "", None
        if path.startswith("/predictions/"):
            model, _, version = path[13:].partition("/")
            if model and "/" not in version:
                return self._predict, _PREDICTIONS[bool(version)], model, version or None
        elif path.startswith("/v2/models/"):
            if (asked := _INFER.fullmatch(path)) is not None:
                return self._infer, _INFER_DOORS[asked[2] is not None], asked[1], asked[2]
        elif path.startswith("/v1/models/"):
            if path.endswith(":predict") and "/" not in (model := path[11:-8]):
                return self._kserve, "/v1/models/{model}:predict", model, None
        elif path == "/predict":
            return self._older, path, predictions.model_of(self.shop, query), None
        return None

    async def _answer(
        self, handler: Handler, model: str, version: str | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        try:
            demand(scope["caller"], "p")
            body = await drain(receive)
            answer = await handler(Call(body, scope["query_string"], model, version, scope["headers"]))
        except ShopkeeperError as error:
            answer = errors.answer(error, scope["path"], scope["request_id"])
        if model:
            scope["model"] = model[:160]
            told = dict(answer.headers).get(b"x-model-version")
            if told is not None:
                scope["model_version"] = told.decode()
        await tell(answer, send)

    async def _suggest(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What is asked ten thousand times a second: a body that was answered before is not even read."""
        try:
            demand(scope["caller"], "p")
            body = await drain(receive)
            slates = self.shop.slates
            found = slates.again(body)
            if found is None:
                request = decode(body, RecRequest)
                check_request(request)
                found = await slates.answer(request, body)
        except ShopkeeperError as error:
            await tell(errors.answer(error, scope["path"], scope["request_id"]), send)
            return
        headers = [_JSON, (b"content-length", b"%d" % len(found))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": found})

    async def _feedback(self, call: Call) -> Answer:
        feedback = decode(call.body, Feedback)
        check_feedback(feedback)
        done = await asyncio.wrap_future(self.shop.log.append([self.shop.recommend.feedback(feedback)]))
        if done.rejected:
            raise Invalid(done.rejected[0].reason, code="bad_feedback")
        return Answer(200, b'{"status":"success","message":"feedback is stored"}')

    async def _events(self, call: Call) -> Answer:
        return Answer(202, _json(await incoming.take(self.shop.log, call.body)))

    async def _predict(self, call: Call) -> Answer:
        rows = scoring.rows(call.body)
        subject = scoring.subject_of(call.header(b"x-user-id"), rows)
        version = call.version or call.asked("version")
        scored = await scoring.score(self.shop, call.model, version, rows, subject=subject)
        body = _json({"predictions": flattened(scored.output, scored.predictions, strict=call.flag("strict"))})
        return Answer(200, body, ((b"x-model-version", scored.tag.encode()),))
