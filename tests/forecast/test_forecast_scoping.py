"""The series of a scope: its products, what they come to, and what is known beside them."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from panel_shop import ITEMS, LONDON, TYPES, Words, at, batch

from shopkeeper.core.days import date_of, day_of
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.records import CalendarEntry
from shopkeeper.core.scopes import ALL, Scope
from shopkeeper.forecast.panel.beside import Beside
from shopkeeper.forecast.panel.calendarbook import CalendarBook
from shopkeeper.forecast.panel.ledger import pack
from shopkeeper.forecast.panel.sales import SalesPanel
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.forecast.steps import week

MONDAY = day_of(at(0), LONDON)
FRUIT = ("stone free", "stone free", "stone", None)  # apple, pear, plum, unsold
ROWS = (
    {"item": 0, "store": 0, "quantity": 2, "unit_price": 3.0},
    {"item": 0, "store": 1, "quantity": 5, "unit_price": 3.0, "promotion": True},
    {"item": 1, "store": 0, "time": at(1), "quantity": 1, "unit_price": 1.0},
    {"item": 2, "store": 1, "time": at(2), "quantity": 4, "unit_price": 2.0},
    {"item": 0, "store": 0, "time": at(3), "quantity": 1, "unit_price": 4.0},
)


class Numbers:
    """Facts of days, as the store of them offers."""

    def __init__(self, **facts: dict[tuple[int, int], dict[int, float]]) -> None:
        self._facts = facts

    def column(self, fact: str, store_row: int = -1, item_row: int = -1) -> Any:
        found = self._facts.get(fact, {}).get((store_row, item_row), {})
        return np.array(list(found), dtype=np.int32), np.array(list(found.values()), dtype=np.float32)

    def names(self) -> list[str]:
        return [fact for fact, columns in self._facts.items() if any(item < 0 for _, item in columns)]

    def items(self, fact: str) -> Any:
        return {key: self.column(fact, *key) for key in self._facts.get(fact, {}) if key[1] >= 0}


def panel(*entries: CalendarEntry, facts: Numbers | None = None, rows: Any = ROWS) -> SalesPanel:
    beside = Beside(Words("S0", "S1"), lambda: FRUIT, CalendarBook(lambda: entries), facts)
    made = SalesPanel(LONDON, ITEMS, Words(*TYPES), beside)
    made.apply(batch(*rows))
    return made


def entry(kind: str, first: int, last: int, **more: Any) -> CalendarEntry:
    days = [date_of(MONDAY + day).isoformat() for day in (first, last)]
    return CalendarEntry(kind=kind, name=kind, from_=days[0], to=days[1], **more)  # type: ignore[arg-type]


def words(series: SeriesSet, name: str) -> list[str | None]:
    known = series.covariates
    assert known is not None
    place = known.static_names.index(name)
    return [None if code < 0 else known.static_words[place][code] for code in known.statics[:, place]]


def test_everything_is_its_products_and_their_sum() -> None:
    made = panel().set(MONDAY + 3)
    assert made.ids == ("apple", "pear", "plum", "__total__")
    assert made.y.tolist() == [[7, 0, 0, 1], [0, 1, 0, 0], [0, 0, 4, 0], [7, 1, 4, 1]]
    assert made.aggregate.tolist() == [False, False, False, True]
    assert words(made, "category") == ["stone free", "stone free", "stone", None]
    assert words(made, "product") == list(made.ids)
    assert made.facts["scope"] == "all"


def test_a_product_is_alone() -> None:
    made = panel().set(MONDAY + 3, Scope("product", "apple"))
    assert (made.ids, made.y.tolist(), made.aggregate.tolist()) == (("apple",), [[7, 0, 0, 1]], [False])
    assert made.price.tolist() == [[3, 3, 3, 4]]
    assert made.sold.tolist() == [1, 1, 1, 1]  # of the whole shop: which days it was open
    here = panel().set(MONDAY + 3, Scope("product", "apple", "S1"))
    assert here.y.tolist() == [[5, 0, 0, 0]]
    assert words(here, "store") == ["S1"]
    unsold = panel().set(MONDAY + 3, Scope("product", "unsold"))
    assert unsold.y.tolist() == [[0, 0, 0, 0]]


def test_a_store_and_a_category_have_their_own_sum_and_its_price() -> None:
    store = panel().set(MONDAY + 3, Scope("store", "S1"))
    assert store.ids == ("apple", "plum", "__store:S1__")
    assert store.y.tolist() == [[5, 0, 0, 0], [0, 0, 4, 0], [5, 0, 4, 0]]
    assert np.isnan(store.price[-1]).all()
    category = panel().set(MONDAY + 3, Scope("category", "stone free"))
    assert category.ids == ("apple", "pear", "__category:stone free__")
    assert category.y[-1].tolist() == [7, 1, 0, 1]
    assert words(category, "category") == ["stone free"] * 3
    np.testing.assert_allclose(category.price[-1], [3, 1, 1, 4])
    alone = panel().set(MONDAY + 3, Scope("category", "stone free"), members=False)
    np.testing.assert_array_equal(alone.y, category.y[-1:])
    np.testing.assert_array_equal(alone.price, category.price[-1:])
    assert alone.covariates is not None
    assert category.covariates is not None
    np.testing.assert_allclose(alone.covariates.own, category.covariates.own[:, -1:])
    assert panel().set(MONDAY + 3, Scope("category", "stone free", "S0")).y[-1].tolist() == [2, 1, 0, 1]


@pytest.mark.parametrize(
    ("how", "expected"),
    [("sum", [7, 1, 4, 1]), ("mean", [7, 0.5, 4 / 3, 1 / 3]), ("median", [7, 0.5, 0, 0]), ("max", [7, 1, 4, 1])],
)
def test_ways_to_add_up(how: Any, expected: list[float]) -> None:
    for members in (True, False):
        made = panel().set(MONDAY + 3, ALL, aggregation=how, members=members)
        assert made.y[-1].tolist() == pytest.approx(expected)
        assert len(made) == (4 if members else 1)
    with pytest.raises(Invalid, match="aggregation"):
        panel().set(MONDAY + 3, aggregation="average")  # type: ignore[arg-type]


def test_weighted_is_by_the_money_of_the_year_before_the_cut() -> None:
    made = panel().set(MONDAY + 3, aggregation="weighted")
    money = np.array([21 + 4, 1, 8])
    assert made.y[-1].tolist() == pytest.approx((money / money.sum() @ made.y[:-1]).tolist())
    early = made.until(2)
    assert early.y[-1].tolist() == pytest.approx([7 * 21 / 22, 1 / 22])


@pytest.mark.parametrize(
    ("scope", "code"),
    [
        (Scope("product", "ghost"), "unknown_item"),
        (Scope("store", "ghost"), "unknown_store"),
        (Scope("product", "apple", "ghost"), "unknown_store"),
        (Scope("category", "ghost"), "unknown_category"),
    ],
)
def test_what_is_not_there_is_named(scope: Scope, code: str) -> None:
    with pytest.raises(NotFound, match="ghost") as told:
        panel().set(MONDAY + 3, scope)
    assert told.value.code == code


def test_plans_of_the_calendar_are_known_ahead_and_promotions_of_the_log_are_not() -> None:
    made = panel(
        entry("holiday", 1, 1),
        entry("closed", 5, 5, store_ids=["S0"]),
        entry("promotion", 3, 6, item_ids=["pear"], discount=0.25),
    ).set(MONDAY + 3, ahead=4)
    known = made.covariates
    assert known is not None
    assert known.shared_names == ("holiday",)
    assert known.of_shared("holiday").tolist() == [0, 1, 0, 0, 0, 0, 0, 0]  # type: ignore[union-attr]
    assert known.of_own("promotion")[1].tolist() == [0, 0, 0, 1, 1, 1, 1, 0]  # type: ignore[index]
    assert known.of_own("discount")[1, 3] == 0.25  # type: ignore[index]
    assert not known.of_own("promotion")[[0, 2, 3]].any()  # type: ignore[index]
    promoted = known.of_own("promoted")
    assert promoted is not None
    assert promoted[0, :4].tolist() == pytest.approx([5 / 7, 0, 0, 0])
    assert np.isnan(promoted[:, 4:]).all()
    assert "promoted" not in known.known
    store = panel(entry("closed", 5, 5, store_ids=["S0"])).set(MONDAY + 3, Scope("store", "S0"), ahead=4)
    assert store.future_closed(4).tolist() == [False, True, False, False]


def test_numbers_of_days_are_past_and_a_stores_own_come_before_the_shops() -> None:
    facts = Numbers(temperature={(-1, -1): {MONDAY: 10.0, MONDAY + 5: 12.0}, (1, -1): {MONDAY: 20.0}})
    made = panel(facts=facts).set(MONDAY + 3, ahead=3).covariates
    assert made is not None
    np.testing.assert_array_equal(
        made.of_shared("temperature"), np.array([10, *[np.nan] * 4, 12, np.nan], dtype=np.float32)
    )
    assert "temperature" not in made.known
    there = panel(facts=facts).set(MONDAY + 3, Scope("store", "S1")).covariates
    assert there is not None
    assert there.of_shared("temperature")[0] == 20  # type: ignore[index]


def test_days_out_of_stock_say_nothing() -> None:
    facts = Numbers(
        out_of_stock={(-1, 1): {MONDAY + 2: 1.0, MONDAY + 3: 0.0}},
        in_stock={(-1, 0): {MONDAY: 0.0, MONDAY + 3: 1.0}, (1, 2): {MONDAY: 0.0}},
    )
    made = panel(facts=facts).set(MONDAY + 3)
    assert made.available is not None
    # The apple sold on the day it ran out and on the day it came back.
    assert made.available.tolist() == [
        [True, False, False, True], [True, True, False, True], [True] * 4, [True] * 4,
    ]  # fmt: skip
    here = panel(facts=facts).set(MONDAY + 3, Scope("product", "plum", "S1"))
    assert here.available is not None
    assert here.available.tolist() == [[False, False, True, False]]
    assert panel(facts=facts).set(MONDAY + 3, Scope("product", "unsold")).available is None


def test_weeks_of_a_scope_end_with_the_last_whole_one_and_know_what_is_planned() -> None:
    rows = [{"item": 0, "time": at(day), "quantity": 2} for day in range(20)]
    made = panel(entry("holiday", 14, 14), rows=rows).set(MONDAY + 18, step=week(), ahead=2)
    assert made.y.tolist() == [[14, 14], [14, 14]]
    known = made.covariates
    assert known is not None
    assert known.ahead == 2
    np.testing.assert_allclose(known.of_shared("holiday"), [0, 0, 1 / 7, 0], rtol=1e-6)


SALES = st.lists(
    st.fixed_dictionaries(
        {
            "item": st.integers(0, 2),
            "store": st.integers(-1, 1),
            "time": st.integers(0, 6).map(at),
            "quantity": st.sampled_from([1.0, 0.5]),
            "unit_price": st.sampled_from([2.5, np.nan]),
            "promotion": st.booleans(),
        }
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=40, deadline=None)
@given(SALES, st.integers(1, 29), st.sampled_from([ALL, Scope("store", "S1"), Scope("category", "stone free")]))
def test_batches_of_any_size_make_the_same_set(rows: list[dict[str, Any]], cut: int, scope: Scope) -> None:
    whole = batch(*rows)
    at_once, split = panel(rows=({"item": 0, "time": at(0)},)), panel(rows=({"item": 0, "time": at(0)},))
    at_once.apply(whole)
    for part in (slice(0, cut), slice(cut, None)):
        split.apply(whole.take(part))
    a, b = (one.set(MONDAY + 6, scope) for one in (at_once, split))
    assert a.ids == b.ids
    np.testing.assert_array_equal(a.y, b.y)
    np.testing.assert_array_equal(a.price, b.price)
    assert a.covariates is not None
    assert b.covariates is not None
    np.testing.assert_array_equal(a.covariates.own, b.covariates.own)


def test_many_products_take_little_more_than_their_numbers() -> None:
    products, days = 5_000, 1_000
    random = np.random.default_rng(1)
    cells = np.sort(random.choice(products * days, products * days // 10, replace=False))
    ids = tuple(f"P{k}" for k in range(products))
    big = SalesPanel(LONDON, Rows(ids), Words(*TYPES))
    sums = np.ones((len(cells), 5))
    sums[:, 3:] = 0
    big._ledger.add(pack(cells // days, np.zeros(len(cells)), MONDAY + cells % days), sums)
    big.totals(None)
    tracemalloc.start()
    try:
        made = big.set(MONDAY + days - 1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert made.y.shape == (products + 1, days)
    assert made.y[-1].sum() == len(cells)
    assert peak < 3 * made.y.nbytes


class Rows:
    """As `Words`, quick for many."""

    def __init__(self, ids: tuple[str, ...]) -> None:
        self._ids = ids
        self._rows = {id: row for row, id in enumerate(ids)}

    def row(self, id: str, /) -> int | None:
        return self._rows.get(id)

    def id(self, row: int, /) -> str:
        return self._ids[row]


def test_more_stores_than_are_kept_are_all_right() -> None:
    rows = [{"item": 0, "store": store, "quantity": 1 + store} for store in range(70)]
    made = SalesPanel(LONDON, ITEMS, Words(*TYPES), Beside(Words(*(f"S{k}" for k in range(70))), lambda: FRUIT))
    made.apply(batch(*rows))
    for _ in range(2):
        for store in range(70):
            assert made.set(MONDAY, Scope("store", f"S{store}")).y.tolist() == [[1 + store]] * 2
