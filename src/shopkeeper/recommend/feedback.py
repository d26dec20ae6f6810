"""What a user did with a suggestion, as an event of the log."""

from __future__ import annotations

import sys
from typing import Any

from shopkeeper.core.errors import Invalid
from shopkeeper.core.records import Event, Feedback

# Reward of a kind of feedback (requirement C26; save and scroll beside it, C64); None: by the value that was given.
REWARDS: dict[str, float | None] = {
    "click": 0.1,
    "view": 0.05,
    "like": 0.3,
    "share": 0.5,
    "comment": 0.4,
    "purchase": 1.0,
    "dislike": -0.5,
    "report": -1.0,
    "rating": None,
    "dwell": None,
    "save": 0.3,
    "scroll": None,
}
_LONGEST_DWELL_S = 300.0
_BEST_RATING = 5.0
_WHOLE_SCROLL = 0.05
BY_VALUE: dict[str, tuple[float, float]] = {
    "rating": (_BEST_RATING, _BEST_RATING),
    "dwell": (_LONGEST_DWELL_S, sys.float_info.max),
    "scroll": (1 / _WHOLE_SCROLL, 1.0),
}
"""Of kinds that go by their value: what it is divided by, and the highest that it may be. At most 1 is counted."""
_HIGHEST = {"rating": (_BEST_RATING, "0 to 5"), "scroll": (1.0, "the share that was scrolled, 0 to 1")}


def reward(feedback_type: str, value: float) -> float:
    """C26: rating v / 5, dwell min(v / 300 s, 1), else a fixed number; scroll v x .05, a page that was scrolled to its
    end being as good as a view. Raises Invalid for an unknown kind or value."""
    if feedback_type not in REWARDS:
        raise Invalid(
            f"feedback_type {feedback_type[:64]!r} is not known; there are: {', '.join(REWARDS)}",
            code="unknown_feedback_type",
            field="feedback_type",
        )
    fixed = REWARDS[feedback_type]
    if fixed is not None:
        return fixed
    highest, expected = _HIGHEST.get(feedback_type, (float("inf"), "seconds from 0"))
    if not 0 <= value <= highest:
        raise Invalid(
            f"feedback_value of a {feedback_type} is {value:g}, expected {expected}",
            code="bad_feedback_value",
            field="feedback_value",
        )
    if feedback_type == "scroll":
        return value * _WHOLE_SCROLL
    return value / _BEST_RATING if feedback_type == "rating" else min(value / _LONGEST_DWELL_S, 1.0)


def to_event(feedback: Feedback, price: float | None = None) -> Event:
    """The event to append; its `value` is the reward, which the context names too.

    A purchase becomes an order of one piece at the list `price`: its `value` is money, as that of every order, or null
    where the item has no price. Raises Invalid.
    """
    worth = reward(feedback.feedback_type, feedback.feedback_value)
    bought = feedback.feedback_type == "purchase"
    context: dict[str, Any] = {**feedback.context, "source": "feedback", "reward": worth}
    if REWARDS[feedback.feedback_type] is None:
        context["feedback_value"] = feedback.feedback_value
    if feedback.request_id is not None:
        context["request_id"] = feedback.request_id
    return Event(
        event_type="order" if bought else feedback.feedback_type,
        user_id=feedback.user_id,
        target_id=feedback.item_id,
        item_id=feedback.item_id,
        time=feedback.timestamp,
        quantity=1.0 if bought else None,
        unit_price=price if bought else None,
        value=price if bought else worth,
        context=context,
    )
