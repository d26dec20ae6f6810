"""Users: their records. What events say of them is their profile."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import Header, Query, Request, Response

from shopkeeper.api.body import read
from shopkeeper.api.door import Cursor, Doors, Id, Limit, Page, ShopDep, reply
from shopkeeper.api.forms import UserForm
from shopkeeper.api.many import parse
from shopkeeper.bootstrap import Shop
from shopkeeper.core.ids import check_id
from shopkeeper.core.records import User
from shopkeeper.stores.etags import etag
from shopkeeper.stores.put_many import PutMany

doors = Doors("Users")
IfMatch = Annotated[str | None, Header(max_length=1000)]
Search = Annotated[str | None, Query(max_length=200)]


@doors.add("GET", "/api/v1/users", scope="r", answer=Page[User], errors=(404,))
async def list_users(
    shop: ShopDep,
    q: Search = None,
    segment: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
    sort: Literal["user_id"] = "user_id",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Registered users by id; `q` is a part of the id. With `segment`: its members, `q` is not looked at"""
    del sort  # there is this one only
    if segment is not None:
        await shop.segments.settle()
        return reply(_of_segment(shop, segment, limit, cursor))
    return reply(Page(*await asyncio.to_thread(shop.users.list, q, limit, cursor)))


@doors.add("POST", "/api/v1/users", scope="o", body=list[User], answer=PutMany, errors=(429,))
async def put_users(request: Request, shop: ShopDep) -> Response:
    """Creates or replaces up to 1000 users; a bad one is rejected alone"""
    found = parse(await request.body(), User)
    done = await asyncio.wrap_future(shop.users.put_many(found.records))
    rejected = found.with_rejected(done.rejected)
    return reply(PutMany(created=done.created, updated=done.updated, rejected=rejected))


@doors.add("GET", "/api/v1/users/{user_id}", scope="r", answer=User, errors=(404,))
async def get_user(shop: ShopDep, user_id: Id) -> Response:
    """One user"""
    user = shop.users.get(user_id)
    return reply(user, headers={"etag": etag(user.updated_at)})


@doors.add("PUT", "/api/v1/users/{user_id}", scope="o", body=UserForm, answer=User, also=(201,), errors=(409, 412, 429))
async def put_user(request: Request, shop: ShopDep, user_id: Id, if_match: IfMatch = None) -> Response:
    """Creates or replaces a user"""
    form = await read(request, UserForm)
    user = User(user_id=check_id(user_id, "user_id"), attributes=form.attributes)
    stored, created = await asyncio.wrap_future(shop.users.put(user, if_match))
    return reply(stored, 201 if created else 200, {"etag": etag(stored.updated_at)})


@doors.add("DELETE", "/api/v1/users/{user_id}", scope="o", status=204, errors=(404, 412, 429))
async def delete_user(shop: ShopDep, user_id: Id, if_match: IfMatch = None) -> Response:
    """Removes a user's record; the events stay"""
    await asyncio.wrap_future(shop.users.delete(user_id, if_match))
    return Response(status_code=204)


def _of_segment(shop: Shop, segment: str, limit: int, cursor: str | None) -> Page[User]:
    """Members with their records; one known from events only has an empty one."""
    members, after, total = shop.segments.members(segment, limit, cursor)
    rows = [int(row) for row in shop.vocab.users.rows([one["user_id"] for one in members])]
    found = shop.users.attributes(rows)
    users = [
        User(user_id=one["user_id"], attributes=found.get(row, {})) for one, row in zip(members, rows, strict=True)
    ]
    return Page(users, after, total)
