"""The values that rules compute with, and the scalar operations that both forms of a rule share.

A number is a float64; a missing number is NaN. A missing text is None. A bool is never missing (an absent one is
False), a map neither (an absent one is empty). Maps go from text to number.
"""

from __future__ import annotations

import math

MISSING = math.nan


def divide(left: float, right: float) -> float:
    """By zero: missing."""
    return left / right if right != 0 else MISSING


def floor_divide(left: float, right: float) -> float:
    return left // right if right != 0 else MISSING


def remainder(left: float, right: float) -> float:
    """Has the sign of `right`, as in Python; by zero: missing."""
    return left % right if right != 0 else MISSING


def least(values: list[float]) -> float:
    """Missing when any is missing."""
    return MISSING if any(v != v for v in values) else min(values)


def greatest(values: list[float]) -> float:
    """Missing when any is missing."""
    return MISSING if any(v != v for v in values) else max(values)


def whole(value: float) -> float:
    """Cut towards zero; infinite: missing."""
    return float(math.trunc(value)) if math.isfinite(value) else MISSING


def number_of(text: str | None) -> float:
    """`"12.5"` -> 12.5; what is no finite decimal number is missing."""
    if text is None or not text.isascii() or "_" in text:
        return MISSING
    try:
        value = float(text)
    except ValueError:
        return MISSING
    return value if math.isfinite(value) else MISSING


def text_of(value: float) -> str | None:
    """Whole numbers without a point, others in the shortest form that reads back equal; missing: None."""
    if value != value:
        return None
    if abs(value) < 1e15 and value == math.trunc(value):
        return str(int(value))
    return repr(value)
