"""Daily or weekly series as one matrix: what forecast algorithms are fitted on and what they forecast from.

`SeriesSet` is cut by `until`, and everything derived (closed days, closed weekdays, weighted sums) is derived again
from what is left: an algorithm that is given `until(cutoff)` cannot see past the cutoff.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.forecast.aggregating import WEIGHED_DAYS, Aggregation, aggregate, carried_price, shares_of
from shopkeeper.forecast.covariates import CLOSED, Covariates
from shopkeeper.forecast.lives import beginnings
from shopkeeper.forecast.opening import closed_days, closed_weekdays, weekdays
from shopkeeper.forecast.steps import DAY, Step

TOTAL = "__total__"
"""The unique_id of the series of everything that was sold."""


@dataclass(frozen=True)
class SeriesSet:
    """n series over d consecutive steps: local days, or weeks.

    `ids` (n,) unique ids; `first_day` days since 1970 of column 0; `y` (n, d) pieces sold, 0 in a step without a sale;
    `price` (n, d) last known price, NaN before the first; `sold` (d,) different products sold in the shop that step;
    `aggregate` (n,) rows that are made of the others by `aggregation`; `available` (n, d), None for always: where it is
    False `y` says nothing about demand (out of stock, not listed yet, a gap in the records). `facts`: what is to be
    told of the data. Arrays are not to be written to: cuts share them.
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
    aggregation: Aggregation = "sum"
    facts: Mapping[str, Any] = field(default_factory=dict)
    start: NDArray[np.int32] = field(init=False)
    """(n,) column of the first sale, or of the first after a break of more than a year; d for one that never sold."""
    closed: NDArray[np.bool_] = field(init=False)
    """(d,) days on which the whole shop was closed."""
    weekly_closed: NDArray[np.bool_] = field(init=False)
    """(7,) weekdays on which the shop is expected to be closed."""

    def __post_init__(self) -> None:
        n, d = self.y.shape
        if self.price.shape != (n, d) or self.sold.shape != (d,) or not len(self.ids) == len(self.aggregate) == n:
            raise Invalid(f"series of shape {n} x {d} came with a price, id or day column of another shape")
        if self.covariates is not None and (self.covariates.columns, len(self.covariates.statics)) != (d, n):
            raise Invalid(f"series of shape {n} x {d} came with covariates of another shape", code="bad_covariates")
        closed = np.zeros(d, dtype=np.bool_)
        if self.step.days == 1:
            closed = closed_days(self.sold)
            told = None if self.covariates is None else self.covariates.of_shared(CLOSED)
            if told is not None:
                closed = closed | ((told[:d] > 0) & (self.sold == 0))
        object.__setattr__(self, "start", beginnings(self.y > 0, self.step.days))
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
    def season(self) -> int:
        """Steps after which the pattern comes again."""
        return self.step.season

    @property
    def weekday(self) -> NDArray[np.int64]:
        """(d,) of the first day of each step, 0 Monday."""
        return weekdays(self.first_day, self.days, self.step.days)

    def future_weekday(self, horizon: int) -> NDArray[np.int64]:
        """(horizon,) of the first day of each step behind the history, 0 Monday."""
        return weekdays(self.last_day + 1, horizon, self.step.days)

    def until(self, columns: int) -> SeriesSet:
        """The first `columns` steps only, and what was known then of the ones behind."""
        cut = replace(
            self,
            y=self.y[:, :columns],
            price=self.price[:, :columns],
            sold=self.sold[:columns],
            covariates=None if self.covariates is None else self.covariates.until(columns),
            available=None if self.available is None else self.available[:, :columns],
        )
        return cut._weighed() if self.aggregation == "weighted" and columns < self.days else cut

    def select(self, rows: NDArray[np.integer]) -> SeriesSet:
        """Some of the series, over the same steps."""
        return replace(
            self,
            ids=tuple(self.ids[row] for row in rows),
            y=self.y[rows],
            price=self.price[rows],
            aggregate=self.aggregate[rows],
            covariates=None if self.covariates is None else self.covariates.select(rows),
            available=None if self.available is None else self.available[rows],
        )

    def observed(self) -> NDArray[np.float32]:
        """(n, d) pieces, NaN on closed days, before the first sale and where a series was not available."""
        unseen = self.closed[None, :] | (np.arange(self.days)[None, :] < self.start[:, None])
        if self.available is not None:
            unseen |= ~self.available
        return np.where(unseen, np.float32(np.nan), self.y)

    def filled(self) -> NDArray[np.float32]:
        """(n, d) `y` with demand in the place of what says nothing: where a series was not available stand the pieces
        of the same weekday (week: of the step) on which it last was, else what it sells on average.
        """
        if self.available is None:
            return self.y
        gone = ~self.available & (np.arange(self.days) >= self.start[:, None])
        gone[:, self.closed] = False
        rows = np.flatnonzero(gone.any(axis=1))
        if not len(rows):
            return self.y
        season, part, gone = (7 if self.step.days == 1 else 1), self.y[rows], gone[rows]
        usual = _usual(part, gone | self.closed | (np.arange(self.days) < self.start[rows, None]))
        last = np.repeat(usual[:, None], season, axis=1)
        for column in range(self.days):
            if not self.closed[column]:
                slot, missing = column % season, gone[:, column]
                part[missing, column] = last[missing, slot]
                here = ~missing & (column >= self.start[rows])
                last[here, slot] = part[here, column]
        y = self.y.copy()
        y[rows] = part
        return y

    def future_closed(self, horizon: int) -> NDArray[np.bool_]:
        """(horizon,) steps behind the history in which the shop is expected to be closed: by its habit or calendar."""
        closed: NDArray[np.bool_] = self.weekly_closed[self.future_weekday(horizon)]
        told = None if self.covariates is None else self.covariates.of_shared(CLOSED)
        if told is not None:
            ahead = told[self.days : self.days + horizon] >= 1.0
            closed = closed | np.pad(ahead, (0, horizon - len(ahead)))
        return closed

    def _weighed(self) -> SeriesSet:
        """The weighted mean of the products anew: weights are of what is known now."""
        products = ~self.aggregate
        if not products.any() or not self.aggregate.any():
            return self
        y = self.y.copy()
        shares = shares_of(y[products], self.price[products], WEIGHED_DAYS // self.step.days)
        y[self.aggregate] = aggregate(y[products], "weighted", shares)
        return replace(self, y=y)


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
    at = row * columns + (day - first)
    shape = len(names), columns
    each = y * (np.nan if price is None else price)
    pieces, money = (
        np.bincount(at, weights, minlength=len(names) * columns).astype(np.float64, copy=False).reshape(shape)
        for weights in (y, each)
    )
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
    aggregates = np.zeros(len(y), dtype=np.bool_)
    aggregates[-1] = True
    price = np.vstack([carried_price(money, priced), none])
    return SeriesSet((*ids, TOTAL), first_day, y, price, sold, aggregates)


def _usual(y: NDArray[np.float32], unseen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(n,) mean pieces of the steps that were seen, 0 without any."""
    seen = (~unseen).sum(axis=1)
    return np.asarray(np.where(unseen, 0.0, y).sum(axis=1) / np.maximum(seen, 1), dtype=np.float32)
