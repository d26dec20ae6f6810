"""Rows to a served model and its outputs back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from shopkeeper.api.body import decode
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import Invalid
from shopkeeper.core.ids import check_name
from shopkeeper.lifecycle.addresses import CHAMPION
from shopkeeper.lifecycle.serving import Scored

MOST_ROWS = 10_000
_ON_LOOP = 256  # so many rows score faster on the loop than a hand-over to a thread takes


class Data(msgspec.Struct):
    data: Annotated[list[dict[str, Any]], Meta(max_length=MOST_ROWS)]


class Predictions(msgspec.Struct):
    predictions: list[Any]


def rows(body: bytes) -> list[dict[str, Any]]:
    """The rows of `{data: [...]}`. Raises Malformed, Invalid when there are none."""
    found = decode(body, Data).data
    check_rows(found)
    return found


def check_rows(found: Sequence[dict[str, Any]]) -> None:
    """Raises Invalid."""
    if not found:
        raise Invalid("data is empty; send at least one row", code="empty_data", field="data")
    if len(found) > MOST_ROWS:
        raise Invalid(f"data has {len(found)} rows, at most {MOST_ROWS} at once", code="too_many_rows", field="data")


async def score(shop: Shop, name: str, version: str | None, found: list[dict[str, Any]]) -> Scored:
    """Outputs and the version that gave them. `name` may be `model@alias`. Raises NotFound, Unavailable, Invalid."""
    model, _, alias = name.partition("@")
    check_name(model, "model")
    ref = version or alias or CHAMPION
    if len(found) <= _ON_LOOP and shop.serving.peek(model, ref) is not None:
        return shop.serving.score(model, found, ref)
    return await asyncio.to_thread(shop.serving.score, model, found, ref)
