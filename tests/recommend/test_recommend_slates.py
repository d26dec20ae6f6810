"""Kept slates: the same answer for the same question while it holds, computed once, and gone when it does not."""

import asyncio

import msgspec
import pytest
from recommend_world import BrokenRanker, Hand, World, recall_models
from slate_world import Slates, run, shown, slate, turns

from shopkeeper.core.changes import Change, Kind
from shopkeeper.core.errors import Invalid, Overloaded
from shopkeeper.core.records import RecFilters, RecRequest, RecResponse
from shopkeeper.recommend.slates.entry import tag_of
from shopkeeper.recommend.slates.keys import key_of

BODY = b'{"user_id":"U1","scenario":"home"}'


def test_the_second_answer_is_the_first_under_its_own_id() -> None:
    async def test() -> None:
        slates = Slates()
        first, again, third = [await slates.ask() for _ in range(3)]
        assert (first["cache_hit"], again["cache_hit"]) == (False, True)
        assert slates.made == 1
        changing = ("request_id", "latency_ms", "cache_hit", "timestamp")
        assert {k: v for k, v in first.items() if k not in changing} == {
            k: v for k, v in again.items() if k not in changing
        }
        assert again["request_id"] != third["request_id"]
        assert slate(again) == slate(third) == first["request_id"]

    run(test)


def test_a_kept_answer_has_the_shape_of_a_computed_one() -> None:
    async def test() -> None:
        slates = Slates()
        first = await slates.ask()
        again = await slates.ask()
        computed = msgspec.to_builtins(
            (await slates.world.service.make(RecRequest(user_id="U1", scenario="home"))).response()
        )
        assert first.keys() == again.keys() == computed.keys()
        for answer in (first, again):
            msgspec.convert(answer, RecResponse, strict=False)

    run(test)


def test_equal_bodies_need_no_reading() -> None:
    async def test() -> None:
        slates = Slates()
        assert slates.front.again(BODY) is None
        await slates.post(BODY)
        assert slates.front.again(BODY) is not None
        assert slates.front.again(BODY + b" ") is None
        # Another body with the same meaning finds the same slate and is known from then on.
        other = b'{"scenario":"home","user_id":"U1","deadline_ms":5000}'
        assert (await slates.post(other))["cache_hit"]
        assert slates.front.again(other) is not None
        assert slates.made == 1

    run(test)


@pytest.mark.parametrize(
    "more",
    [
        {"scenario": "content"},
        {"n_recommendations": 3},
        {"filters": RecFilters(price_max=5)},
        {"diversity_weight": 0.5},
        {"context": {"page": 2}},
    ],
)
def test_what_counts_makes_another_question(more: dict) -> None:
    async def test() -> None:
        slates = Slates()
        await slates.ask()
        assert not (await slates.ask(**more))["cache_hit"]
        assert not (await slates.ask("U2"))["cache_hit"]
        assert (await slates.ask(**more))["cache_hit"]

    run(test)


def test_a_context_may_hold_whole_numbers_of_any_size() -> None:
    async def test() -> None:
        slates = Slates()
        first = await slates.ask(context={"session": 10**30})
        assert slate(await slates.ask(context={"session": 10**30})) == slate(first)
        assert slate(await slates.ask(context={"session": 10**30 + 1})) != slate(first)

    run(test)


def test_order_of_what_has_none_does_not_count() -> None:
    one = RecRequest(user_id="a", context={"a": 1, "b": 2}, filters=RecFilters(exclude_items=["x", "y"]))
    two = RecRequest(user_id="a", context={"b": 2, "a": 1}, filters=RecFilters(exclude_items=["y", "x", "x"]))
    assert key_of(one, 1) == key_of(two, 1)
    assert key_of(one, 1) != key_of(one, 2)


@pytest.mark.parametrize("more", [{"use_cache": False}, {"debug": True}])
def test_who_asks_past_the_cache_is_computed_for(more: dict) -> None:
    async def test() -> None:
        slates = Slates()
        await slates.ask()
        assert not (await slates.ask(**more))["cache_hit"]
        assert not (await slates.ask(**more))["cache_hit"]
        assert slates.made == 3
        assert slates.front.facts().bypassed == 2
        assert len(slates.log.noted) == 3

    run(test)


def test_it_lasts_as_long_as_its_scenario_says() -> None:
    async def test() -> None:
        slates = Slates()
        await slates.post(BODY)
        slates.at += 299
        assert (await slates.post(BODY))["cache_hit"]
        slates.at += 1.1
        assert slates.front.again(BODY) is None
        assert not (await slates.post(BODY))["cache_hit"]
        assert slates.front.facts().expired == 1

    run(test)


