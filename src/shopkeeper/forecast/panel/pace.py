"""How fast each item sells these weeks, for whoever asks how long what is on hand will last."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import MINUTE, Clock
from shopkeeper.forecast.panel.sales import SalesPanel

PACE_DAYS = 28


class SellingPace:
    """Used on the panel's thread. The numbers are of the last four whole weeks. They are worked out once a day, and
    anew when sales of these weeks came late (an import, say): then a minute later at most."""

    def __init__(self, panel: SalesPanel, clock: Clock) -> None:
        self._panel = panel
        self._clock = clock
        self._day, self._minute, self._sales = -1, -1, -1
        self._pieces = np.empty(0, dtype=np.float32)

    def __call__(self) -> NDArray[np.float32]:
        """Pieces a day by item row; the same array until they are others. Items beyond its end have not been sold."""
        now = self._clock.now()
        day, minute = self._panel.last_complete_day(now), now // MINUTE
        if day != self._day or minute != self._minute:
            sales = self._panel.last_change(day, PACE_DAYS)
            if day != self._day or sales != self._sales:
                self._pieces = self._panel.daily_pieces(day, PACE_DAYS)
            self._day, self._minute, self._sales = day, minute, sales
        return self._pieces
