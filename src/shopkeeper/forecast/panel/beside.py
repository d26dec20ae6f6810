"""What a panel may know beside the log: names of stores, categories of items, the calendar, numbers of days."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shopkeeper.forecast.covariates import (
    CATEGORY,
    CLOSED,
    DISCOUNT,
    HOLIDAY,
    PLANNED,
    PRODUCT,
    PROMOTED,
    PROMOTION,
    STORE,
    Covariates,
)
from shopkeeper.forecast.panel.availability import Facts, availability
from shopkeeper.forecast.panel.calendarbook import CalendarBook
from shopkeeper.stores.day_facts import ALL, IN_STOCK, OUT_OF_STOCK

MOST_FACTS = 32


class StoreNames(Protocol):
    """Ids of stores and their rows."""

    def row(self, id: str, /) -> int | None: ...


@dataclass(frozen=True)
class Beside:
    """`categories()` and `born()` (us, when a record was made) by item row; a row beyond their end has none."""

    stores: StoreNames | None = None
    categories: Callable[[], Sequence[str | None]] = tuple
    calendar: CalendarBook = field(default_factory=CalendarBook)
    facts: Facts | None = None
    born: Callable[[], NDArray[np.int64]] = lambda: np.empty(0, dtype=np.int64)

    def category(self, item_row: int) -> str | None:
        known = self.categories()
        return known[item_row] if item_row < len(known) else None

    def of_category(self, name: str) -> NDArray[np.int64]:
        """Item rows."""
        return np.array([row for row, one in enumerate(self.categories()) if one == name], dtype=np.int64)

    def available(
        self, store_row: int | None, rows: NDArray[np.int64], y: NDArray[np.float32], first_day: int
    ) -> NDArray[np.bool_] | None:
        """(len(y), d): of the items `rows`, the first of `y`; what follows them always is."""
        found = None if self.facts is None else availability(self.facts, store_row, rows, y[: len(rows)], first_day)
        return None if found is None else np.pad(found, ((0, len(y) - len(rows)), (0, 0)), constant_values=True)

    def covariates(
        self,
        ids: Sequence[str],
        rows: NDArray[np.int64],
        first_day: int,
        columns: int,
        ahead: int,
        *,
        store: tuple[str, int] | None = None,
        category: str | None = None,
        promoted: NDArray[np.float32] | None = None,
    ) -> Covariates:
        """Of the series `ids` (n,): the items `rows`, then sums, of `category` if they are of one. `store`: id and row
        where they are of one store; `promoted` (n, columns) as the log has it.
        """
        names: list[str | None] = [*ids[: len(rows)], *[None] * (len(ids) - len(rows))]
        told = self.calendar.columns(first_day, columns + ahead, names, None if store is None else store[0])
        shared = {HOLIDAY: told.holiday}
        if told.closed.any():
            shared[CLOSED] = told.closed
        shared |= self._numbers(first_day, columns + ahead, None if store is None else store[1])
        own = {name: one for name, one in ((PROMOTION, told.promotion), (DISCOUNT, told.discount)) if one is not None}
        if promoted is not None:
            own[PROMOTED] = np.pad(promoted, ((0, 0), (0, ahead)), constant_values=np.nan)
        statics: dict[str, Sequence[str | None]] = {
            PRODUCT: list(ids),
            CATEGORY: [*(self.category(int(row)) for row in rows), *[category] * (len(ids) - len(rows))],
        }
        if store is not None:
            statics[STORE] = [store[0]] * len(ids)
        coded = {name: coded_words(values) for name, values in statics.items()}
        return Covariates(
            tuple(shared),
            np.stack(list(shared.values())),
            tuple(own),
            np.stack(list(own.values())) if own else np.empty((0, len(ids), columns + ahead), dtype=np.float32),
            tuple(coded),
            np.stack([codes for codes, _ in coded.values()], axis=1),
            tuple(words for _, words in coded.values()),
            PLANNED,
            ahead,
        )

    def _numbers(self, first_day: int, columns: int, store_row: int | None) -> dict[str, NDArray[np.float32]]:
        """Facts of the shop's days, of a store's own where there are any; NaN on days of which nothing is known."""
        found: dict[str, NDArray[np.float32]] = {}
        if self.facts is None:
            return found
        for fact in self.facts.names():
            if fact in (OUT_OF_STOCK, IN_STOCK) or len(found) >= MOST_FACTS:
                continue
            values = np.full(columns, np.nan, dtype=np.float32)
            for place in (ALL,) if store_row is None else (ALL, store_row):
                day, value = self.facts.column(fact, place)
                inside = (first_day <= day) & (day < first_day + columns)
                values[day[inside] - first_day] = value[inside]
            if np.isfinite(values).any():
                found[fact] = values
        return found


def coded_words(values: Sequence[str | None]) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """(n,) codes into the words, which are in order of their first use; -1 for None."""
    words: dict[str, int] = {}
    codes = [-1 if value is None else words.setdefault(value, len(words)) for value in values]
    return np.array(codes, dtype=np.int32), tuple(words)
