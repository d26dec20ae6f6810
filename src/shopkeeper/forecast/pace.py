"""How fast each item sells these weeks, for whoever asks how long what is on hand will last."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import Clock
from shopkeeper.forecast.panel import SalesPanel

PACE_DAYS = 28


class SellingPace:
    """Used on the panel's thread. The numbers are of the last four whole weeks; they are worked out once a day."""

    def __init__(self, panel: SalesPanel, clock: Clock) -> None:
        self._panel = panel
        self._clock = clock
        self._day = -1
        self._pieces = np.empty(0, dtype=np.float32)

    def __call__(self) -> NDArray[np.float32]:
        """Pieces a day by item row; the same array until the next day. Items beyond its end have not been sold."""
        day = self._panel.last_complete_day(self._clock.now())
        if day != self._day:
            self._pieces = self._panel.daily_pieces(day, PACE_DAYS)
            self._day = day
        return self._pieces
