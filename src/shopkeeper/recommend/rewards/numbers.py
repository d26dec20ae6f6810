"""Numbers that came in a context, as JSON tells them: of any length, so that some are beyond what a float holds."""

from __future__ import annotations

import math


def finite(value: object) -> float | None:
    """As a float; None for what is no number, not finite, or too large for one."""
    if not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
