"""Signals: what people did with what they were shown, as the log tells it, and what each is worth by the map C26.

    explicit   rating (1-5 stars), like, dislike, save, share, comment, report
    implicit   view, click, scroll, dwell, cart, order, and the reactions accept and dismiss

What a comment says is not read: for that a model of language would be needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shopkeeper.core.errors import Invalid
from shopkeeper.recommend.feedback import REWARDS, reward
from shopkeeper.recommend.rewards.numbers import finite

STANDS_FOR: Final[Mapping[str, str]] = {"order": "purchase", "accept": "click", "dismiss": "dislike", "cart": "save"}
"""Types of events that are feedback under another name."""
SIGNALS: Final[tuple[str, ...]] = (*(kind for kind in REWARDS if kind != "purchase"), *STANDS_FOR)
"""Types of events that tell what somebody thinks of an item."""
EXPLICIT: Final = frozenset({"rating", "like", "dislike", "save", "share", "comment", "report", "dismiss"})


@dataclass(frozen=True, slots=True)
class Signal:
    """One event about an item. `user` row (-1: nobody known), `item` row, `time` us, `worth` in [-1, 1], `seconds` of a
    dwell, `request_id` of the answer that it names, where it names one."""

    event_id: str
    kind: str
    user: int
    item: int
    time: int
    worth: float
    seconds: float | None = None
    request_id: str | None = None


def worth(kind: str, value: float | None, context: Mapping[str, Any]) -> float | None:
    """What an event is worth, in [-1, 1]: what was noted with it, else by the map; None where that cannot be said, as
    for a number of stars that is out of range, or a noted number that is not finite."""
    noted = context.get("reward")
    if isinstance(noted, int | float):
        known = finite(noted)
        return None if known is None else max(-1.0, min(1.0, known))
    name = STANDS_FOR.get(kind, kind)
    given = 1.0 if REWARDS.get(name) is not None else (float("nan") if value is None else value)
    try:
        return max(-1.0, min(1.0, reward(name, given)))
    except Invalid:
        return None


def decayed(worth: float, age_s: float, half_life_s: float | None) -> float:
    """Half of it after `half_life_s` seconds; None: it does not fade. What lies ahead (the clock was set back) is as
    fresh as can be."""
    if half_life_s is None:
        return worth
    return worth * float(0.5 ** (max(0.0, age_s) / half_life_s))
