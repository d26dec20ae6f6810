"""Who asks, for the audit; and whom they ask about, where query or body may name the user."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request

from shopkeeper.api.access import Caller
from shopkeeper.api.body import read
from shopkeeper.core.errors import Invalid
from shopkeeper.core.ids import check_id
from shopkeeper.stores.audit import Actor

UserQuery = Annotated[str | None, Query(min_length=1, max_length=128)]


def actor(request: Request, caller: Caller) -> Actor:
    return Actor(caller.name, request.scope.get("request_id"))


async def fields(request: Request) -> dict[str, Any]:
    """The body as a plain object; none at all is an empty one. Raises Malformed."""
    return await read(request, dict[str, Any]) if await request.body() else {}


def subject(query: str | None, body: dict[str, Any]) -> str:
    """The user that query or body names. Raises Invalid (`no_user`: 400) when neither does, or when they differ."""
    named = body.get("user_id", query)
    if named is None:
        raise Invalid("no user is named; give user_id in the query or in the body", code="no_user", field="user_id")
    if not isinstance(named, str):
        raise Invalid(f"user_id is {type(named).__name__}, expected text", code="bad_id", field="user_id")
    if query is not None and named != query:
        raise Invalid("query and body name different users; give one user_id", code="two_users", field="user_id")
    return check_id(named, "user_id")
