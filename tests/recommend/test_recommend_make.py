"""Slates made among many, with rankers that raise, hang, and give nonsense: a slate always comes, and comes in time."""

import asyncio
import threading
from dataclasses import replace

import numpy as np
import pytest
from own_loop import on_a_loop
from recommend_world import BrokenRanker, Hand, Held, PriceRanker, World, recall_models, version

from shopkeeper.core.clock import SECOND
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.records import RecRequest
from shopkeeper.recommend import standing
from shopkeeper.recommend.scenariobook import ScenarioBook
from shopkeeper.recommend.scenarios import BUILT_IN
from shopkeeper.recommend.scoring import MOST_LOST


class QuickRanker(PriceRanker):
    loop_rows = 256


class NoNumbers(QuickRanker):
    def score(self, rows: np.ndarray) -> np.ndarray:
        return np.where(np.arange(len(rows)) == 2, np.nan, 0.5).astype(np.float32)


class WrongShape(QuickRanker):
    def score(self, _rows: np.ndarray) -> np.ndarray:
        return np.zeros(3, dtype=np.float32)


class Hanging(PriceRanker):
    """Does not come back before it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.calls = 0

    def score(self, rows: np.ndarray) -> np.ndarray:
        self.calls += 1
        assert self.let_go.wait(60)
        return super().score(rows)


def world_with(ranker: object) -> World:
    return World(models=Hand({**recall_models(), "home_ranker": ranker}))


def wish(user: str = "U0", **given) -> RecRequest:
    return RecRequest(**{"user_id": user, "scenario": "home"} | given)


def ids(made) -> list[str]:
    return [item.item_id for item in made.items]


@pytest.mark.parametrize("ranker", [PriceRanker(), QuickRanker()])
@on_a_loop
async def test_it_is_the_slate_that_is_made_at_once(ranker: object) -> None:
    world = world_with(ranker)
    for request in (
        wish(),
        wish("nobody"),
        wish(scenario="content"),
        wish(scenario="product", context={"item_id": "I9"}),
    ):
        made, plain = await world.service.make(request), world.service.recommend(request)
        assert made.response().recommendations == plain.recommendations
        assert made.model_version == plain.model_version
        assert not made.degraded
        assert [world.shelf.ids[row] for row in made.rows] == ids(made)


@on_a_loop
async def test_what_the_ranker_saw_is_told_for_the_items_shown() -> None:
    world = world_with(QuickRanker())
    made = await world.service.make(wish(n_recommendations=5))
    assert made.seen is not None
    assert made.seen.names == QuickRanker.feature_names
    assert made.seen.vectors.shape == (5, 2)
    scores = QuickRanker().score(made.seen.vectors)
    assert scores.tolist() == pytest.approx([item.score for item in made.items])


@pytest.mark.parametrize(
    ("ranker", "told"),
    [
        (BrokenRanker(), "rank: failed with RuntimeError"),
        (NoNumbers(), "rank: the ranker gave numbers that are not finite"),
        (WrongShape(), "rank: the ranker gave numbers of shape"),
    ],
)
@on_a_loop
async def test_a_ranker_that_fails_leaves_the_fused_order(ranker: object, told: str) -> None:
    made = await world_with(ranker).service.make(wish())
    assert made.degraded
    assert told in (made.explanation or "")
    assert made.seen is None
    plain = World(models=Hand(recall_models()))
    assert ids(made) == ids(await plain.service.make(wish()))


@on_a_loop
async def test_a_ranker_that_hangs_costs_its_deadline_and_no_one_else_waits() -> None:
    ranker = Hanging()
    world = world_with(ranker)
    try:
        slow = asyncio.ensure_future(world.service.make(wish(deadline_ms=400)))
        while not ranker.calls:
            await asyncio.sleep(0.001)
        page = wish(scenario="product", context={"item_id": "I9"})
        assert not (await world.service.make(page)).degraded
        assert not slow.done()  # the page was made while the ranker hung
        made = await slow
        assert "rank: the ranker did not answer in time" in (made.explanation or "")
        assert ids(made)
    finally:
        ranker.let_go.set()


class Slow(PriceRanker):
    def score(self, rows: np.ndarray) -> np.ndarray:
        threading.Event().wait(0.05)
        return super().score(rows)


@on_a_loop
async def test_the_wait_for_a_ranker_is_told_as_its_stage() -> None:
    world = world_with(Slow())
    for made in (await world.service.make(wish()), world.service.recommend(wish())):
        assert made.stages["rank"] > 40


@on_a_loop
async def test_a_ranker_that_fails_often_is_left_alone_and_tried_again() -> None:
    world = world_with(ranker := BrokenRanker())
    world.open()
    for _ in range(10):
        await world.service.make(wish())
    made = await world.service.make(wish())
    assert "the ranker failed too often; it is tried again in 30 s" in (made.explanation or "")
    ranker.broken = False
    assert (await world.service.make(wish())).degraded
    world.clock.advance(30 * SECOND)
    assert not (await world.service.make(wish())).degraded
    assert not (await world.service.make(wish())).degraded


@on_a_loop
async def test_after_a_hang_the_probe_has_a_thread_of_its_own() -> None:
    world = world_with(ranker := Hanging())
    try:
        slates = await asyncio.gather(*(world.service.make(wish(deadline_ms=60)) for _ in range(10)))
        assert all(made.degraded for made in slates)
        assert ranker.calls == 1  # the others waited behind it
        ranker.let_go, held = threading.Event(), ranker.let_go
        ranker.let_go.set()
        world.clock.advance(31 * SECOND)
        assert not (await world.service.make(wish())).degraded
        held.set()
    finally:
        ranker.let_go.set()


@on_a_loop
async def test_threads_that_hang_are_few() -> None:
    world = world_with(ranker := Hanging())
    try:
        for _ in range(MOST_LOST + 4):
            await asyncio.gather(*(world.service.make(wish(deadline_ms=30)) for _ in range(10)))
            world.clock.advance(31 * SECOND)
        assert ranker.calls <= MOST_LOST + 1
        assert "never came back" in ((await world.service.make(wish(deadline_ms=200))).explanation or "")
    finally:
        ranker.let_go.set()


@on_a_loop
async def test_a_late_request_is_answered_without_what_takes_long() -> None:
    world = world_with(QuickRanker())
    made = await world.service.make(wish(deadline_ms=0.001))  # type: ignore[arg-type]
    assert "rank: no time left" in (made.explanation or "")
    assert ids(made)


@on_a_loop
async def test_wrong_requests_are_refused_before_they_wait() -> None:
    service = world_with(QuickRanker()).service
    for wrong in ({"scenario": "attic"}, {"n_recommendations": 0}, {"n_recommendations": 10**9}):
        with pytest.raises(Invalid):
            await service.make(wish(**wrong))
    with pytest.raises(NotFound):
        await service.make(wish(model="dream"))
    assert not (await service.make(wish())).degraded


@on_a_loop
async def test_an_empty_catalogue_gives_an_empty_slate() -> None:
    world = world_with(QuickRanker())
    world.shelf.active[:] = False
    world.shelf.version += 1
    made = await world.service.make(wish())
    assert made.items == ()


@on_a_loop
async def test_many_at_once_are_all_answered() -> None:
    service = world_with(QuickRanker()).service
    made = await asyncio.gather(*(service.make(wish(f"U{k % 7}")) for k in range(100)))
    assert {one.degraded for one in made} == {False}
    assert len({one.slate_id for one in made}) == 100


class OnDisk(Hand):
    """Versions of the ranker that are not in memory: an alias is looked up each time, a number is kept."""

    def __init__(self) -> None:
        super().__init__(recall_models())
        self.looked, self.candidate = 0, 2
        self.there = threading.Event()
        self.there.set()

    def peek(self, model: str, ref: str = "champion", _scope: str = "all") -> Held | None:
        return super().peek(model) if ref == "champion" else None

    def get(self, model: str, ref: str = "champion", _scope: str = "all") -> Held:
        if model != "home_ranker":
            return super().get(model)
        self.looked += 1
        assert self.there.wait(60)
        if ref == "9":
            raise NotFound("no version 9 of home_ranker", code="unknown_version")
        return Held(version(model, self.candidate if ref == "candidate" else int(ref)), QuickRanker())


def ranked_by(address: str) -> World:
    world = World(models=OnDisk())
    world.service.book = ScenarioBook()
    world.service.book._present["home"] = replace(BUILT_IN["home"], ranker=address)
    return world


@pytest.mark.parametrize(("address", "told"), [("home_ranker@candidate", 2), ("home_ranker/3", 3)])
@on_a_loop
async def test_a_scenarios_ranker_may_be_a_version_that_is_not_in_memory(address: str, told: int) -> None:
    world = ranked_by(address)
    made = await asyncio.gather(*(world.service.make(wish(f"U{k}")) for k in range(5)))
    assert {one.model_version for one in made} == {f"home_ranker:{told}"}
    assert (await world.service.make(wish())).model_version == f"home_ranker:{told}"
    assert world.service.recommend(wish()).model_version == f"home_ranker:{told}"
    assert world.models.looked == 1


@on_a_loop
async def test_an_alias_of_a_scenario_is_looked_up_again_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    world = ranked_by("home_ranker@candidate")
    await world.service.make(wish())
    world.models.candidate = 5
    monkeypatch.setattr(standing, "AGAIN_S", 0.0)
    world.models.there.clear()
    assert (await world.service.make(wish())).model_version == "home_ranker:2", "nobody waits for what is there"
    world.models.there.set()
    while (await world.service.make(wish())).model_version != "home_ranker:5":
        await asyncio.sleep(0.001)


@on_a_loop
async def test_a_version_that_does_not_exist_or_takes_long_leaves_the_fused_order() -> None:
    missing = ranked_by("home_ranker/9")
    for _ in range(3):
        made = await missing.service.make(wish())
        assert made.degraded
        assert made.explanation == "without rank: home_ranker/9: no model serves"
    assert missing.models.looked == 1
    slow = ranked_by("home_ranker/3")
    slow.models.there.clear()
    made = await slow.service.make(wish(deadline_ms=30))
    assert made.items
    assert made.explanation is not None
    slow.models.there.set()
