"""What the global tree model sees of a series at its end, and of the day that is asked for. All of it is known then.

Everything is relative to the series' recent level, so one model serves products that sell 1 and 1,000 pieces a day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.days import date_of
from shopkeeper.forecast.opening import weekdays
from shopkeeper.forecast.outlook import level
from shopkeeper.forecast.series import SeriesSet

WINDOWS = (7, 14, 28, 56, 112)
_SMALL = 0.02
_YEAR = 364  # whole weeks, so that weekdays meet

STATE_NAMES = (
    "level", "age_open_days", "days_since_last_sale", "last_open_day",
    *(f"mean_{days}" for days in WINDOWS),
    "share_selling_28", "share_selling_112", "spread_28", "spread_112", "biggest_28",
    "price", "price_to_usual",
)  # fmt: skip
DAY_NAMES = ("same_weekday_4", "same_weekday_8", "same_week_last_year", "weekday", "day_of_month", "days_ahead")
FEATURE_NAMES = STATE_NAMES + DAY_NAMES


@dataclass(frozen=True)
class Lags:
    """`state` (n, s) at the end of the series; `level` (n,) pieces an open day; `same_weekday` (n, 7, 2)."""

    series: SeriesSet
    state: NDArray[np.float32]
    level: NDArray[np.float64]
    same_weekday: NDArray[np.float32]

    def rows(self, row: NDArray[np.integer], ahead: NDArray[np.integer], trained: int) -> NDArray[np.float32]:
        """(m, f) features of series `row` (m,) on the day `ahead` (m,) days after the last; FEATURE_NAMES in order.

        Horizons beyond the `trained` one are read as that one.
        """
        far = int(ahead.max(initial=1))
        weekday = weekdays(self.series.last_day + 1, far)[ahead - 1]
        month_day = np.array([date_of(self.series.last_day + k).day for k in range(1, far + 1)])[ahead - 1]
        day = [
            self.same_weekday[row, weekday, 0],
            self.same_weekday[row, weekday, 1],
            self._last_year(row, ahead),
            weekday,
            month_day,
            np.minimum(ahead, trained),
        ]
        return np.column_stack([self.state[row], *day]).astype(np.float32)

    def _last_year(self, row: NDArray[np.integer], ahead: NDArray[np.integer]) -> NDArray[np.float64]:
        """Level of the week around the same day a year ago; NaN where the series is younger."""
        series = self.series
        column = series.days - 1 + ahead - _YEAR
        if column.max(initial=-1) < 4:
            return np.full(len(row), np.nan)
        running = np.concatenate([np.zeros((len(series), 1)), np.cumsum(series.y, axis=1)], axis=1)
        low, high = np.clip(column - 3, 0, series.days), np.clip(column + 4, 0, series.days)
        mean = (running[row, high] - running[row, low]) / np.maximum(high - low, 1)
        return np.where(column - 3 >= series.start[row], _relative(mean, self.level[row]), np.nan)


def lags(series: SeriesSet) -> Lags:
    """Reads the end of every series."""
    usual = level(series)
    recent = series.observed()[:, -max(WINDOWS) :].astype(np.float64)
    state = [np.log(usual), _age(series), _since_last_sale(series), _relative(_last_seen(recent), usual)]
    state += [_relative(_mean(recent[:, -days:]), usual) for days in WINDOWS]
    state += [_mean(np.where(np.isfinite(recent), recent > 0, np.nan)[:, -days:]) for days in (28, 112)]
    state += [_spread(recent[:, -days:]) / usual for days in (28, 112)]
    state += [np.where(np.isfinite(recent[:, -28:]), recent[:, -28:], 0.0).max(axis=1, initial=0.0) / usual]
    state += list(_price(series))
    return Lags(series, np.column_stack(state).astype(np.float32), usual, _same_weekday(series, recent, usual))


def _age(series: SeriesSet) -> NDArray[np.float64]:
    """Open days since the first sale."""
    upto = np.concatenate([[0], np.cumsum(~series.closed)])
    age: NDArray[np.float64] = (upto[-1] - upto[series.start]).astype(np.float64)
    return age


def _since_last_sale(series: SeriesSet) -> NDArray[np.float64]:
    """Days; 999 for a series that never sold."""
    sells = series.y > 0
    return np.where(sells.any(axis=1), sells[:, ::-1].argmax(axis=1) if series.days else 0, 999).astype(np.float64)


def _price(series: SeriesSet) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """log of the last price, and of the last price to the mean of the last 60 days."""
    if not series.days:
        return np.full(len(series), np.nan), np.full(len(series), np.nan)
    last = series.price[:, -1].astype(np.float64)
    return np.log(last), np.log(last / _mean(series.price[:, -60:].astype(np.float64)))


def _same_weekday(series: SeriesSet, recent: NDArray[np.float64], usual: NDArray[np.float64]) -> NDArray[np.float32]:
    """(n, 7, 2) mean of the last four and eight of each weekday, relative to the level."""
    answer = np.empty((len(series), 7, 2), dtype=np.float32)
    weekday = series.weekday[-recent.shape[1] :] if recent.shape[1] else np.empty(0)
    for day in range(7):
        column = recent[:, weekday == day]
        for place, weeks in enumerate((4, 8)):
            answer[:, day, place] = _relative(_mean(column[:, -weeks:]), usual)
    return answer


def _last_seen(recent: NDArray[np.float64]) -> NDArray[np.float64]:
    for back in range(1, min(recent.shape[1], 14) + 1):
        if np.isfinite(recent[:, -back]).any():
            seen: NDArray[np.float64] = recent[:, -back]
            return seen
    return np.full(len(recent), np.nan)


def _relative(value: NDArray[np.float64], usual: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log((value + _SMALL) / (usual + _SMALL))


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over the days seen, NaN without any."""
    counted = np.isfinite(values).sum(axis=1)
    return np.where(counted > 0, np.nansum(values, axis=1) / np.maximum(counted, 1), np.nan)


def _spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
    mean = _mean(values)
    return np.sqrt(_mean((values - mean[:, None]) ** 2))
