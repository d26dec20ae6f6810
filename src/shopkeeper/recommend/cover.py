"""How long what is on hand will last: pieces on hand over pieces sold a day."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Pieces: TypeAlias = "Callable[[], NDArray[np.float32]]"
"""float32 by item row; an array that was handed out is never changed. On hand: NaN where nobody has counted."""

SOON_DAYS = 2.0
"""What will be sold out sooner is not promoted: no factor above 1 counts for it."""


class Cover:
    """`on_hand` pieces, `daily` pieces sold a day, both by item row; None: nobody knows."""

    def __init__(self, on_hand: Pieces | None, daily: Pieces | None) -> None:
        self._on_hand = on_hand
        self._daily = daily
        self._of: tuple[NDArray[np.float32], NDArray[np.float32], int] | None = None
        self._days = np.empty(0, dtype=np.float32)
        self.version = 0
        """Grows when the days have been worked out anew."""

    def on_hand(self, n: int) -> NDArray[np.float32]:
        """float32 (n,), NaN where nobody has counted."""
        return _fit(_NOTHING if self._on_hand is None else self._on_hand(), n, np.nan)

    def days(self, n: int) -> NDArray[np.float32]:
        """float32 (n,): days until nothing is left at the present pace; NaN where nobody has counted, infinite where
        nothing is sold. Read only."""
        on_hand = _NOTHING if self._on_hand is None else self._on_hand()
        daily = _NOTHING if self._daily is None else self._daily()
        kept = self._of
        if kept is None or kept[0] is not on_hand or kept[1] is not daily or kept[2] != n:
            left, pace = _fit(on_hand, n, np.nan), _fit(daily, n, 0.0)
            with np.errstate(divide="ignore", invalid="ignore"):
                days = np.where(left <= 0, np.float32(0), left / pace)
            self._days = np.where(np.isnan(left), np.float32(np.nan), days).astype(np.float32)
            self._of = (on_hand, daily, n)
            self.version += 1
        return self._days


def _fit(values: NDArray[np.float32], n: int, fill: float) -> NDArray[np.float32]:
    """The first n; `fill` where there are fewer."""
    if len(values) >= n:
        return values[:n]
    result = np.full(n, fill, dtype=np.float32)
    result[: len(values)] = values
    return result


_NOTHING = np.empty(0, dtype=np.float32)
