"""Lanes, splits, ensembles and shadows over real loaded versions."""

import asyncio
import gc
import weakref
from collections import Counter

import pytest
import toyshop

from shopkeeper.core.clock import SystemClock
from shopkeeper.core.errors import Conflict, Invalid, NotFound, Overloaded, Stale, Unavailable
from shopkeeper.lifecycle.lanes import Lane, LaneLimits
from shopkeeper.lifecycle.predicting import Predictor
from shopkeeper.lifecycle.serving import Serving
from shopkeeper.lifecycle.splits import Shadow, Split, Stack, Variant
from shopkeeper.lifecycle.traffic import Traffic
from shopkeeper.stores import registry as registry_table
from shopkeeper.stores import traffic as table

X = [{"x": 10.0}]
ODD = [{"x": 100.0}]


@pytest.fixture
def serving(registry):
    return Serving(registry)


@pytest.fixture
def traffic(db, registry, serving):
    return Traffic(db, registry, serving, SystemClock())


@pytest.fixture
def predictor(serving, traffic):
    return Predictor(serving, traffic, LaneLimits(queue_rows=4, batch_rows=4, deadline_s=20.0))


@pytest.fixture(autouse=True)
def closed_door():
    toyshop.Slow.door.clear()
    yield
    toyshop.Slow.door.set()


@pytest.fixture
def two(registry, add_version):
    """A champion that doubles and a candidate that triples."""

    def make(algorithm="toy_line", champion="toy_line"):
        add_version(2.0, algorithm=champion)
        registry.promote("line", 1)
        add_version(3.0, algorithm=algorithm)

    return make


def plan(*weights, **more):
    return Split(variants=[Variant(version=n, weight=w) for n, w in enumerate(weights, 1)], **more)


def ask(predictor, rows=X, **more):
    return asyncio.run(predictor.predict("line", rows, **more))


async def entered():
    assert await asyncio.to_thread(toyshop.Slow.entered.acquire, timeout=30)


# -- lanes


def test_requests_of_one_tick_are_scored_in_one_call(registry, add_version, serving, predictor):
    add_version(2.0, algorithm="toy_swift")
    registry.promote("line", 1)

    async def many():
        return await asyncio.gather(*(predictor.predict("line", [{"x": float(n)}]) for n in range(8)))

    predictor._limits = LaneLimits()
    assert [scored.predictions for scored in asyncio.run(many())] == [[2.0 * n] for n in range(8)]
    assert serving.get("line").model.calls[-1:] == [8]


def test_a_batch_takes_no_more_than_the_model_says_and_more_rows_go_to_the_thread(
    registry, add_version, serving, predictor
):
    add_version(2.0, algorithm="toy_swift")
    registry.promote("line", 1)

    async def many():
        rows = [[{"x": 1.0}] * 3 for _ in range(4)]
        return await asyncio.gather(*(predictor.predict("line", one) for one in rows))

    predictor._limits = LaneLimits()
    asyncio.run(many())
    assert serving.get("line").model.calls[-2:] == [6, 6]
    ask(predictor, [{"x": 1.0}] * 9)
    assert serving.get("line").model.calls[-1] == 9


def test_one_bad_request_of_a_batch_fails_alone(registry, add_version, predictor):
    add_version(2.0, algorithm="toy_swift")
    registry.promote("line", 1)

    async def many():
        asked = [predictor.predict("line", [{"x": x}]) for x in (1.0, "ten", 3.0)]
        return await asyncio.gather(*asked, return_exceptions=True)

    first, second, third = asyncio.run(many())
    assert (first.predictions, third.predictions) == ([2.0], [6.0])
    assert isinstance(second, Invalid)


