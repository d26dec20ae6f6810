"""Slates before they are asked for: pages of what was shown, only while that helps and nothing else is to do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from slate_world import Slates, run, turns

from shopkeeper.core.changes import Change
from shopkeeper.core.records import RecFilters, RecRequest
from shopkeeper.recommend.slates import ahead
from shopkeeper.recommend.slates.ahead import Ahead

PAGE = "product"


def page(item: str, user: str = "U1", **more: Any) -> RecRequest:
    return RecRequest(user_id=user, scenario=PAGE, n_recommendations=4, context={"item_id": item}, **more)


async def look(slates: Slates, times: int = 20) -> None:
    """So many pages of items are asked for."""
    for k in range(times):
        await slates.ask(f"V{k}", scenario=PAGE, n_recommendations=4, context={"item_id": slates.world.shelf.ids[0]})


async def emptied(ready: Ahead) -> None:
    while ready.facts().waiting:
        await asyncio.sleep(0)
    await turns()


def test_pages_of_what_was_shown_are_ready() -> None:
    async def test() -> None:
        slates = Slates()
        ready = Ahead(slates.front, pages=3, idle=lambda: True)
        ready.start()
        await look(slates)
        shown = (await slates.ask(n_recommendations=5))["recommendations"]
        await emptied(ready)
        assert ready.facts().computed == 3
        before = slates.made
        for item in shown[:3]:
            answer = await slates.ask(scenario=PAGE, n_recommendations=4, context={"item_id": item["item_id"]})
            assert answer["cache_hit"]
        assert slates.made == before
        assert ready.facts().used == 3
        fourth = await slates.ask(scenario=PAGE, n_recommendations=4, context={"item_id": shown[3]["item_id"]})
        assert not fourth["cache_hit"]
        await ready.stop()

    run(test)


@pytest.mark.parametrize(
    ("pages", "looks", "more"),
    [(0, 20, {}), (3, 19, {}), (3, 20, {"filters": True}), (3, 20, {"context": {"hour": 3}})],
)
def test_pages_that_nobody_asks_for_like_that_are_not_made(pages: int, looks: int, more: dict[str, Any]) -> None:
    async def test() -> None:
        slates = Slates()
        ready = Ahead(slates.front, pages=pages, idle=lambda: True)
        for k in range(looks):
            context = {"item_id": slates.world.shelf.ids[0], **more.get("context", {})}
            filters = RecFilters(price_max=5) if "filters" in more else None
            request = RecRequest(user_id=f"V{k}", scenario=PAGE, context=context, filters=filters)
            await slates.front.answer(request)
        await slates.ask()
        assert ready.facts().waiting == 0

    run(test)


def test_nothing_is_made_while_others_need_the_time() -> None:
    async def test() -> None:
        slates = Slates()
        rest = asyncio.Event()
        looked = asyncio.Event()

        def idle() -> bool:
            looked.set()
            return rest.is_set()

        ready = Ahead(slates.front, idle=idle)
        ready.start()
        ready.queue([page(slates.world.shelf.ids[1])])
        await looked.wait()
        looked.clear()
        await looked.wait()
        assert (slates.made, ready.facts().computed, ready.facts().waiting) == (0, 0, 1)
        rest.set()
        await emptied(ready)
        assert (slates.made, ready.facts().computed) == (1, 1)
        await ready.stop()

    run(test)


def test_what_helps_nobody_rests() -> None:
    async def test() -> None:
        slates = Slates()
        ready = Ahead(slates.front, pages=10, most=5000, idle=lambda: True)
        await look(slates)
        for k in range(ahead._TRIAL // 10):
            await slates.ask(f"W{k}", n_recommendations=10)
        assert ready.facts().waiting == ahead._TRIAL
        await slates.ask("one-more", n_recommendations=10)
        assert ready.facts().waiting == ahead._TRIAL
        ready._not_before = 0.0  # its rest is over
        await slates.ask("later", n_recommendations=10)
        assert ready.facts().waiting == ahead._TRIAL + 10

    run(test)


def test_what_is_asked_most_is_computed_anew_after_all_was_dropped() -> None:
    async def test() -> None:
        slates = Slates()
        ready = Ahead(slates.front, idle=lambda: True)
        ready.start()
        for _ in range(3):
            await slates.ask("U1")
        await slates.ask("U2")
        slates.changes.tell(Change("model", names=("home_ranker",)))
        await emptied(ready)
        assert ready.facts().computed == 1
        assert (await slates.ask("U1"))["cache_hit"]
        assert not (await slates.ask("U2"))["cache_hit"]
        await ready.stop()

    run(test)


def test_one_that_fails_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        slates = Slates()
        ready = Ahead(slates.front, idle=lambda: True)
        ready.start()
        slates.error = RuntimeError("out of order")
        ready.queue([page(slates.world.shelf.ids[1])])
        await emptied(ready)
        assert "could not be computed ahead" in caplog.text
        slates.error = None
        ready.queue([page(slates.world.shelf.ids[2])])
        await emptied(ready)
        assert ready.facts().computed == 1
        await ready.stop()
        await ready.stop()

    run(test)


def test_of_too_many_the_oldest_are_forgotten() -> None:
    async def test() -> None:
        ready = Ahead(Slates().front, most=2)
        ready.queue(page(f"i{k}") for k in range(5))
        assert ready.facts().waiting == 2

    run(test)
