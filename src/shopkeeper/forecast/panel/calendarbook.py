"""The calendar as columns over days: holidays, closed days, promotions of each item with the share they take off.

Entries come from the shop's calendar; holidays of a country from the library `holidays` (extra `calendar`), where a
country is set. An entry of certain stores counts in those; one of all stores also where no store is asked for.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.days import date_of, day_number
from shopkeeper.core.errors import Invalid, Unavailable
from shopkeeper.core.records import CalendarEntry


@dataclass(frozen=True)
class DayColumns:
    """Of `days` days: `holiday` and `closed` (days,) are 0 or 1; `promotion` (n, days) 0 or 1 and `discount` (n, days)
    the share taken off; None without any promotion (any discount) of these items in these days.
    """

    holiday: NDArray[np.float32]
    closed: NDArray[np.float32]
    promotion: NDArray[np.float32] | None
    discount: NDArray[np.float32] | None


class CalendarBook:
    """`entries` gives the present ones, the same object while nothing has changed; `country` is a code such as GB or
    DE-BY, "" for none.
    """

    def __init__(self, entries: Callable[[], Iterable[CalendarEntry]] = tuple, country: str = "") -> None:
        self._entries = entries
        self._known: Iterable[CalendarEntry] | None = None
        self._read = _Read([], [], {})
        self._country = country
        if country:
            holidays_of(country, 2024)

    def columns(self, first_day: int, days: int, items: Sequence[str | None], store: str | None = None) -> DayColumns:
        """`items` (n,): ids; None for a sum of items, on sale while an entry of all items lasts."""
        read, last = self._present(), first_day + days - 1
        holiday, closed = np.zeros(days, dtype=np.float32), np.zeros(days, dtype=np.float32)
        for day in self._holidays(first_day, days):
            holiday[day - first_day] = 1.0
        for span in read.shared:
            if span.touches(first_day, last, store):
                (holiday if span.kind == "holiday" else closed)[span.columns(first_day)] = 1.0
        promotions: list[tuple[Any, _Span]] = [
            (slice(None), span) for span in read.of_all if span.touches(first_day, last, store)
        ]
        if read.of_item:
            promotions += [
                (row, span)
                for row, item in enumerate(items)
                for span in read.of_item.get(item or "", ())
                if span.touches(first_day, last, store)
            ]
        if not promotions:
            return DayColumns(holiday, closed, None, None)
        promotion = np.zeros((len(items), days), dtype=np.float32)
        discount = np.zeros((len(items), days), dtype=np.float32) if any(one.off for _, one in promotions) else None
        for rows, span in promotions:
            when = span.columns(first_day)
            promotion[rows, when] = 1.0
            if discount is not None:
                discount[rows, when] = np.maximum(discount[rows, when], np.float32(span.off))
        return DayColumns(holiday, closed, promotion, discount)

    def _present(self) -> _Read:
        entries = self._entries()
        if entries is not self._known:
            self._read, self._known = _read(entries), entries
        return self._read

    def _holidays(self, first_day: int, days: int) -> list[int]:
        if not self._country or not days:
            return []
        years = range(date_of(first_day).year, date_of(first_day + days - 1).year + 1)
        found = [day for year in years for day in holidays_of(self._country, year)]
        return [day for day in found if first_day <= day < first_day + days]


class _Span(NamedTuple):
    kind: str
    first: int
    last: int
    stores: frozenset[str] | None
    off: float

    def touches(self, first: int, last: int, store: str | None) -> bool:
        in_time = self.first <= last and first <= self.last
        return in_time and (self.stores is None or (store is not None and store in self.stores))

    def columns(self, first_day: int) -> slice:
        return slice(max(self.first - first_day, 0), self.last - first_day + 1)


class _Read(NamedTuple):
    """Holidays and closed days; promotions of all items; those of one."""

    shared: list[_Span]
    of_all: list[_Span]
    of_item: dict[str, list[_Span]]


def _read(entries: Iterable[CalendarEntry]) -> _Read:
    read = _Read([], [], {})
    for entry in entries:
        first, last = (day_number(date.fromisoformat(text)) for text in (entry.from_, entry.to))
        stores = None if entry.store_ids is None else frozenset(entry.store_ids)
        span = _Span(entry.kind, first, last, stores, entry.discount or 0.0)
        if entry.kind != "promotion":
            read.shared.append(span)
        elif entry.item_ids is None:
            read.of_all.append(span)
        for item in entry.item_ids or ():
            read.of_item.setdefault(item, []).append(span)
    return read


@functools.lru_cache(maxsize=256)
def holidays_of(country: str, year: int) -> tuple[int, ...]:
    """Days since 1970. Raises Unavailable without the library, Invalid for a country that it does not know."""
    try:
        library: Any = importlib.import_module("holidays")
    except ImportError as error:
        raise Unavailable(
            "holidays of a country need the library holidays, which is not installed: pip install"
            " 'shopkeeper[calendar]', or leave SHOPKEEPER_HOLIDAYS_COUNTRY empty",
            code="missing_extra",
        ) from error
    name, _, part = country.partition("-")
    try:
        found = library.country_holidays(name, subdiv=part or None, years=year)
    except NotImplementedError as error:
        raise Invalid(
            f"no holidays are known of {country[:20]!r}; give a code such as GB or DE-BY", field="holidays_country"
        ) from error
    return tuple(sorted(day_number(day) for day in found))
