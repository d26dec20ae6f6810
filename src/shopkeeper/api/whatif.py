"""What a user would be after some events; nothing is stored."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import Request, Response

from shopkeeper.api.body import read
from shopkeeper.api.door import Doors, Id, ShopDep, reply
from shopkeeper.core.records import Event
from shopkeeper.operations.whatif import MOST_EVENTS, Supposed

doors = Doors("Profiles")


class WhatIfForm(msgspec.Struct, forbid_unknown_fields=True):
    """Events as they would be sent, without `user_id` or with that of the path; `n` top items of a scenario."""

    events: Annotated[list[Event], msgspec.Meta(min_length=1, max_length=MOST_EVENTS)]
    n: Annotated[int, msgspec.Meta(ge=1, le=50)] = 10
    scenario: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] = "home"


@doors.add("POST", "/api/v1/user/{user_id}/what-if", scope="r", body=WhatIfForm, answer=Supposed, errors=(403, 404))
async def what_if(request: Request, shop: ShopDep, user_id: Id) -> Response:
    """Score, segments and top items of a user before and after some events; nothing is stored"""
    form = await read(request, WhatIfForm)
    return reply(shop.what_if.ask(user_id, form.events, n=form.n, scenario=form.scenario))
