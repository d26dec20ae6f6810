"""Feedback that no person gives weighs less, with the reason; what people do weighs what it did."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from shopkeeper.core.clock import DAY, MINUTE, SECOND
from shopkeeper.recommend.rewards.joining import Shown
from shopkeeper.recommend.rewards.signals import Signal
from shopkeeper.recommend.rewards.trust import OF_VISITORS, RULES, WEIGHTS, judged

AT = 20_000 * DAY
SLATE = f"{1:026d}"
SHOWN = [Shown(SLATE, 3, AT, np.arange(50, dtype=np.int32))]


def signals(*told: tuple[Any, ...], user: int = 3, request: str | None = SLATE) -> list[Signal]:
    """Of (kind, item, seconds after the answer, worth, seconds of a dwell)."""
    full = [(*one, *(None, 0.1, None)[len(one) - 2 :]) if len(one) < 5 else one for one in told]
    return [
        Signal(f"e{at}-{user}", kind, user, item, AT + round(after * SECOND), value, seconds, request)
        for at, (kind, item, after, value, seconds) in enumerate(full)
    ]


def moments(n: int, pause_s: float) -> list[float]:
    """Seconds at which a person acts, `pause_s` apart in the middle."""
    pauses = np.random.default_rng(4).lognormal(np.log(pause_s), 0.5, n)
    found: list[float] = np.cumsum(pauses).tolist()
    return found


def reasons(told: list[Signal], shown: list[Shown] = SHOWN) -> list[tuple[str, ...]]:
    return list(judged(told, shown).reasons)


def test_a_few_clicks_of_a_person_are_believed() -> None:
    trust = judged(signals(("click", 1, 4.0), ("click", 7, 9.5), ("like", 7, 12.0, 0.3, None)), SHOWN)
    assert trust.weights.tolist() == [1.0, 1.0, 1.0]
    assert trust.reasons == ((), (), ())
    assert trust.visitors == {}


def test_what_was_not_shown_or_came_at_once_or_lasted_too_long() -> None:
    told = signals(
        ("click", 99, 5.0), ("click", 1, 0.01), ("dwell", 2, 30.0, 1.0, 20.0), ("dwell", 3, 30.0, 1.0, 900.0)
    )
    assert reasons(told) == [("not_shown",), ("too_quick",), (), ("dwell_too_long",)]
    assert judged(told, SHOWN).weights.tolist() == [0.0, 0.0, 1.0, 0.0]


def test_a_dwell_without_an_answer_ends_with_its_session() -> None:
    told = signals(("dwell", 2, 30.0, 1.0, 1700.0), ("dwell", 3, 40.0, 1.0, 4000.0), request=None)
    assert reasons(told) == [(), ("dwell_too_long",)]


def test_like_and_dislike_in_a_second_are_both_gone() -> None:
    told = signals(
        ("like", 1, 5.0, 0.3, None), ("dislike", 1, 5.5, -0.5, None), ("like", 2, 9.0, 0.3, None),
        ("dislike", 2, 20.0, -0.5, None),
    )  # fmt: skip
    assert reasons(told) == [("contradiction",), ("contradiction",), (), ()]


def test_more_than_a_person_can_and_only_where_it_was_more() -> None:
    quick = [("click", at % 20, 10.0 + after) for at, after in enumerate(moments(31, 1.2))]
    slow = [("click", at % 20, 4000.0 + after) for at, after in enumerate(moments(200, 40.0))]
    trust = judged(signals(*quick, *slow), SHOWN)
    assert set(trust.reasons[:31]) == {("too_many",)}
    assert not any("too_many" in one for one in trust.reasons[40:])


def test_one_who_is_mostly_no_person_is_not_believed_at_all() -> None:
    told = signals(*[("click", at % 50, 10.0 + at / 10) for at in range(300)], ("like", 2, 9000.0, 0.3, None))
    trust = judged(told, SHOWN)
    assert trust.visitors == {3: 0.0}
    assert trust.weights[-1] == 0.0


def test_a_clock_work_is_told_by_its_pauses() -> None:
    told = [("click", at, 10.0 + at * 40.0) for at in range(20)]
    assert set(reasons(signals(*told))) == {("too_regular",)}
    wavering = [("click", at, 10.0 + after) for at, after in enumerate(moments(20, 40.0))]
    assert set(reasons(signals(*wavering))) == {()}


def test_one_visitor_behind_most_of_what_is_said_of_an_item() -> None:
    many = [signals(("like", 5, 10.0 + at * 61.0 + (at * 37 % 23), 0.3, None), user=at) for at in range(12)]
    loud = signals(*[("like", 5, 20.0 + at * 90.0 + (at * 41 % 29), 0.3, None) for at in range(11)], user=99)
    found = reasons([*loud, *(one for few in many for one in few)], [])
    assert set(found[:11]) == {("crowd_of_one",)}
    assert set(found[11:]) == {()}


def test_nobody_known_is_judged_by_the_signal_alone() -> None:
    told = signals(*[("click", at % 50, 10.0 + at / 100) for at in range(300)], user=-1)
    assert set(reasons(told)) == {()}
    assert reasons([]) == []


def test_weights_multiply_and_every_reason_has_one() -> None:
    told = signals(*[("like", 5, 10.0 + at * 40.0, 0.3, None) for at in range(20)])
    trust = judged(told, SHOWN)
    assert trust.reasons[0] == ("repeats_itself", "too_regular")
    assert trust.weights[0] == pytest.approx(WEIGHTS["repeats_itself"] * WEIGHTS["too_regular"])
    assert set(WEIGHTS) > OF_VISITORS


def test_thresholds_are_those_of_the_table_that_was_given() -> None:
    told = signals(("dwell", 3, 30.0, 1.0, 900.0))
    patient = msgspec.structs.replace(RULES, dwell_slack_s=1000.0)
    assert judged(told, SHOWN, patient).reasons == ((),)


def test_a_flood_of_signals_is_judged_in_time_that_grows_with_it() -> None:
    told = signals(*[("click", 5, 10.0 + at / 50) for at in range(20_000)])
    assert judged(told, SHOWN).visitors == {3: pytest.approx(0.0)}
    assert told[-1].time - told[0].time < 10 * MINUTE
