"""How far feedback can be trusted: a weight from 0 to 1 for each signal, with the reasons for less than 1.

Nothing here knows who is a person. It knows what people cannot do, and what few do; `RULES` holds every threshold.
Weights of several reasons multiply.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY, MINUTE, SECOND
from shopkeeper.recommend.made import slate_of
from shopkeeper.recommend.rewards.joining import TAKEN, Shown
from shopkeeper.recommend.rewards.signals import EXPLICIT, Signal


class Rules(msgspec.Struct, kw_only=True, frozen=True):
    """`most_a_minute`, `most_a_second`: signals of one visitor; `quickest_s`: seconds from an answer to the first
    reaction; `dwell_slack_s`: seconds that a dwell may exceed the time there was; `session_gap_s`: a pause that ends a
    session; `contradiction_s`: like and dislike within that; `regular`: spread of the pauses between signals by their
    mean, below which no person acts, from `regular_from` signals on; `takes`: share of what was shown that a visitor
    takes, from `takes_from` items on; `repeats`: signals of one kind on one item in a day;
    `crowd`: share of an item's signals that are one visitor's, from `crowd_from`
    signals and `crowd_visitors` visitors on."""

    most_a_minute: int = 30
    most_a_second: int = 4
    quickest_s: float = 0.15
    dwell_slack_s: float = 5.0
    session_gap_s: float = 1800.0
    contradiction_s: float = 1.0
    regular: float = 0.1
    regular_from: int = 12
    takes: float = 0.8
    takes_from: int = 40
    repeats: int = 12
    crowd: float = 0.3
    crowd_from: int = 20
    crowd_visitors: int = 3


WEIGHTS: Mapping[str, float] = {
    "too_many": 0.0,
    "too_quick": 0.0,
    "not_shown": 0.0,
    "dwell_too_long": 0.0,
    "contradiction": 0.0,
    "too_regular": 0.1,
    "takes_everything": 0.2,
    "repeats_itself": 0.1,
    "crowd_of_one": 0.3,
}
"""What is left of a signal for each reason."""
RULES = Rules()
OF_VISITORS = frozenset({"too_many", "too_regular", "takes_everything"})
"""Reasons that say something of all that a visitor does, once they hold for a fifth of it."""
_OFTEN = 0.2


@dataclass(frozen=True)
class Trust:
    """`weights` (n,) of the signals and the `reasons` of each; `visitors`: weight by user row, where it is below 1."""

    weights: NDArray[np.float64]
    reasons: tuple[tuple[str, ...], ...]
    visitors: Mapping[int, float]


def judged(signals: Sequence[Signal], shown: Sequence[Shown], rules: Rules = RULES) -> Trust:
    """Of signals in any order. Signals of nobody known are judged one by one only."""
    found: list[set[str]] = [set() for _ in signals]
    by_slate = {one.slate_id: one for one in shown}
    by_user: dict[int, list[int]] = defaultdict(list)
    for at in sorted(range(len(signals)), key=lambda at: signals[at].time):
        signal = signals[at]
        found[at] |= _alone(signal, by_slate, rules)
        if signal.user >= 0:
            by_user[signal.user].append(at)
    views: dict[int, int] = Counter()
    for one in shown:
        views[one.user] += len(one.items)
    visitors: dict[int, float] = {}
    for user, places in by_user.items():
        own = [signals[at] for at in places]
        for reason, which in _of_visitor(own, views[user], rules).items():
            for place in which:
                found[places[place]].add(reason)
        often = [reason for reason in OF_VISITORS if sum(reason in found[at] for at in places) >= _OFTEN * len(places)]
        for reason in often:
            for at in places:
                found[at].add(reason)
        if often:
            visitors[user] = _product(often)
    for at in _crowds(signals, rules):
        found[at].add("crowd_of_one")
    reasons = tuple(tuple(sorted(one)) for one in found)
    return Trust(np.array([_product(one) for one in reasons], dtype=np.float64), reasons, visitors)


def _product(reasons: Sequence[str]) -> float:
    return float(np.prod([WEIGHTS[reason] for reason in reasons])) if reasons else 1.0


def _alone(signal: Signal, by_slate: Mapping[str, Shown], rules: Rules) -> set[str]:
    """Reasons that a signal and its answer give."""
    answer = None if signal.request_id is None else by_slate.get(slate_of(signal.request_id))
    if answer is None:
        return set()
    after_s = (signal.time - answer.made_at) / SECOND
    reasons = set()
    if not (answer.items == signal.item).any():
        reasons.add("not_shown")
    if 0 <= after_s < rules.quickest_s:
        reasons.add("too_quick")
    if signal.seconds is not None and signal.seconds > max(0.0, after_s) + rules.dwell_slack_s:
        reasons.add("dwell_too_long")
    return reasons


def _of_visitor(own: Sequence[Signal], views: int, rules: Rules) -> dict[str, list[int]]:
    """Reason -> places in `own`, which is in order of time."""
    everything: Callable[[bool], list[int]] = lambda holds: list(range(len(own))) if holds else []  # noqa: E731
    times = [one.time for one in own]
    return {
        "too_many": sorted(
            {*_crowded(times, MINUTE, rules.most_a_minute), *_crowded(times, SECOND, rules.most_a_second)}
        ),
        "too_regular": everything(_regular(times, rules)),
        "takes_everything": everything(
            views >= rules.takes_from and len({_what(one) for one in own if one.kind in TAKEN}) > rules.takes * views
        ),
        "contradiction": _contradicting(own, rules),
        "repeats_itself": _repeating(own, rules),
        "dwell_too_long": _beyond_session(own, rules),
    }


def _what(signal: Signal) -> tuple[str | None, int]:
    return signal.request_id, signal.item


def _crowded(times: Sequence[int], span: int, most: int) -> list[int]:
    """Places of all times that lie with more than `most` others within `span`."""
    start, crowds = 0, np.zeros(len(times) + 1, dtype=np.int64)
    for end in range(len(times)):
        while times[end] - times[start] >= span:
            start += 1
        if end - start + 1 > most:
            crowds[start] += 1
            crowds[end + 1] -= 1
    return np.flatnonzero(np.cumsum(crowds[:-1]) > 0).tolist()


def _regular(times: Sequence[int], rules: Rules) -> bool:
    """Pauses within sessions, all alike."""
    pauses = np.array([b - a for a, b in pairwise(times) if 0 < b - a < rules.session_gap_s * SECOND], dtype=np.float64)
    if len(pauses) + 1 < rules.regular_from:
        return False
    middle = float(np.median(pauses))
    return float(np.median(np.abs(pauses - middle))) < rules.regular * middle


def _contradicting(own: Sequence[Signal], rules: Rules) -> list[int]:
    """Explicit signals on one item of opposite sign in a moment."""
    places: set[int] = set()
    last: dict[int, list[int]] = defaultdict(list)
    for at, signal in enumerate(own):
        if signal.kind not in EXPLICIT or signal.worth == 0:
            continue
        before = last[signal.item]
        while before and signal.time - own[before[0]].time > rules.contradiction_s * SECOND:
            before.pop(0)
        opposed = [one for one in before if own[one].worth * signal.worth < 0]
        if opposed:
            places.update((*opposed, at))
        before.append(at)
    return sorted(places)


def _repeating(own: Sequence[Signal], rules: Rules) -> list[int]:
    alike: dict[tuple[str, int], list[int]] = defaultdict(list)
    for at, signal in enumerate(own):
        alike[signal.kind, signal.item].append(at)
    found: list[int] = []
    for places in alike.values():
        found += [places[at] for at in _crowded([own[at].time for at in places], DAY, rules.repeats)]
    return sorted(found)


def _beyond_session(own: Sequence[Signal], rules: Rules) -> list[int]:
    """A dwell that names no answer, and is longer than its session so far and the pause before it."""
    places, longest = [], rules.session_gap_s + rules.dwell_slack_s
    began = own[0].time
    for at, signal in enumerate(own):
        if at and signal.time - own[at - 1].time > rules.session_gap_s * SECOND:
            began = signal.time
        known = (signal.time - began) / SECOND + longest
        if signal.seconds is not None and signal.request_id is None and signal.seconds > known:
            places.append(at)
    return places


def _crowds(signals: Sequence[Signal], rules: Rules) -> list[int]:
    by_item: dict[int, list[int]] = defaultdict(list)
    for at, signal in enumerate(signals):
        if signal.user >= 0:
            by_item[signal.item].append(at)
    places: list[int] = []
    for own in by_item.values():
        counts = Counter(signals[at].user for at in own)
        if len(own) < rules.crowd_from or len(counts) < rules.crowd_visitors:
            continue
        loud = {user for user, count in counts.items() if count > rules.crowd * len(own)}
        places += [at for at in own if signals[at].user in loud]
    return places
