"""From long rows, one a series and step, to a set of series: y of a file, and what it says beside y."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.core.scopes import Scope
from shopkeeper.forecast.aggregating import WEIGHED_DAYS, Aggregation, aggregate, carried, mean_price, shares_of
from shopkeeper.forecast.covariates import CATEGORY, CLOSED, HOLIDAY, PLANNED, PRICE, PRODUCT, STORE, Covariates
from shopkeeper.forecast.lives import LONGEST_BREAK
from shopkeeper.forecast.panel.beside import coded_words
from shopkeeper.forecast.panel.sales import MAX_DAYS
from shopkeeper.forecast.panel.scoping import aggregate_id
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.forecast.steps import DAY, Step

Gap = Literal["auto", "no_sale", "missing"]
MOST_CELLS = 400_000_000
LONGEST_GAP = 28
MOST_AHEAD = 400


@dataclass(frozen=True)
class LongRows:
    """(m,) each: the series' place in `ids`, its local day, `y` (NaN: not known, or a row of the future that only says
    what is planned). `numbers` (m,) by name, NaN where nothing is told; `words` by name, one a series.
    """

    ids: tuple[str, ...]
    place: NDArray[np.int64]
    day: NDArray[np.int32]
    y: NDArray[np.float64]
    price: NDArray[np.float64] | None = None
    available: NDArray[np.float64] | None = None
    numbers: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    words: dict[str, list[str | None]] = field(default_factory=dict)
    known: frozenset[str] = frozenset()


def step_of(day: NDArray[np.integer]) -> Step:
    """Weeks where all of at least eight different days are whole weeks apart, else days."""
    different = np.unique(day)
    if len(different) < 8 or ((different - different[0]) % 7).any():
        return DAY
    return Step(7, int(different[0] + 3) % 7)


def series_of(
    rows: LongRows,
    *,
    scope: Scope,
    chosen: NDArray[np.bool_],
    step: Step,
    aggregation: Aggregation,
    gap: Gap,
    facts: dict[str, Any],
) -> SeriesSet:
    """The set of a scope: the series (n,) that are `chosen`, and what they come to as its last row; of one product that
    alone. Steps without a row are without a sale, see `_gaps`; one of which a row says nothing is not available.
    """
    told = np.isfinite(rows.y)
    if not told.any():
        raise Invalid("no rows with a y: a series needs at least one day", code="no_data")
    last = int(rows.day[told].max())
    first = max(int(rows.day[told].min()), last - MAX_DAYS + 1)
    first += (last - first) % step.days
    columns = (last - first) // step.days + 1
    ahead = int(min(max((int(rows.day.max()) - last) // step.days, 0), MOST_AHEAD))
    n = len(rows.ids)
    if n * (columns + ahead) > MOST_CELLS:
        raise Invalid(
            f"{n} series of {columns} steps are more than fit: at most {MOST_CELLS} values; take fewer series or weeks",
            code="too_large",
        )
    column = (rows.day - first) // step.days
    inside = (column >= 0) & (column < columns + ahead) & ((rows.day - first) % step.days == 0)
    past = inside & (column < columns)
    facts["earlier_rows"] = int((rows.day < first).sum())
    grid = _Grid(n, columns, ahead, rows.place, column)
    y = grid.sums(np.nan_to_num(rows.y), past & told)[:, :columns].astype(np.float32)
    available = _available(rows, grid, past, told, y, step, gap, facts)
    price = _price(rows, grid, past, columns)
    shared, own = _beside(rows, grid, inside)
    part = np.flatnonzero(chosen)
    sold = (y > 0).sum(axis=0).astype(np.int32)
    y, price = y[part], price[part]
    one = scope.kind == "product"
    ids = [rows.ids[row] for row in part]
    words = {name: [values[row] for row in part] for name, values in rows.words.items()}
    words = {PRODUCT: list(ids), **words}
    own = {name: values[part] for name, values in own.items()}
    available = None if available is None else available[part]
    if not one:
        shares = shares_of(y, price, WEIGHED_DAYS // step.days) if aggregation == "weighted" else None
        total = aggregate(y, aggregation, shares)
        at = mean_price(y, price) if scope.kind == "category" else np.full(columns, np.nan, dtype=np.float32)
        y, price = np.vstack([y, total[None]]), np.vstack([price, at[None]])
        own = {name: np.vstack([values, _mean(values)[None]]) for name, values in own.items()}
        available = None if available is None else np.vstack([available, np.ones((1, columns), dtype=np.bool_)])
        ids.append(aggregate_id(scope))
        words = {name: [*values, _common(name, values, scope)] for name, values in words.items()}
        words[PRODUCT][-1] = ids[-1]
    coded = {name: coded_words(values) for name, values in words.items()}
    width = columns + ahead
    return SeriesSet(
        tuple(ids),
        first,
        y,
        price,
        sold,
        np.arange(len(ids)) >= len(part),
        covariates=Covariates(
            tuple(shared),
            np.stack(list(shared.values())) if shared else np.empty((0, width), dtype=np.float32),
            tuple(own),
            np.stack(list(own.values())) if own else np.empty((0, len(ids), width), dtype=np.float32),
            tuple(coded),
            np.stack([codes for codes, _ in coded.values()], axis=1),
            tuple(words for _, words in coded.values()),
            PLANNED | rows.known,
            ahead,
        ),
        available=available,
        step=step,
        aggregation=aggregation,
        facts={"scope": str(scope), "period": step.period, "aggregation": aggregation, **facts},
    )


class _Grid:
    """Rows of a file as matrices (n, columns + ahead)."""

    def __init__(self, n: int, columns: int, ahead: int, place: NDArray[np.int64], column: NDArray[np.integer]) -> None:
        self.shape = n, columns + ahead
        self._at = place * self.shape[1] + np.clip(column, 0, self.shape[1] - 1)

    def sums(self, values: NDArray[np.floating], where: NDArray[np.bool_]) -> NDArray[np.float64]:
        cells = self.shape[0] * self.shape[1]
        found = np.bincount(self._at[where], values[where], minlength=cells)
        return found.astype(np.float64, copy=False).reshape(self.shape)  # of nothing numpy makes whole numbers

    def counts(self, where: NDArray[np.bool_]) -> NDArray[np.int64]:
        cells = self.shape[0] * self.shape[1]
        return np.bincount(self._at[where], minlength=cells).reshape(self.shape)

    def means(self, values: NDArray[np.floating], where: NDArray[np.bool_]) -> NDArray[np.float32]:
        """NaN where no row tells a number."""
        told = where & np.isfinite(values)
        count = self.counts(told)
        total = self.sums(np.nan_to_num(values), told)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _available(
    rows: LongRows,
    grid: _Grid,
    past: NDArray[np.bool_],
    told: NDArray[np.bool_],
    y: NDArray[np.float32],
    step: Step,
    gap: Gap,
    facts: dict[str, Any],
) -> NDArray[np.bool_] | None:
    columns = y.shape[1]
    written = grid.counts(past & told)[:, :columns] > 0
    empty = grid.counts(past & ~told)[:, :columns] > 0
    missing = empty & ~written
    if rows.available is not None:
        missing |= (
            grid.sums((rows.available <= 0).astype(np.float64), past & np.isfinite(rows.available))[:, :columns] > 0
        )
    missing |= _gaps(written | empty, rows.y, step, gap, facts)
    facts["masked"] = int(missing.sum())
    return ~missing if missing.any() else None


def _gaps(
    written: NDArray[np.bool_],
    told: NDArray[np.float64],
    step: Step,
    gap: Gap,
    facts: dict[str, Any],
) -> NDArray[np.bool_]:
    """(n, d) steps without a row that say nothing. `no_sale`: none; `missing`: all between a series' first row and the
    file's end; `auto`: where the file writes zeros down, breaks of more than 28 days between two rows, as its silence
    then means something else than no sale.
    """
    missing = np.zeros(written.shape, dtype=np.bool_)
    writes_zeros = bool((told == 0).any())
    longest = LONGEST_GAP // step.days
    found = 0
    for row in range(len(written)):
        there = np.flatnonzero(written[row])
        apart = np.diff(there) - 1
        begins = np.flatnonzero(apart > longest)
        long = np.flatnonzero(apart > LONGEST_BREAK // step.days)
        if gap == "missing":
            missing[row, there[0] if len(there) else 0 :] = True
            missing[row, there] = False
            found += len(begins)
        elif gap == "auto" and writes_zeros:
            found += len(begins)
            for begin in begins:
                missing[row, there[begin] + 1 : there[begin + 1]] = True
        else:
            found += len(long)
    facts["gaps"] = found
    return missing


def _price(rows: LongRows, grid: _Grid, past: NDArray[np.bool_], columns: int) -> NDArray[np.float32]:
    if rows.price is None:
        return np.full((grid.shape[0], columns), np.nan, dtype=np.float32)
    price = grid.means(rows.price, past & (rows.price > 0))[:, :columns]
    return carried(price, np.isfinite(price))


def _beside(
    rows: LongRows, grid: _Grid, inside: NDArray[np.bool_]
) -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.float32]]]:
    """(columns + ahead,) what is the same for all series on each day; (n, columns + ahead) what is not."""
    shared: dict[str, NDArray[np.float32]] = {}
    own: dict[str, NDArray[np.float32]] = {}
    numbers = dict(rows.numbers)
    if PRICE in rows.known and rows.price is not None:
        numbers[PRICE] = rows.price
    for name, values in numbers.items():
        cells = grid.means(values, inside)
        if name == PRICE:
            cells = carried(cells, np.isfinite(cells))
        known = np.isfinite(cells)
        low = np.where(known, cells, np.inf).min(axis=0)
        high = np.where(known, cells, -np.inf).max(axis=0)
        alike = name in (HOLIDAY, CLOSED) or (name not in PLANNED and name != PRICE and bool((low >= high).all()))
        if alike:
            one = np.where(np.isfinite(high), high, np.nan).astype(np.float32)
            shared[name] = np.nan_to_num(one) if name in PLANNED else one
        else:
            own[name] = np.nan_to_num(cells) if name in PLANNED else cells
    return shared, own


def _mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """(d,) of those that are known, NaN where none is."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _common(name: str, values: list[str | None], scope: Scope) -> str | None:
    """The word of a sum: the scope's own, or the one that all of its parts have."""
    if name == CATEGORY and scope.kind == "category":
        return scope.id
    return values[0] if name == STORE and values and len(set(values)) == 1 else None
