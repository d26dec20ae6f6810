"""A front over what really computes slates, with a clock to be moved and a log that remembers what it was told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

import msgspec
from recommend_world import World

from shopkeeper.core.changes import Changes
from shopkeeper.core.records import RecRequest
from shopkeeper.recommend.made import Made, slate_of
from shopkeeper.recommend.slates import Front
from shopkeeper.recommend.slates.shared import SharedSlates

MIB = 1024 * 1024


class Log:
    """What a slate log hears."""

    def __init__(self) -> None:
        self.noted: list[Made] = []
        self.times: Counter[str] = Counter()

    def note(self, made: Made) -> None:
        self.noted.append(made)

    def served(self, slate_id: str, times: int = 1) -> None:
        self.times[slate_id] += times


class Slates:
    """`gate`: while it is not set, computations wait. `made` is how often one began."""

    def __init__(
        self, world: World | None = None, *, most: int = 8 * MIB, shared: SharedSlates | None = None,
        changes: Changes | None = None,
    ) -> None:  # fmt: skip
        self.world = world or World()
        self.log = Log()
        self.at = 1000.0
        self.made = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: BaseException | None = None
        self.changes = changes or Changes()
        self.front = Front(
            self._make, users=self.world.users, clock=self.world.clock, log=self.log, most=most, shared=shared,
            now=lambda: self.at,
        )  # fmt: skip
        self.changes.subscribe(self.front.hear)

    async def _make(self, request: RecRequest, *, whose: Hashable = None) -> Made:
        self.made += 1
        made = await self.world.service.make(request, whose=whose)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return made

    async def ask(self, user: str = "U1", **more: Any) -> dict[str, Any]:
        request = RecRequest(user_id=user, **{"scenario": "home", **more})
        answer: dict[str, Any] = msgspec.json.decode(await self.front.answer(request))
        return answer

    async def post(self, body: bytes) -> dict[str, Any]:
        """As the fast lane does."""
        found = self.front.again(body)
        if found is None:
            found = await self.front.answer(msgspec.json.decode(body, type=RecRequest), body)
        answer: dict[str, Any] = msgspec.json.decode(found)
        return answer


def shown(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["recommendations"]]


def slate(answer: dict[str, Any]) -> str:
    return slate_of(answer["request_id"])


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(60):
            await test()

    asyncio.run(within())


async def turns(n: int = 10) -> None:
    """Lets what is under way go on until it waits."""
    for _ in range(n):
        await asyncio.sleep(0)
