"""Daily or weekly series as one matrix: what forecast algorithms are fitted on and what they forecast from.

`SeriesSet` is cut by `until`, and everything derived (closed days, closed weekdays) is derived again from what is left:
an algorithm that is given `until(cutoff)` cannot see past the cutoff.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.forecast.covariates import Covariates
from shopkeeper.forecast.opening import closed_days, closed_weekdays, weekdays
from shopkeeper.forecast.steps import DAY, Step

TOTAL = "__total__"
"""The unique_id of the series of everything that was sold."""


@dataclass(frozen=True)
class SeriesSet:
    """n series over d consecutive steps: local days, or weeks.

    `ids` (n,) unique ids; `first_day` days since 1970 of column 0; `y` (n, d) pieces sold, 0 in a step without a sale;
    `price` (n, d) last known price, NaN before the first; `sold` (d,) different products sold in the shop that step;
    `aggregate` (n,) rows that are sums of others; `available` (n, d), None for always: where it is False `y` says
    nothing about demand (out of stock, not listed yet, a gap in the records).
    """

    ids: tuple[str, ...]
    first_day: int
    y: NDArray[np.float32]
    price: NDArray[np.float32]
    sold: NDArray[np.int32]
    aggregate: NDArray[np.bool_]
    covariates: Covariates | None = None
    available: NDArray[np.bool_] | None = None
    step: Step = DAY
    start: NDArray[np.int32] = field(init=False)
    """(n,) column of the first sale; d for a series that never sold."""
    closed: NDArray[np.bool_] = field(init=False)
    """(d,) days on which the whole shop was closed."""
    weekly_closed: NDArray[np.bool_] = field(init=False)
    """(7,) weekdays on which the shop is expected to be closed."""

    def __post_init__(self) -> None:
        n, d = self.y.shape
        if self.price.shape != (n, d) or self.sold.shape != (d,) or not len(self.ids) == len(self.aggregate) == n:
            raise Invalid(f"series of shape {n} x {d} came with a price, id or day column of another shape")
        sells = self.y > 0
        start = np.where(sells.any(axis=1), sells.argmax(axis=1), d) if d else np.zeros(n)
        daily = self.step.days == 1
        closed = closed_days(self.sold) if daily else np.zeros(d, dtype=np.bool_)
        object.__setattr__(self, "start", start.astype(np.int32))
        object.__setattr__(self, "closed", closed)
        object.__setattr__(self, "weekly_closed", closed_weekdays(closed, self.first_day))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def days(self) -> int:
        """d: steps of the history."""
        return int(self.y.shape[1])

    @property
    def last_day(self) -> int:
        """Days since 1970 of the last day of the last column."""
        return self.first_day + self.days * self.step.days - 1

    @property
    def weekday(self) -> NDArray[np.int64]:
        """(d,) of the first day of each step, 0 Monday."""
        return weekdays(self.first_day, self.days, self.step.days)

    def future_weekday(self, horizon: int) -> NDArray[np.int64]:
        """(horizon,) of the first day of each step behind the history, 0 Monday."""
        return weekdays(self.last_day + 1, horizon, self.step.days)

    def until(self, columns: int) -> SeriesSet:
        """The first `columns` steps only, and what was known then of the ones behind."""
        return SeriesSet(
            ids=self.ids,
            first_day=self.first_day,
            y=self.y[:, :columns],
            price=self.price[:, :columns],
            sold=self.sold[:columns],
            aggregate=self.aggregate,
            covariates=None if self.covariates is None else self.covariates.until(columns),
            available=None if self.available is None else self.available[:, :columns],
            step=self.step,
        )

    def select(self, rows: NDArray[np.integer]) -> SeriesSet:
        """Some of the series, over the same steps."""
        return SeriesSet(
            ids=tuple(self.ids[row] for row in rows),
            first_day=self.first_day,
            y=self.y[rows],
            price=self.price[rows],
            sold=self.sold,
            aggregate=self.aggregate[rows],
            covariates=None if self.covariates is None else self.covariates.select(rows),
            available=None if self.available is None else self.available[rows],
            step=self.step,
        )

    def observed(self) -> NDArray[np.float32]:
        """(n, d) pieces, NaN on closed days, before the first sale and where a series was not available."""
        unseen = self.closed[None, :] | (np.arange(self.days)[None, :] < self.start[:, None])
        if self.available is not None:
            unseen |= ~self.available
        return np.where(unseen, np.float32(np.nan), self.y)

    def filled(self) -> NDArray[np.float32]:
        """(n, d) `y`, with the last known pieces of the same place in the season where it was not available."""
        if self.available is None or self.available.all():
            return self.y
        y, season = self.y.copy(), self.step.season if self.step.days == 1 else 1
        for column in range(season, self.days):
            gone = ~self.available[:, column]
            y[gone, column] = y[gone, column - season]
        return y

    def future_closed(self, horizon: int) -> NDArray[np.bool_]:
        """(horizon,) steps behind the history in which the shop is expected to be closed."""
        return self.weekly_closed[self.future_weekday(horizon)]


def from_rows(
    ids: list[str], day: NDArray[np.integer], y: NDArray[np.floating], price: NDArray[np.floating] | None = None
) -> SeriesSet:
    """Series from long rows (one a series and day, in any order; repeats are added), the total appended.

    Days without a row are days without a sale. Raises Invalid on no rows, negative or not finite values.
    """
    if not ids:
        raise Invalid("no rows: a series needs at least one day", code="no_data")
    if not np.isfinite(y).all() or (y < 0).any():
        raise Invalid("y must be finite and not negative: returns are not demand", code="bad_value", field="y")
    names = sorted(set(ids))
    place = {name: row for row, name in enumerate(names)}
    row = np.array([place[name] for name in ids])
    first, columns = int(day.min()), int(day.max() - day.min()) + 1
    pieces, money = np.zeros((len(names), columns)), np.zeros((len(names), columns))
    np.add.at(pieces, (row, day - first), y)
    np.add.at(money, (row, day - first), y * (np.nan if price is None else price))
    return with_total(tuple(names), first, pieces, money, pieces)


def with_total(
    ids: tuple[str, ...],
    first_day: int,
    pieces: NDArray[np.floating],
    money: NDArray[np.floating],
    priced: NDArray[np.floating],
) -> SeriesSet:
    """A set of product series (n, d) and, as its last row, their sum, which has no price.

    `money` is what the `priced` pieces brought in.
    """
    sold = (pieces > 0).sum(axis=0).astype(np.int32)
    y = np.vstack([pieces, pieces.sum(axis=0, keepdims=True)]).astype(np.float32)
    none = np.full((1, y.shape[1]), np.nan, dtype=np.float32)
    aggregate = np.zeros(len(y), dtype=np.bool_)
    aggregate[-1] = True
    price = np.vstack([carried_price(money, priced), none])
    return SeriesSet((*ids, TOTAL), first_day, y, price, sold, aggregate)


def carried_price(money: NDArray[np.floating], priced: NDArray[np.floating]) -> NDArray[np.float32]:
    """(n, d) price a piece of each day, or of the last day that had one; NaN before the first."""
    if not priced.shape[1]:
        return np.empty(priced.shape, dtype=np.float32)
    known = (priced > 0) & (money > 0)
    price = np.where(known, money / np.where(priced > 0, priced, 1.0), np.nan)
    last = np.maximum.accumulate(np.where(known, np.arange(price.shape[1]), -1), axis=1)
    carried = np.take_along_axis(price, np.maximum(last, 0), axis=1)
    return np.where(last >= 0, carried, np.nan).astype(np.float32)
