"""Who gets which variant, what a look at the results decides, and what is left when a process is killed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from shopkeeper.bootstrap.experimenting import rewards
from shopkeeper.core.clock import DAY, StoppedClock
from shopkeeper.core.errors import Conflict, Invalid
from shopkeeper.core.experiments import Course, Guard, Plan, Target, VariantPlan
from shopkeeper.core.records import Event, Feedback
from shopkeeper.lifecycle.experiments.assigning import BUCKETS, Assignments, Draw, free_spans, size
from shopkeeper.lifecycle.experiments.checking import room_in
from shopkeeper.lifecycle.experiments.judging import guard_result, judge
from shopkeeper.lifecycle.experiments.metrics import read_metric
from shopkeeper.lifecycle.experiments.reckoning import BUSY_A_DAY, Reckoning
from shopkeeper.quality.experiments import sample, share
from shopkeeper.recommend.feedback import to_event
from shopkeeper.recommend.rewards.signals import SIGNALS, worth
from shopkeeper.stores import experiments as table
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.experiment_sums import Window
from shopkeeper.stores.experiments import Kept, Unit
from shopkeeper.stores.sql import Database, open_database, sqlite_url
from shopkeeper.stores.vocabulary import Vocabularies

IDS = [f"customer-{number}" for number in range(4000)]


def plan(**more: Any) -> Plan:
    given: dict[str, Any] = {
        "name": "a try",
        "target": Target(scenario="home"),
        "variants": [VariantPlan(name="a"), VariantPlan(name="b")],
        "metric": "orders",
        "min_sample": 100,
    }
    return Plan(**{**given, **more})


def kept(
    id: str, plan: Plan, *, weights: list[float] | None = None, spans: Any = ((0, BUCKETS),), phase: int = 1
) -> Kept:
    course = Course(phase=phase, weights=weights or [0.5, 0.5], spans=list(spans))
    return Kept(id, "running", 1, plan, course, 0, "", 0, "")


def told(one: Assignments, subject: str = "scenario:home") -> list[tuple[str, ...]]:
    return [
        tuple(f"{each.draw.experiment_id}:{each.name}" for each in one.of(subject, id, row))
        for row, id in enumerate(IDS)
    ]


def shown(*draws: Draw) -> Assignments:
    one = Assignments()
    one.show(draws)
    return one


# -- assignment


def test_shares_follow_the_weights() -> None:
    counts = Counter(told(shown(Draw(kept("e", plan(), weights=[0.3, 0.7])))))
    assert stats.binomtest(counts[("e:b",)], len(IDS), 0.7).pvalue > 0.001


def test_a_changed_weight_moves_only_whom_it_must() -> None:
    before, after = (told(shown(Draw(kept("e", plan(), weights=weights)))) for weights in ([0.8, 0.2], [0.6, 0.4]))
    moved = Counter((old, new) for old, new in zip(before, after, strict=True) if old != new)
    assert set(moved) == {(("e:a",), ("e:b",))}
    assert stats.binomtest(sum(moved.values()), len(IDS), 0.2).pvalue > 0.001


def test_another_experiment_draws_anew_and_a_layer_gives_each_user_one() -> None:
    first, second = Draw(kept("e", plan(), spans=[(0, 4000)])), Draw(kept("f", plan(), spans=[(4000, 10000)]))
    both = told(shown(first, second))
    assert {len(one) for one in both} == {1}
    alone = told(shown(first))
    assert [one for one in both if one[0].startswith("e")] == [one for one in alone if one]
    third = Draw(kept("g", plan(layer="other")))
    pairs = Counter(told(shown(Draw(kept("e", plan())), third)))
    assert stats.chisquare(list(pairs.values())).pvalue > 0.001
    assert len(pairs) == 4


def test_more_of_a_layer_keeps_those_who_are_in() -> None:
    small = told(shown(Draw(kept("e", plan(), spans=[(0, 1000)]))))
    large = told(shown(Draw(kept("e", plan(), spans=[(0, 1000), (5000, 9000)]))))
    assert all(new == old for old, new in zip(small, large, strict=True) if old)
    assert sum(map(bool, large)) > 3 * sum(map(bool, small))


def test_a_thousand_experiments_at_once_do_not_touch_each_other() -> None:
    """A thousand on one scenario share a layer; each user is in one of them, and most have some."""
    part = BUCKETS // 1000
    many = shown(*(Draw(kept(f"e{n}", plan(), spans=[(n * part, (n + 1) * part)])) for n in range(1000)))
    found = told(many)
    assert {len(one) for one in found} == {1}
    assert len({one[0].partition(":")[0] for one in found}) > 900
    many.drop("e7")
    rest = told(many)
    assert all(new == old for old, new in zip(found, rest, strict=True) if not old[0].startswith("e7:"))
    assert sum(not one for one in rest) == sum(one[0].startswith("e7:") for one in found)
    assert many.of("scenario:elsewhere", "u", 0) == ()


def test_a_merged_user_keeps_what_was_shown_to_either() -> None:
    draw = Draw(kept("e", plan()))
    one = shown(draw)
    rows = {name: [row for row, each in enumerate(told(one)) if each == (f"e:{name}",)] for name in "ab"}
    source, target = rows["a"][0], rows["b"][0]
    draw.mark(source, 0)
    one.merged(source, target)
    assert one.of("scenario:home", IDS[target], target)[0].name == "a"
    unit = Unit("e", 1, target, 0, 5, 1, moved=True)
    again = shown(Draw(kept("e", plan(), phase=2), [unit]))
    assert again.of("scenario:home", IDS[target], target)[0].name == "a", "over a change of weights too"
    exposed, other = rows["a"][1], rows["b"][1]
    draw.mark(exposed, 0)
    draw.mark(other, 1)
    one.merged(exposed, other)
    assert one.of("scenario:home", IDS[other], other)[0].name == "b"
    one.forget(target)
    assert not draw.seen[target]


def test_buckets_are_given_once() -> None:
    assert free_spans([(0, 3000), (5000, 6000)], 4000) == [(3000, 5000), (6000, 8000)]
    assert free_spans([(0, BUCKETS)], 1) is None
    others = [kept("f", plan(name="the other"), spans=[(0, 7000)])]
    own = room_in("default", 0.2, others)
    assert own == [(7000, 9000)]
    assert room_in("default", 0.3, others, own) == [(7000, 9000), (9000, 10000)]
    assert room_in("default", 0.1, others, own) == [(7000, 8000)]
    assert size(room_in("default", 0.00001, others)) == 1
    with pytest.raises(Conflict, match="of the users left"):
        room_in("default", 0.31, others)


# -- metrics and verdicts


@pytest.mark.parametrize("text", ["clicks", "count:", "ratio:view", "count:a/b", "sum:Large", "told:x y", ""])
def test_metrics_that_there_are_not(text: str) -> None:
    with pytest.raises(Invalid):
        read_metric(text, {})


def drawn(means: list[float], n: int = 2000) -> list[Any]:
    random = np.random.default_rng(2)
    return [sample(random.exponential(1.0, n) - 1.0 + mean) for mean in means]


@pytest.mark.parametrize(
    ("means", "more", "verdict", "winner"),
    [
        ([5.0, 5.4], {}, "winner", "b"),
        ([5.0, 4.6], {}, "winner", "a"),
        ([5.0, 4.6], {"better": "down"}, "winner", "b"),
        ([5.0, 5.0], {}, "running", None),
        ([5.0, 5.4], {"min_sample": 5000}, "running", None),
        ([5.0, 5.4], {"decide": "fixed"}, "running", None),
    ],
)
def test_what_a_look_decides(means: list[float], more: dict[str, Any], verdict: str, winner: str | None) -> None:
    said = judge(plan(**more), drawn(means), ended=False, uneven=False, guarded=False)
    assert (said.verdict, said.winner) == (verdict, winner)


def test_the_last_look_and_what_goes_before_a_winner() -> None:
    better, same = drawn([5.0, 5.4]), drawn([5.0, 5.0])
    fixed = plan(decide="fixed")
    assert judge(fixed, better, ended=True, uneven=False, guarded=False).winner == "b"
    assert judge(plan(), same, ended=True, uneven=False, guarded=False).verdict == "no difference"
    assert judge(plan(), better, ended=True, uneven=True, guarded=False).verdict == "uneven groups"
    assert judge(plan(), better, ended=True, uneven=False, guarded=True).verdict == "stopped by guard"
    three = plan(variants=[VariantPlan(name=name) for name in "abc"])
    said = judge(three, drawn([5.0, 5.4, 5.6]), ended=False, uneven=False, guarded=False)
    assert said.winner == "c"
    assert said.power is not None
    assert said.variants[1].detectable is not None
    shares = [share(100, 2000), share(160, 2000)]
    assert judge(plan(), shares, ended=False, uneven=False, guarded=False).winner == "b"


def named(three: list[float], more: dict[str, Any], *, weights: list[float], none: int = 3) -> tuple[str, str | None]:
    """(verdict, winner) of three variants; `none`: the one of whom there is nobody."""
    samples = drawn(three)
    if none < 3:
        samples[none] = sample(np.zeros(0))
    of = plan(variants=[VariantPlan(name=name) for name in "abc"], **more)
    said = judge(of, samples, ended=False, uneven=False, guarded=False, weights=weights)
    assert [one.p_value is None for one in said.variants[1:]] == [weights[0] == 0 or one == 0 for one in weights[1:]]
    return said.verdict, said.winner


@pytest.mark.parametrize("none", [2, 3])  # nobody at all, or those who brought the variant along
def test_a_variant_of_weight_0_is_not_waited_for_and_not_judged(none: int) -> None:
    weights = [0.5, 0.5, 0.0]
    assert named([5.0, 5.4, 5.0], {}, weights=weights, none=none) == ("winner", "b")
    assert named([5.0, 4.6, 5.0], {}, weights=weights, none=none) == ("winner", "a"), "it beats all that are drawn"
    assert named([5.0, 5.0, 9.0], {}, weights=weights, none=none) == ("running", None)
    assert named([5.0, 5.4, 5.0], {"min_sample": 3000}, weights=weights, none=none) == ("running", None)
    assert named([5.0, 4.6, 5.0], {}, weights=[0.4, 0.4, 0.2]) == ("running", None), "one that is drawn is waited for"


def test_weights_of_the_plan_stand_for_those_of_a_draft_and_count_for_holm() -> None:
    two = [VariantPlan(name="a"), VariantPlan(name="b")]
    three = plan(variants=[*two, VariantPlan(name="c", weight=0)])
    samples = drawn([5.0, 5.12])
    alone = judge(plan(variants=two), samples, ended=False, uneven=False, guarded=False)
    beside = judge(three, [*samples, sample(np.zeros(0))], ended=False, uneven=False, guarded=False)
    assert alone.variants == beside.variants[:2]
    assert (alone.verdict, alone.winner, alone.power) == (beside.verdict, beside.winner, beside.power)


def test_without_a_control_nothing_is_proven() -> None:
    """A roll-out to all of the users, or weights that leave it out: there is nothing to compare with."""
    for none in (0, 3):
        assert named([5.0, 5.4, 9.0], {}, weights=[0.0, 0.5, 0.5], none=none) == ("running", None)
    said = judge(plan(), drawn([5.0, 9.0]), ended=True, uneven=False, guarded=False, weights=[0.0, 1.0])
    assert (said.verdict, said.winner, said.power) == ("no difference", None, None)
    said = judge(plan(), drawn([5.0, 9.0]), ended=True, uneven=False, guarded=False, weights=[1.0, 0.0])
    assert (said.verdict, said.winner) == ("no difference", None), "nor of a control alone"


def test_what_was_told_in_any_size_is_judged() -> None:
    ones = np.tile([0.0, 1.0], 75)
    for odd in (1e12, 1e90, 1e150, 1e-150):
        far = ones.copy()
        far[3] = odd
        for ended in (False, True):
            said = judge(plan(), [sample(ones), sample(far)], ended=ended, uneven=False, guarded=False)
            assert said.verdict == ("no difference" if ended else "running")
        small = [sample(ones * 1e-150), sample(far * 1e-150)]
        assert judge(plan(), small, ended=True, uneven=False, guarded=False).winner is None
    sure = plan(confidence=0.9999999999999999)
    assert guard_result(sure, Guard(metric="revenue"), [sample(ones), sample(ones)], guards=3).ok


def test_a_guard_acts_on_what_is_surely_worse_only() -> None:
    one = plan()
    for means, tolerance, ok in (
        ([5.0, 4.6], 0.0, False), ([5.0, 4.6], 0.2, True), ([5.0, 4.99], 0.0, True), ([5.0, 6.0], 0.0, True),
    ):  # fmt: skip
        told = guard_result(one, Guard(metric="revenue", tolerance=tolerance), drawn(means), guards=1)
        assert told.ok is ok, (means, tolerance)
        assert told.worst == "b"
    assert not guard_result(one, Guard(metric="returns", better="down"), drawn([5.0, 5.5]), guards=1).ok
    assert guard_result(one, Guard(metric="revenue"), drawn([5.0, 1.0], 50), guards=1).ok, "too few to say"


@pytest.mark.parametrize(
    ("better", "counts", "ok"),
    [
        ("up", (500, 0), False),  # all did it, and nobody does any more
        ("down", (0, 500), False),  # nobody, and now all
        ("up", (0, 500), True),
        ("down", (500, 0), True),
        ("up", (500, 500), True),
        ("down", (0, 0), True),
        ("up", (500, 480), False),
        ("up", (500, 499), True),
    ],
)
def test_a_guard_sees_what_nobody_or_everybody_does(better: Any, counts: tuple[int, int], ok: bool) -> None:
    samples = [share(one, 500) for one in counts]
    told = guard_result(plan(), Guard(metric="share:return", better=better), samples, guards=1)
    assert told.ok is ok
    assert told.worst == "b"
    if counts[0]:
        assert told.change == pytest.approx(counts[1] / counts[0] - 1)
        assert told.low is not None
        assert told.high is not None
        assert told.low < told.high


# -- in SQL


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = open_database(sqlite_url(tmp_path))
    yield database
    database.close()


def test_sums_are_those_of_the_events_since_the_exposure(db: Database) -> None:
    clock = StoppedClock(20_000 * DAY)
    vocabularies = Vocabularies.load(db)
    log = EventLog(db, vocabularies, clock)

    def happens(*events: tuple[str, str, float]) -> None:
        told = [Event(event_type=kind, user_id=id, item_id="i", value=value) for id, kind, value in events]
        assert not log.append(told).result().rejected

    happens(("u1", "order", 100.0), ("u2", "view", 1.0), ("u3", "view", 1.0), ("robot", "view", 1.0))
    made = db.writer.run(lambda c: table.add(c, "e", plan(metric="revenue"), now=1, by=""))
    course = Course(phase=1, phase_at=clock.now(), weights=[0.5, 0.5], since=clock.now())
    running = db.writer.run(lambda c: table.put(c, made, now=2, by="", status="running", course=course))
    rows = {id: vocabularies.users.row(id) for id in ("u1", "u2", "u3", "robot")}
    units = [
        Unit("e", 1, int(rows[id] or 0), variant, clock.now(), log.last_seq)
        for id, variant in (("u1", 0), ("u2", 1), ("u3", 1), ("robot", 0))
    ]
    assert db.writer.run(lambda c: table.add_units(c, units)) == 4
    assert db.writer.run(lambda c: table.add_units(c, units[:2])) == 0
    clock.advance(-3 * 60_000_000)  # a clock that is set back takes nothing away
    happens(
        ("u1", "order", 7.0), ("u1", "return", -2.0), ("u2", "order", 4.0), ("u2", "click", 0.1), ("u3", "click", 0.1)
    )
    happens(*(("robot", "view", 1.0) for _ in range(BUSY_A_DAY + 1)))
    reckoning = Reckoning(db, vocabularies.event_types, clock, rewards())
    said = reckoning.of(running)
    assert [(one.n, one.mean) for one in said.variants] == [(1, 5.0), (2, 2.0)]
    assert said.left_out == 1
    expected: dict[str, list[float | None]] = {
        "orders": [1.0, 0.5], "conversion": [1.0, 0.5], "reward": [1.0, 0.6], "count:click": [0.0, 1.0],
        "share:click": [0.0, 1.0], "sum:return": [-2.0, 0.0], "told:calls": [None, 0.0], "count:nothing": [0.0, 0.0],
    }  # fmt: skip
    for metric, means in expected.items():
        fresh = plan(metric=metric)
        changed = db.writer.run(lambda c, p=fresh: table.put(c, table.get(c, "e"), now=3, by="", plan=p))  # type: ignore[misc]
        found = [one.mean for one in reckoning.of(changed).variants]
        assert found[1] == pytest.approx(means[1]), metric
        if means[0] is not None:
            assert found[0] == pytest.approx(means[0]), metric


SAID: list[tuple[str, float | None, dict[str, Any] | None]] = [
    ("rating", 4.0, None), ("rating", 0.8, {"reward": 0.8}), ("rating", 9.0, None), ("rating", None, None),
    ("rating", -1.0, None), ("dwell", 240.0, {}), ("dwell", 9000.0, {"reward": "much"}),
    ("dwell", 0.2, {"reward": 0.2}),
    ("scroll", 0.5, {"reward": None}), ("scroll", 40.0, None), ("click", 9.0, None), ("click", None, {"reward": 7}),
    ("click", None, {"reward": -7.5}), ("click", None, {"reward": 10**400}), ("click", None, {"reward": -(10**400)}),
    ("like", None, {"reward": True}), ("like", None, {"reward": False}), ("like", None, {"reward": [1]}),
    ("like", None, {"reward": -(2**63)}), ("like", None, {"reward": 2**64}), ("like", None, {"other": {"reward": 1}}),
    ("view", None, None), ("share", None, None), ("comment", None, None), ("dislike", None, None), ("save", 4.0, None),
    ("report", 1.0, {}), ("order", 250.0, None), ("order", 250.0, {"reward": 0.5}), ("accept", 0.1, None),
    ("dismiss", None, None), ("cart", None, None), ("wink", 1.0, {"reward": 1.0}), ("return", -9.0, None),
]  # fmt: skip


def test_the_metric_reward_counts_what_the_learners_count(db: Database) -> None:
    clock = StoppedClock(20_000 * DAY)
    vocabularies = Vocabularies.load(db)
    log = EventLog(db, vocabularies, clock)
    people = [f"u{k}" for k in range(len(SAID))]
    log.append([Event(event_type="view", user_id=id, item_id="i") for id in people]).result()
    rows = [int(vocabularies.users.row(id) or 0) for id in people]
    units = [Unit("e", 1, row, k, clock.now(), log.last_seq) for k, row in enumerate(rows)]
    db.writer.run(lambda c: table.add_units(c, units))
    events = [
        Event(event_type=kind, user_id=id, item_id="i", value=value, context=context or {})
        for id, (kind, value, context) in zip(people, SAID, strict=True)
    ]
    assert not log.append(events).result().rejected
    found = sums(db, Reckoning(db, vocabularies.event_types, clock, rewards()))
    expected = [(worth(kind, value, context or {}) or 0.0) if kind in SIGNALS else 0.0 for kind, value, context in SAID]
    for said, one, other in zip(SAID, found, expected, strict=True):
        assert one == pytest.approx(other), str(said)[:80]
    assert {kind for kind, *_ in SAID} >= set(SIGNALS)


def test_what_came_by_the_door_of_feedback_is_not_reckoned_twice(db: Database) -> None:
    clock = StoppedClock(20_000 * DAY)
    vocabularies = Vocabularies.load(db)
    log = EventLog(db, vocabularies, clock)
    told = [("rating", 4.0, 0.8), ("dwell", 150.0, 0.5), ("scroll", 1.0, 0.05), ("purchase", 1.0, 1.0)]
    log.append([Event(event_type="view", user_id=kind, item_id="i") for kind, *_ in told]).result()
    rows = [int(vocabularies.users.row(kind) or 0) for kind, *_ in told]
    units = [Unit("e", 1, row, k, clock.now(), log.last_seq) for k, row in enumerate(rows)]
    db.writer.run(lambda c: table.add_units(c, units))
    given = [
        to_event(Feedback(user_id=kind, item_id="i", feedback_type=kind, feedback_value=value), price=99.0)
        for kind, value, _ in told
    ]
    assert not log.append(given).result().rejected
    found = sums(db, Reckoning(db, vocabularies.event_types, clock, rewards()))
    assert found == pytest.approx([worth for *_, worth in told])


def sums(db: Database, reckoning: Reckoning) -> list[float]:
    """Of `reward`, a unit a variant, in their order."""
    with db.read() as connection:
        found = reckoning._sums(connection, Window("e", 1, 0), read_metric("reward", reckoning.rewards))
    return [float(value) for _, value in sorted(zip(found.variant.tolist(), found.values[:, 0].tolist(), strict=True))]


def test_an_exposure_that_a_killed_process_did_not_write_is_written_by_the_next_answer(db: Database) -> None:
    from shopkeeper.lifecycle.experiments.assigning import Chosen
    from shopkeeper.operations.exposures import ExposureLog

    clock = StoppedClock(20_000 * DAY)
    vocabularies = Vocabularies.load(db)
    log = EventLog(db, vocabularies, clock)
    log.append([Event(event_type="view", user_id=id, item_id="i") for id in ("u1", "u2")]).result()

    def exposures(most: int = 10) -> ExposureLog:
        return ExposureLog(db, vocabularies.users, clock, last_seq=lambda: log.last_seq, most=most)

    def written() -> list[Unit]:
        with db.read() as connection:
            return table.units(connection, "e", 1)

    async def run() -> None:
        draw = Draw(kept("e", plan()))
        killed = exposures()
        killed.note((Chosen(draw, 1, 0),))
        assert killed.waiting == 1
        assert written() == [], "its process ends here: nothing was written"
        fresh = Draw(kept("e", plan()), written())
        full = exposures(most=1)
        full.note((Chosen(fresh, 1, 0),))
        full.note((Chosen(fresh, 0, 1),))
        full.note((Chosen(fresh, 1, 0),))
        assert full.waiting == 1, "no more may wait, and nobody is noted twice"
        await full.stop()
        full.note((Chosen(fresh, 0, 1),))
        full.note((Chosen(fresh, 0, 1, counted=False),))
        await full.stop()
        assert [(one.user_row, one.variant, one.exposed_seq) for one in written()] == [(0, 1, 2), (1, 0, 2)]
        gone = exposures()
        gone.note((Chosen(Draw(kept("f", plan())), 0, 0),))
        gone.forget(0)
        await gone.stop()
        with db.read() as connection:
            assert table.units(connection, "f", 1) == []
        two = [exposures(), exposures()]  # of two processes over one database, each with what it knows itself
        for each in two:
            each.note((Chosen(Draw(kept("g", plan())), 0, 1),))
        await asyncio.gather(*(each.stop() for each in two))
        with db.read() as connection:
            assert [(one.user_row, one.variant) for one in table.units(connection, "g", 1)] == [(1, 0)]

    asyncio.run(run())
