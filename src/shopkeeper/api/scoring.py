"""Rows to a served model and its outputs back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from shopkeeper.api.addressed import address
from shopkeeper.api.body import decode
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import Invalid
from shopkeeper.lifecycle.serving import Scored

MOST_ROWS = 10_000


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


async def score(
    shop: Shop, name: str, version: str | None, found: list[dict[str, Any]], *, subject: str | None = None
) -> Scored:
    """Outputs and the version that gave them. `name` may be `model@alias`; `subject` is the person who is answered,
    see `subject_of`. Raises NotFound, Unavailable, Overloaded, Invalid."""
    model, ref, view = address(shop, name, version)
    return await shop.predictor.predict(model, found, ref=ref, subject=subject, view=view)


def subject_of(header: bytes | None, found: Sequence[dict[str, Any]]) -> str | None:
    """Who stays with one version of a split: header X-User-ID, else `user_id` of the first row; None: nobody."""
    if header:
        return _text(header)[:128]
    user = found[0].get("user_id") if found else None
    known = isinstance(user, str | int) and not isinstance(user, bool)
    return str(user)[:128] if known else None


def _text(header: bytes) -> str:
    """The same id in a header and in a row is the same person, also beyond ASCII."""
    try:
        return header.decode()
    except UnicodeDecodeError:
        return header.decode("latin-1")