def test_one_that_is_asked_often_is_computed_anew_before_its_end() -> None:
    async def test() -> None:
        slates = Slates()
        for _ in range(3):
            first = await slates.post(BODY)
        slates.at += 275  # of 300: within the last tenth
        kept = await slates.post(BODY)
        assert slate(kept) == slate(first)
        await turns()
        assert slates.made == 2
        fresh = await slates.post(BODY)
        assert fresh["cache_hit"]
        assert slate(fresh) != slate(first)
        assert slates.front.facts().renewed == 1
        slates.at += 290
        assert (await slates.post(BODY))["cache_hit"]
        # It is noted in the log when somebody is given it, not when it is computed.
        assert [made.slate_id for made in slates.log.noted] == [slate(first), slate(fresh)]

    run(test)


def test_errors_are_those_of_who_asked() -> None:
    async def test() -> None:
        slates = Slates()
        for _ in range(3):
            await slates.post(BODY)
        slates.error = Overloaded("too many")
        slates.at += 275
        await slates.post(BODY)  # kept still; that it cannot be computed anew is nobody's error
        await turns()
        assert slates.made == 2
        assert slates.front.speed().error_rate == 0
        slates.error = RuntimeError("broken inside")
        slates.at += 30
        failed = await asyncio.gather(*(slates.post(BODY) for _ in range(3)), return_exceptions=True)
        assert {type(one) for one in failed} == {RuntimeError}
        assert slates.front.speed().error_rate == pytest.approx(3 / 7, abs=1e-3)

    run(test)


def test_a_renewal_that_breaks_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        slates = Slates()
        for _ in range(3):
            await slates.post(BODY)
        slates.error = RuntimeError("broken inside")
        slates.at += 275
        assert (await slates.post(BODY))["cache_hit"]
        await turns()
        assert slates.front._behind == set()

    run(test)
    assert [record.message for record in caplog.records] == ["a kept slate could not be computed anew"]


# -- equal requests at the same time


def test_equal_requests_at_the_same_time_are_computed_once() -> None:
    async def test() -> None:
        slates = Slates()
        slates.gate.clear()
        asked = [asyncio.create_task(slates.ask()) for _ in range(50)]
        await turns()
        slates.gate.set()
        answers = await asyncio.gather(*asked)
        assert slates.made == 1
        assert len({answer["request_id"] for answer in answers}) == 50
        assert sum(not answer["cache_hit"] for answer in answers) == 1
        assert slates.front.facts().coalesced == 49
        slates.front.tell_log()
        assert slates.log.times == {slate(answers[0]): 49}

    run(test)


def test_an_error_is_everybodys_and_is_not_kept() -> None:
    async def test() -> None:
        slates = Slates()
        slates.error = Overloaded("too much")
        slates.gate.clear()
        asked = [asyncio.create_task(slates.ask()) for _ in range(3)]
        await turns()
        slates.gate.set()
        assert [type(each) for each in await asyncio.gather(*asked, return_exceptions=True)] == [Overloaded] * 3
        slates.error = None
        assert not (await slates.ask())["cache_hit"]
        assert slates.front.window.speed(slates.at).error_rate > 0

    run(test)


def test_who_goes_away_leaves_the_others_an_answer() -> None:
    async def test() -> None:
        slates = Slates()
        slates.gate.clear()
        first, other = asyncio.create_task(slates.ask()), asyncio.create_task(slates.ask())
        await turns()
        first.cancel()
        await turns()
        slates.gate.set()
        assert (await other)["recommendations"]
        assert first.cancelled()
        assert slates.made == 2

    run(test)


def test_one_of_those_who_wait_may_go_away() -> None:
    async def test() -> None:
        slates = Slates()
        slates.gate.clear()
        first, other, third = [asyncio.create_task(slates.ask()) for _ in range(3)]
        await turns()
        other.cancel()
        await turns()
        slates.gate.set()
        assert slate(await first) == slate(await third)

    run(test)


def test_a_wrong_request_is_told_and_not_kept() -> None:
    async def test() -> None:
        slates = Slates()
        for _ in range(2):
            with pytest.raises(Invalid, match="no scenario"):
                await slates.ask(scenario="nowhere")
        assert len(slates.front.local) == 0
        assert slates.front.window.speed(slates.at).error_rate == 0

    run(test)


# -- changes


