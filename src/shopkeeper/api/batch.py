"""Several slates in one request, and what goes with a basket."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from fastapi import Request, Response
from msgspec import Meta, Struct, field

from shopkeeper.api import errors
from shopkeeper.api.body import decode, read
from shopkeeper.api.door import Doors, ShopDep
from shopkeeper.api.forms import Id
from shopkeeper.api.slates import check_request, check_wish
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.core.ids import check_id
from shopkeeper.core.records import RecFilters, RecRequest, RecResponse

_LOGGER = logging.getLogger(__name__)
doors = Doors("Personalisation")
MOST = 100
_AT_ONCE = 4
"""So many of a batch are under way: more would wait for one another, and some beyond their deadline."""
_PATH = "/api/v1/personalization/recommend/batch"


class BatchForm(Struct):
    """What the page shows; each request is read by itself, so that a bad one fails alone."""

    requests: Annotated[list[RecRequest], Meta(min_length=1, max_length=MOST)]


class _Batch(Struct):
    requests: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=MOST)]


# In the order of the requests: a slate, or the error that the request alone would have got.
_EITHER = {"anyOf": [{"$ref": "#/components/schemas/RecResponse"}, {"$ref": "#/components/schemas/Problem"}]}
_ANSWERS = {
    "application/json": {
        "schema": {
            "type": "object",
            "required": ["responses"],
            "properties": {"responses": {"type": "array", "items": _EITHER}},
        }
    }
}


class BasketForm(Struct):
    """As a request for a slate, about a basket instead of a user; who is named is not shown what they refused."""

    item_ids: Annotated[list[Id], Meta(min_length=1, max_length=50)]
    user_id: Id | None = None
    context: dict[str, Any] = field(default_factory=dict)
    n_recommendations: int = 10
    scenario: str = "basket"
    filters: RecFilters | None = None
    use_cache: bool = True
    diversity_weight: float | None = None
    deadline_ms: int | None = None
    model: str | None = None
    debug: bool = False


@doors.add("POST", _PATH, scope="p", body=BatchForm, answer=_ANSWERS, errors=(429,))
async def recommend_batch(request: Request, shop: ShopDep) -> Response:
    """Up to 100 slates at once, in the order asked; a request that fails has its error in its place"""
    batch = await read(request, _Batch)
    found: list[bytes] = [b""] * len(batch.requests)
    left = iter(enumerate(batch.requests))
    request_id = request.scope["request_id"]
    await asyncio.gather(*(_work(shop, left, found, request_id) for _ in range(_AT_ONCE)))
    return Response(b'{"responses":[' + b",".join(found) + b"]}", media_type="application/json")


async def _work(shop: Shop, left: Iterator[tuple[int, msgspec.Raw]], found: list[bytes], request_id: str) -> None:
    """Takes requests until none is left. All of a batch wait as one in the queue for the pipeline."""
    for place, raw in left:
        try:
            asked = decode(bytes(raw), RecRequest)
            check_request(asked)
            found[place] = await shop.slates.answer(asked, whose=id(found))
        except ShopkeeperError as error:
            found[place] = errors.answer(error, _PATH, request_id).body
        except Exception:  # the last net of one, so that the others are answered; the log has the trace
            _LOGGER.exception("a request of a batch failed", extra={"request_id": request_id})
            found[place] = errors.unexpected(_PATH, request_id).body


@doors.add(
    "POST",
    "/api/v1/personalization/basket",
    scope="p",
    body=BasketForm,
    answer=RecResponse,
    errors=(404, 429, 504),
)
async def basket(request: Request, shop: ShopDep) -> Response:
    """What goes with the items of a basket"""
    form = await read(request, BasketForm)
    given = msgspec.structs.asdict(form)
    items, user_id = given.pop("item_ids"), given.pop("user_id")
    given["context"] = {**form.context, "item_ids": items}
    asked = RecRequest(user_id=user_id or "", **given)
    if user_id is not None:
        check_id(user_id, "user_id")
    check_wish(asked)
    return Response(await shop.slates.answer(asked), media_type="application/json")
