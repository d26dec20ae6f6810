"""What a recommendation request may ask for: the bounds of doors.md, told with the field."""

from __future__ import annotations

from typing import Any

from shopkeeper.api.errors import FieldProblem, Malformed
from shopkeeper.core.ids import check_id
from shopkeeper.core.records import Feedback, RecFilters, RecRequest

MOST_EXCLUDED = 1000


def check_request(request: RecRequest) -> None:
    """Raises Malformed, Invalid."""
    check_id(request.user_id, "user_id")
    check_wish(request)


def check_wish(request: RecRequest) -> None:
    """The same but for the user, where a door does without. Raises Malformed."""
    within("n_recommendations", request.n_recommendations, 1, 100)
    within("deadline_ms", request.deadline_ms, 5, 5000)
    within("diversity_weight", request.diversity_weight, 0, 1)
    if request.filters is not None:
        _check_filters(request.filters)


def check_feedback(feedback: Feedback) -> None:
    """Raises Invalid."""
    check_id(feedback.user_id, "user_id")
    check_id(feedback.item_id, "item_id")


def within(field: str, value: Any, low: float, high: float) -> None:
    """Raises Malformed when a given number is outside [low, high]."""
    if value is not None and not low <= value <= high:
        text = f"is {value}, expected {low} to {high}"
        raise Malformed(f"{field} {text}", code="out_of_bounds", errors=[FieldProblem(field, text)])


def _check_filters(filters: RecFilters) -> None:
    within("filters.exclude_items (their number)", len(filters.exclude_items), 0, MOST_EXCLUDED)
    within("filters.price_min", filters.price_min, 0, float("inf"))
    within("filters.price_max", filters.price_max, 0, float("inf"))