@pytest.mark.parametrize(
    ("change", "goes"),
    [
        (Change("user", rows=(1,)), True),
        (Change("user", rows=(2,)), False),
        (Change("user"), True),
        (Change("scenario", names=("home",)), True),
        (Change("scenario", names=("content",)), False),
        (Change("model", names=("ease",)), True),
        (Change("rules"), True),
        (Change("features"), True),
        (Change("all"), True),
    ],
)
def test_changes_drop_what_they_concern(change: Change, goes: bool) -> None:
    async def test() -> None:
        slates = Slates()
        await slates.post(BODY)
        slates.changes.tell(change)
        assert (slates.front.again(BODY) is None) is goes
        assert (await slates.ask())["cache_hit"] is not goes

    run(test)


def test_a_changed_item_drops_the_slates_that_show_it() -> None:
    async def test() -> None:
        slates = Slates()
        rows = [slates.world.items.row(id) for id in shown(await slates.ask(n_recommendations=3))]
        others = set(range(25)) - set(rows)
        slates.changes.tell(Change("item", rows=tuple(others)))
        assert (await slates.ask(n_recommendations=3))["cache_hit"]
        slates.world.shelf.active[rows[1]] = False
        slates.world.shelf.version += 1
        slates.changes.tell(Change("item", rows=(rows[1],)))
        fresh = await slates.ask(n_recommendations=3)
        assert not fresh["cache_hit"]
        assert slates.world.shelf.ids[rows[1]] not in shown(fresh)

    run(test)


@pytest.mark.parametrize("kind", ["user", "item", "scenario", "model"])
def test_a_change_while_it_is_computed_keeps_it_from_being_kept(kind: Kind) -> None:
    async def test() -> None:
        slates = Slates()
        slates.gate.clear()
        before = asyncio.create_task(slates.ask())
        await turns()
        rows, names = {"user": (1,), "item": tuple(range(25))}.get(kind, ()), {"scenario": ("home",)}.get(kind, ())
        slates.changes.tell(Change(kind, rows, names))
        after = asyncio.create_task(slates.ask())  # it must not be given what was begun before the change
        await turns()
        slates.gate.set()
        old, new = await before, await after
        assert slate(old) != slate(new)
        assert slate(await slates.ask()) == slate(new)

    run(test)


def test_one_who_was_a_stranger_is_known_by_the_first_event() -> None:
    async def test() -> None:
        slates = Slates()
        await slates.ask("somebody new")
        assert (await slates.ask("somebody new"))["cache_hit"]
        slates.world.users.stage("somebody new")
        slates.world.users.publish()
        slates.changes.tell(Change("user", rows=(slates.world.users.row("somebody new"),)))
        assert not (await slates.ask("somebody new"))["cache_hit"]

    run(test)


# -- degraded


def test_what_a_fallback_helped_to_make_is_kept_a_second() -> None:
    async def test() -> None:
        world = World(models=Hand({**recall_models(), "home_ranker": BrokenRanker()}))
        slates = Slates(world)
        first = await slates.ask()
        assert first["degraded"]
        assert (await slates.ask())["cache_hit"]
        slates.at += 1.5
        assert not (await slates.ask())["cache_hit"]

    run(test)


# -- bounds


def test_the_least_recently_used_go_first_and_bytes_stay_bounded() -> None:
    async def test() -> None:
        slates = Slates(most=100_000)
        for _ in range(3):
            for page in range(60):
                await slates.ask("U1", context={"page": page})
                await slates.ask("U2")  # always in use
                assert slates.front.local.size <= 100_000
        facts = slates.front.facts()
        assert facts.evicted > 0
        assert 0 < facts.entries < 60
        assert (await slates.ask("U2"))["cache_hit"]

    run(test)


def test_nothing_is_kept_where_there_is_no_room() -> None:
    async def test() -> None:
        slates = Slates(most=0)
        assert not (await slates.post(BODY))["cache_hit"]
        assert not (await slates.post(BODY))["cache_hit"]
        assert slates.front.local.size == 0

    run(test)


def test_dropping_leaves_nothing_behind() -> None:
    async def test() -> None:
        slates = Slates()
        for user in range(5):
            for page in range(10):
                body = msgspec.json.encode({"user_id": f"U{user}", "context": {"page": page}, "scenario": "home"})
                await slates.post(body)
        local = slates.front.local
        assert local.size > 0
        for user in range(5):
            slates.changes.tell(Change("user", rows=(user,)))
        assert (local.size, len(local), local.by_body, local._of, local._showing) == (0, 0, {}, {}, {})

    run(test)


def test_numbers_of_answers_are_base_32() -> None:
    assert [tag_of(n) for n in (1, 31, 32, 1023, 1024)] == [b"01", b"0Z", b"10", b"ZZ", b"100"]
