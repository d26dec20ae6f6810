"""Feedback that comes later, joined with what was shown: one outcome for each item of an answer.

A signal belongs to an item of an answer when it names the answer and the item was in it; one that names no answer,
when its user was shown the item within the window before it, the newest such answer. It counts once: by the id of its
event, and as the first of its kind of this user on this item of this answer. Worths are added up by the weights of
their kinds and clipped to [-1, 1].
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import SECOND
from shopkeeper.recommend.made import slate_of
from shopkeeper.recommend.rewards.signals import Signal, decayed

TAKEN = frozenset({"order", "cart", "click", "accept", "like", "save", "share"})
"""Kinds that say that an item was taken, as in `ranking.served_rows`."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer: `items` rows int32 (m,), best first; `user` row, -1: nobody known; `made_at` us."""

    slate_id: str
    user: int
    made_at: int
    items: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one answer, all (m,): `reward` in [-1, 1], `taken`, and the `trust` in it, from 0 to 1: that of the least
    trusted signal which counted, 1 where there was none."""

    shown: Shown
    reward: NDArray[np.float64]
    taken: NDArray[np.bool_]
    trust: NDArray[np.float64]


@dataclass(frozen=True)
class Joined:
    """`passed_over` tells why signals did not count: duplicate, repeated, unknown_answer, not_shown, too_early,
    too_late."""

    outcomes: list[Outcome]
    passed_over: Mapping[str, int] = field(default_factory=dict)


def join(
    shown: Sequence[Shown],
    signals: Sequence[Signal],
    window_s: float,
    *,
    weights: Mapping[str, float] | None = None,
    trust: Sequence[float] | None = None,
    half_life_s: float | None = None,
) -> Joined:
    """`window_s` seconds after an answer a signal counts. `weights` by kind, 1 where a kind is not named; `trust` (n,)
    of the signals; `half_life_s`: the worth of a signal halves with every so many seconds that it came later."""
    joiner = _Joiner(shown, window_s)
    order = sorted(range(len(signals)), key=lambda at: (signals[at].time, signals[at].event_id))
    for at in order:
        signal = signals[at]
        place = joiner.place(signal)
        if place is not None:
            joiner.count(signal, place, (weights or {}).get(signal.kind, 1.0), trust[at] if trust else 1.0, half_life_s)
    return Joined(joiner.outcomes, dict(joiner.passed_over))


class _Joiner:
    def __init__(self, shown: Sequence[Shown], window_s: float) -> None:
        self.outcomes = [
            Outcome(one, np.zeros(len(one.items)), np.zeros(len(one.items), dtype=np.bool_), np.ones(len(one.items)))
            for one in shown
        ]
        self.passed_over: Counter[str] = Counter()
        self._window = round(window_s * SECOND)
        self._events: set[str] = set()
        self._said: set[tuple[int, int, str, int]] = set()
        self._by_slate = {one.slate_id: at for at, one in enumerate(shown)}
        self._by_user: dict[int, list[int]] = defaultdict(list)
        for at in sorted(range(len(shown)), key=lambda at: shown[at].made_at):
            if shown[at].user >= 0:
                self._by_user[shown[at].user].append(at)

    def place(self, signal: Signal) -> tuple[int, int] | None:
        """(answer, place in it) that the signal belongs to."""
        if signal.event_id in self._events:
            return self._not("duplicate")
        self._events.add(signal.event_id)
        if signal.request_id is None:
            return self._by_moment(signal)
        answer = self._by_slate.get(slate_of(signal.request_id))
        if answer is None:
            return self._not("unknown_answer")
        found = self._in(answer, signal.item)
        if found is None:
            return self._not("not_shown")
        made_at = self.outcomes[answer].shown.made_at
        if not made_at <= signal.time <= made_at + self._window:
            return self._not("too_early" if signal.time < made_at else "too_late")
        return answer, found

    def count(
        self, signal: Signal, place: tuple[int, int], weight: float, trust: float, half_life: float | None
    ) -> None:
        answer, at = place
        said = (*place, signal.kind, signal.user)
        if said in self._said:
            self._not("repeated")
            return
        self._said.add(said)
        outcome = self.outcomes[answer]
        age = (signal.time - outcome.shown.made_at) / SECOND
        added = outcome.reward[at] + weight * decayed(signal.worth, age, half_life)
        outcome.reward[at] = max(-1.0, min(1.0, added))
        outcome.taken[at] |= signal.kind in TAKEN
        outcome.trust[at] = min(outcome.trust[at], trust)

    def _by_moment(self, signal: Signal) -> tuple[int, int] | None:
        for answer in reversed(self._by_user.get(signal.user, ())):
            shown = self.outcomes[answer].shown
            if shown.made_at > signal.time or signal.time > shown.made_at + self._window:
                continue
            found = self._in(answer, signal.item)
            if found is not None:
                return answer, found
        return None  # what nobody showed is no feedback on an answer

    def _in(self, answer: int, item: int) -> int | None:
        found = np.flatnonzero(self.outcomes[answer].shown.items == item)
        return int(found[0]) if len(found) else None

    def _not(self, why: str) -> tuple[int, int] | None:
        self.passed_over[why] += 1
        return None