def test_a_full_queue_refuses_and_a_batch_forms_while_the_thread_is_busy(registry, add_version, predictor):
    add_version(2.0, algorithm="toy_slow")
    registry.promote("line", 1)

    async def crowd():
        first = asyncio.create_task(predictor.predict("line", ODD))
        await entered()
        waiting = [asyncio.create_task(predictor.predict("line", X)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="4 rows wait") as caught:
            await predictor.predict("line", X)
        assert caught.value.code == "queue_full"
        toyshop.Slow.door.set()
        return await asyncio.gather(first, *waiting)

    assert [scored.predictions for scored in asyncio.run(crowd())] == [[200.0], [20.0], [20.0], [20.0]]


def test_a_request_that_waited_too_long_is_dropped_before_it_is_scored(registry, add_version, serving, traffic):
    add_version(2.0, algorithm="toy_slow")
    registry.promote("line", 1)
    hurried = Predictor(serving, traffic, LaneLimits(deadline_s=0.05))

    async def late():
        first = asyncio.create_task(hurried.predict("line", ODD))
        await entered()
        second = asyncio.create_task(hurried.predict("line", ODD))
        for one in (first, second):
            with pytest.raises(Unavailable, match="did not answer in time") as caught:
                await one
            assert caught.value.code == "deadline"
        toyshop.Slow.door.set()
        await hurried.predict("line", X)

    asyncio.run(late())
    assert not toyshop.Slow.entered.acquire(blocking=False)


def test_what_a_model_raises_is_told_without_its_inside(registry, add_version, predictor):
    add_version(2.0, algorithm="toy_moody")
    registry.promote("line", 1)
    with pytest.raises(Unavailable, match="model 'line' failed: ZeroDivisionError") as caught:
        ask(predictor, ODD)
    assert "secret" not in caught.value.message
    assert ask(predictor).predictions == [20.0]


# -- splits


def test_a_split_keeps_people_and_counts_what_each_version_answered(two, traffic, serving, predictor):
    two()
    traffic.set_split("line", plan(1, 1), by="anna")

    async def crowd():
        people = [f"user-{n}" for n in range(100)] * 2
        return [(who, (await predictor.predict("line", X, subject=who)).version) for who in people]

    answered = asyncio.run(crowd())
    assert answered[:100] == answered[100:]
    counted = Counter(version for _, version in answered)
    assert {n: serving.peek("line", str(n)).answered for n in (1, 2)} == counted
    assert min(counted.values()) > 50


def test_a_version_that_is_named_answers_whatever_the_split_says(two, traffic, predictor):
    two()
    traffic.set_split("line", plan(1, 0))
    assert ask(predictor, ref="v2").predictions == [30.0]
    assert ask(predictor, ref="candidate").predictions == [30.0]


def test_the_champion_answers_for_a_variant_that_fails_and_the_guard_takes_it_out(two, traffic, predictor, db):
    two("toy_moody")
    traffic.set_split("line", plan(0, 1))

    async def crowd():
        told = [await predictor.predict("line", ODD) for _ in range(3)]
        await asyncio.gather(*predictor._tasks)
        return told

    assert [scored.predictions for scored in asyncio.run(crowd())] == [[200.0]] * 3
    assert traffic.active("line") is None
    with db.read() as connection:
        newest = table.current(connection, "line", "all", "split")
    assert newest.changed_by == "guard"
    assert newest.reason == "automatic rollback: 3 of its last 3 answers failed, the champion failed 0 times"
    assert ask(predictor, ODD).version == 1


def test_without_automatic_rollback_it_stays_and_the_champion_goes_on_answering(two, traffic, predictor):
    two("toy_moody")
    traffic.set_split("line", plan(0, 1, auto_rollback=False))
    assert [ask(predictor, ODD).version for _ in range(5)] == [1] * 5
    assert traffic.active("line") is not None


def test_rows_that_the_champion_refuses_too_are_the_clients_mistake(two, traffic, predictor):
    two()
    traffic.set_split("line", plan(0, 1))
    for _ in range(5):
        with pytest.raises(Invalid, match="expected a number"):
            ask(predictor, [{"x": "ten"}])
    assert len(traffic.active("line").window(2)) == 0


def test_a_variant_that_hangs_is_answered_for_within_the_time(two, serving, traffic):
    two("toy_slow")
    traffic.set_split("line", plan(0, 1))
    hurried = Predictor(serving, traffic, LaneLimits(deadline_s=0.2))
    assert ask(hurried, ODD).version == 1
    toyshop.Slow.entered.acquire(timeout=30)


def test_a_promotion_ends_the_split_in_the_same_commit(two, registry, traffic, predictor):
    two()
    traffic.set_split("line", plan(1, 1))
    traffic.set_shadow("line", Shadow(version=2))
    registry.promote("line", 2, force=True)
    assert traffic.active("line") is None
    assert traffic.compared("line") is None
    assert ask(predictor).version == 2


def test_a_plan_is_tried_before_it_is_kept(two, registry, traffic):
    two()
    broken = registry.folder(registry.version("line", 2)) / "line.json"
    broken.write_text("{")
    with pytest.raises(Conflict, match="line v2 cannot serve"):
        traffic.set_split("line", plan(1, 1))
    assert traffic.active("line") is None


def test_a_plan_names_what_there_is(two, traffic):
    two()
    with pytest.raises(NotFound, match="no version 3"):
        traffic.set_split("line", plan(1, 1, 1))
    with pytest.raises(NotFound, match="no model 'nothing'"):
        traffic.set_split("nothing", plan(1))


def test_without_a_champion_there_is_nobody_to_stand_in(add_version, traffic):
    add_version(2.0, verdict="HOLD")
    with pytest.raises(Conflict, match="no champion"):
        traffic.set_split("line", plan(1))


def test_a_lost_race_is_refused(two, traffic):
    two()
    tag, _ = traffic.stored("line")
    traffic.set_split("line", plan(9, 1), if_match=tag)
    with pytest.raises(Stale, match="changed meanwhile"):
        traffic.set_split("line", plan(5, 5), if_match=tag)
    assert traffic.active("line").split.variants[1].weight == 0.1


def test_plans_outlive_the_process(two, db, registry, traffic, serving):
    two()
    traffic.set_split("line", plan(1, 3))
    traffic.set_shadow("line", Shadow(version=2, share=0.5))
    again = Traffic(db, registry, serving, SystemClock())
    again.load()
    assert again.active("line").split == traffic.active("line").split
    assert again.compared("line").shadow == Shadow(version=2, share=0.5)
    with db.read() as connection:
        assert table.versions_in_traffic(connection, "line", "all") == {1, 2}


def test_what_has_traffic_is_loaded_at_a_start(two, add_version, db, registry, traffic):
    two()
    add_version(4.0)
    traffic.set_split("line", plan(1, 1))
    traffic.set_shadow("line", Shadow(version=3))
    (registry.folder(registry.version("line", 2)) / "line.json").write_text("{")
    started = Serving(registry)
    again = Traffic(db, registry, started, SystemClock())
    again.load()
    started.sync()
    again.warm()
    assert [started.peek("line", str(number)) is not None for number in (1, 2, 3)] == [True, False, True]


def test_versions_in_traffic_stay_in_memory(two, add_version, traffic, serving):
    two()
    traffic.set_split("line", plan(1, 1))
    for weight in range(4, 12):
        serving.prepare(add_version(float(weight), verdict="HOLD"))
    assert serving.peek("line", "2") is not None
    assert serving.peek("line", "3") is None


# -- ensembles


def test_an_ensemble_tells_the_weighted_mean_and_its_members(two, traffic, predictor):
    two()
    traffic.set_split("line", plan(3, 1, mode="ensemble"))
    scored = ask(predictor)
    assert scored.predictions == [pytest.approx(22.5)]
    assert scored.members == [1, 2]


def test_a_member_that_fails_is_left_out(two, traffic, predictor):
    two("toy_moody")
    traffic.set_split("line", plan(1, 1, mode="ensemble"))
    scored = ask(predictor, ODD)
    assert (scored.predictions, scored.members) == ([200.0], [1])


def test_a_stack_needs_all_of_its_members(two, traffic, predictor):
    two("toy_moody")
    stack = Stack(intercept=0.0, coefficients=[1.0, 0.0])
    traffic.set_split("line", plan(1, 1, mode="ensemble", stack=stack))
    assert ask(predictor, [{"x": 0.25}]).predictions == [pytest.approx(0.5)]
    assert ask(predictor, ODD).predictions == [200.0]


# -- shadows


def test_a_shadow_is_compared_and_never_heard(two, traffic, predictor):
    two()
    traffic.set_shadow("line", Shadow(version=2))

    async def crowd():
        told = [await predictor.predict("line", [{"x": x}]) for x in (0.0, 10.0)]
        await asyncio.gather(*predictor._tasks)
        return told

    assert [scored.predictions for scored in asyncio.run(crowd())] == [[0.0], [20.0]]
    report = traffic.compared("line").report()
    assert (report.requests, report.rows, report.agreement, report.errors) == (2, 2, 0.5, 0)
    assert set(report.latency) == {"p50", "p95", "p99"}


def test_a_shadow_that_fails_or_hangs_harms_nobody(two, traffic, predictor):
    two("toy_slow")
    traffic.set_shadow("line", Shadow(version=2))

    async def crowd():
        told = [await predictor.predict("line", ODD) for _ in range(20)]
        comparison = traffic.compared("line")
        assert comparison.running <= 8
        assert comparison.skipped >= 12
        await entered()
        toyshop.Slow.door.set()
        await asyncio.gather(*predictor._tasks)
        return told

    assert {scored.version for scored in asyncio.run(crowd())} == {1}


def test_the_champion_is_no_shadow_of_itself(two, traffic):
    two()
    with pytest.raises(Conflict, match="v1 is the champion"):
        traffic.set_shadow("line", Shadow(version=1))
    with pytest.raises(NotFound, match="has no shadow"):
        traffic.end_shadow("line")


# -- what must not hurt the champion's clients


def test_what_a_hanging_model_was_asked_does_not_pile_up(registry, add_version, serving, traffic):
    add_version(2.0, algorithm="toy_slow")
    registry.promote("line", 1)
    hurried = Predictor(serving, traffic, LaneLimits(deadline_s=0.02))

    async def crowd():
        for _ in range(20):
            with pytest.raises(Unavailable):
                await hurried.predict("line", ODD)
        return len(serving.peek("line").lane._queue)

    assert asyncio.run(crowd()) <= 1


def test_a_dropped_version_is_gone_with_its_thread_at_once(two, serving, predictor):
    two()
    ask(predictor, ref="2")
    held = weakref.ref(serving.peek("line", "2"))
    thread = weakref.ref(next(iter(held().lane._thread._threads)))
    gc.disable()
    try:
        serving.drop(held().version)
        assert held() is None
    finally:
        gc.enable()
    if (working := thread()) is not None:
        working.join(30)
        assert not working.is_alive()


def test_requests_wait_together_for_one_load(two, serving, predictor, monkeypatch):
    two()
    serving.drop(serving._registry.version("line", 2))
    loads = []
    get = serving.get

    def slow(*asked):
        loads.append(asked)
        toyshop.Slow.door.wait(0.2)
        return get(*asked)

    monkeypatch.setattr(serving, "get", slow)

    async def crowd():
        return await asyncio.gather(*(predictor.predict("line", X, ref="2") for _ in range(4)))

    assert [scored.version for scored in asyncio.run(crowd())] == [2] * 4
    assert len(loads) == 1
    assert predictor._loads == {}


def test_a_version_that_breaks_in_loading_is_answered_for(two, serving, traffic, predictor, monkeypatch):
    two()
    traffic.set_split("line", plan(0, 1))
    serving.drop(serving._registry.version("line", 2))
    get = serving.get

    def broken(model, ref, scope):
        if ref == "2":
            raise OSError("the disk is gone")
        return get(model, ref, scope)

    monkeypatch.setattr(serving, "get", broken)
    assert ask(predictor).version == 1
    assert traffic.active("line").window(2).errors == 1


def test_outputs_that_cannot_be_combined_are_the_champions(two, traffic, predictor):
    two("toy_pair")
    traffic.set_split("line", plan(1, 1, mode="ensemble"))
    assert ask(predictor).predictions == [20.0]
    stack = Stack(intercept=0.0, coefficients=[1.0, 1.0])
    traffic.set_split("line", plan(1, 1, mode="ensemble", stack=stack))
    assert ask(predictor).predictions == [20.0]


def test_a_shadow_is_never_scored_on_the_loop(two, serving, traffic, predictor):
    two("toy_swift")
    traffic.set_shadow("line", Shadow(version=2))

    async def crowd():
        await predictor.predict("line", X)
        await asyncio.gather(*predictor._tasks)

    asyncio.run(crowd())
    shadow = serving.peek("line", "2")
    assert shadow.model.calls[-1] == 1
    assert shadow.lane._thread is not None


def test_a_request_that_waited_too_long_on_the_loop_is_not_scored(registry, add_version, serving, traffic):
    add_version(2.0, algorithm="toy_swift")
    registry.promote("line", 1)
    hurried = Predictor(serving, traffic, LaneLimits(deadline_s=0.0))
    before = len(serving.get("line").model.calls)
    with pytest.raises(Unavailable) as caught:
        ask(hurried)
    assert caught.value.code == "deadline"
    assert len(serving.peek("line").model.calls) == before


# -- what the guard is told


def test_what_the_champion_fails_is_counted_too(two, traffic, predictor):
    two("toy_moody", champion="toy_moody")
    traffic.set_split("line", plan(1, 1e-12, auto_rollback=False))
    for _ in range(3):
        with pytest.raises(Unavailable):
            ask(predictor, ODD)
    assert traffic.active("line").window(1).errors == 3


def test_rows_that_cannot_be_scored_are_no_failure_of_the_champion(two, traffic, predictor):
    two()
    traffic.set_split("line", plan(1, 1e-12))
    with pytest.raises(Invalid):
        ask(predictor, [{"x": "ten"}])
    assert len(traffic.active("line").window(1)) == 0


def test_the_guard_tries_again_when_its_verdict_could_not_be_kept(two, traffic, predictor, monkeypatch):
    two("toy_moody")
    traffic.set_split("line", plan(0, 1))
    kept = traffic.take_out

    def full(*_args, **_more):
        monkeypatch.setattr(traffic, "take_out", kept)
        raise Overloaded("the disk is slow")

    monkeypatch.setattr(traffic, "take_out", full)

    async def crowd():
        for _ in range(4):
            await predictor.predict("line", ODD)
            await asyncio.gather(*predictor._tasks)

    asyncio.run(crowd())
    assert traffic.active("line") is None


def test_a_version_that_comes_back_begins_anew(two, add_version, traffic):
    two()
    add_version(4.0)
    traffic.set_split("line", plan(1, 1, 1))
    traffic.active("line").window(2).note(ok=True, seconds=0.1)
    traffic.active("line").window(3).note(ok=False, seconds=0.0)
    traffic.take_out("line", 3, by="guard", reason="it failed")
    traffic.set_split("line", plan(1, 1, 1))
    assert traffic.active("line").window(3).errors == 0
    assert len(traffic.active("line").window(2)) == 1


# -- races


def test_a_version_removed_while_it_was_tried_gets_no_traffic(two, registry, serving, traffic, monkeypatch):
    two()
    registry._db.writer.run(
        lambda c: registry_table.point(c, "line", "all", "candidate", None, now=1, by="", reason="")
    )
    monkeypatch.setattr(traffic, "_prepare", lambda *_: registry.remove(registry.version("line", 2)))
    with pytest.raises(Conflict, match="were removed"):
        traffic.set_shadow("line", Shadow(version=2))
    assert traffic.compared("line") is None


def test_a_plan_for_another_champion_is_refused(two, registry, traffic, monkeypatch):
    two()
    prepare = traffic._prepare

    def promoted(*asked):
        prepare(*asked)
        registry.promote("line", 2, force=True)

    monkeypatch.setattr(traffic, "_prepare", promoted)
    with pytest.raises(Conflict, match="another champion"):
        traffic.set_split("line", plan(9, 1))
    assert traffic.active("line") is None


def test_a_promotion_changes_the_tag(two, registry, traffic):
    two()
    tag, alone = traffic.stored("line")
    assert alone.variants == [Variant(version=1, weight=1.0)]
    registry.promote("line", 2, force=True)
    with pytest.raises(Stale):
        traffic.set_split("line", plan(9, 1), if_match=tag)
    again, alone = traffic.stored("line")
    assert alone.variants == [Variant(version=2, weight=1.0)]
    traffic.set_split("line", plan(9, 1), if_match=f"W/{again}")


def test_the_champion_answers_within_the_time_that_is_left(two, serving, traffic, monkeypatch):
    two("toy_slow")
    traffic.set_split("line", plan(0, 1))
    hurried = Predictor(serving, traffic, LaneLimits(deadline_s=0.2))
    ends = []
    score = Lane.score

    def noted(lane, rows, **more):
        ends.append(more["until"])
        return score(lane, rows, **more)

    monkeypatch.setattr(Lane, "score", noted)

    async def one():
        began = asyncio.get_running_loop().time()
        await hurried.predict("line", ODD)
        return began

    began = asyncio.run(one())
    assert ends == [None, pytest.approx(began + 0.2, abs=0.05)]
    toyshop.Slow.entered.acquire(timeout=30)
