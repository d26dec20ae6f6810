import sys
from datetime import date

import numpy as np
import pytest

from shopkeeper.core.days import day_number
from shopkeeper.core.errors import Invalid, Unavailable
from shopkeeper.core.records import CalendarEntry
from shopkeeper.forecast.panel import calendarbook
from shopkeeper.forecast.panel.calendarbook import CalendarBook, holidays_of

MONDAY = day_number(date(2024, 6, 3))


def promotion(first: str, last: str, **more: object) -> CalendarEntry:
    return CalendarEntry(kind="promotion", name="Sale", from_=first, to=last, **more)  # type: ignore[arg-type]


def test_entries_of_all_items_count_for_sums_too_and_the_deepest_discount_counts() -> None:
    entries = (
        promotion("2024-06-01", "2024-06-04", discount=0.1),
        promotion("2024-06-04", "2024-06-30", item_ids=["a", "c"], discount=0.3),
        promotion("2024-06-05", "2024-06-05", store_ids=["S1"]),
    )
    book = CalendarBook(lambda: entries)
    told = book.columns(MONDAY, 4, ["a", "b", None])
    assert told.promotion is not None
    assert told.discount is not None
    assert told.promotion.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0]]
    np.testing.assert_allclose(told.discount, [[0.1, 0.3, 0.3, 0.3], [0.1, 0.1, 0, 0], [0.1, 0.1, 0, 0]], rtol=1e-6)
    store = book.columns(MONDAY, 4, ["b"], "S1")
    assert store.promotion is not None
    assert store.promotion.tolist() == [[1, 1, 1, 0]]
    assert book.columns(MONDAY + 90, 4, ["a"]).promotion is None


def test_a_change_is_seen_at_once() -> None:
    entries: list[tuple[CalendarEntry, ...]] = [()]
    book = CalendarBook(lambda: entries[0])
    assert book.columns(MONDAY, 1, ["a"]).promotion is None
    entries[0] = (promotion("2024-06-03", "2024-06-03"),)
    assert book.columns(MONDAY, 1, ["a"]).promotion is not None


def test_holidays_of_a_country() -> None:
    pytest.importorskip("holidays")
    book = CalendarBook(country="GB-ENG")
    told = book.columns(day_number(date(2023, 12, 24)), 10, [])
    assert told.holiday.tolist() == [0, 1, 1, 0, 0, 0, 0, 0, 1, 0]  # Christmas, Boxing Day, New Year
    assert CalendarBook(country="DE-BY").columns(day_number(date(2024, 1, 6)), 1, []).holiday.tolist() == [
        1
    ]  # Epiphany
    with pytest.raises(Invalid, match="no holidays are known"):
        CalendarBook(country="Atlantis")


def test_without_the_library_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "holidays", None)
    calendarbook.holidays_of.cache_clear()
    with pytest.raises(Unavailable, match="pip install 'shopkeeper\\[calendar\\]'"):
        CalendarBook(country="GB")
    holidays_of.cache_clear()
