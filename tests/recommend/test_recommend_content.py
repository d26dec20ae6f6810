"""Items alike by what is said of them, and the search by words: right at once when an item is put."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopkeeper.recommend import content
from shopkeeper.recommend.content import NEAR, ContentIndex
from shopkeeper.recommend.described import Sought
from shopkeeper.recommend.recall.votes import Votes
from shopkeeper.recommend.wording import MOST_TERMS, terms, words


@dataclass
class Things:
    names: list[str] = field(default_factory=list)
    category: list[str | None] = field(default_factory=list)
    prices: list[float] = field(default_factory=list)
    attributes: list[dict[str, Any]] = field(default_factory=list)

    @property
    def price(self) -> np.ndarray:
        return np.array(self.prices, dtype=np.float32)

    def __len__(self) -> int:
        return len(self.names)

    def add(self, name: str, category: str | None = None, price: float = np.nan, **attributes: Any) -> int:
        self.names.append(name)
        self.category.append(category)
        self.prices.append(price)
        self.attributes.append(attributes)
        return len(self) - 1


@pytest.fixture
def things() -> Things:
    found = Things()
    for colour in ("red", "blue", "green"):
        for what in ("mug", "plate", "lamp"):
            found.add(f"{colour} {what}", "lights" if what == "lamp" else "kitchen", 4.0, colour=colour)
    return found


def liked(index: ContentIndex, *items: int, n: int) -> np.ndarray:
    return index.votes(items, np.ones(len(items), dtype=np.float32)).tally(n)


def cosines(things: Things, item: int) -> np.ndarray:
    """Of one item with all, straight from the definition."""
    said = [terms(*of) for of in zip(things.names, things.category, things.prices, things.attributes, strict=True)]
    every = sorted({term for one in said for term in one})
    table = np.array([[one.get(term, 0.0) for term in every] for one in said])
    table *= np.log1p(len(said) / (1 + (table > 0).sum(axis=0)))
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    found = table @ table[item]
    found[item] = 0
    return found


def test_likeness_is_the_cosine_of_weighted_terms(things: Things) -> None:
    index = ContentIndex(things)
    for item in range(len(things)):
        np.testing.assert_allclose(liked(index, item, n=9), cosines(things, item), atol=1e-5)


def test_the_sum_over_what_was_taken_and_who_speaks(things: Things) -> None:
    index = ContentIndex(things)
    weights = np.array([1.0, 0.25], dtype=np.float32)
    votes = index.votes([0, 5], weights)
    np.testing.assert_allclose(votes.tally(9), cosines(things, 0) + 0.25 * cosines(things, 5), atol=1e-5)
    assert votes.loudest(np.array([1, 2, 8], dtype=np.int32)).tolist() == [0, 0, 1]  # a plate, a red thing, a lamp


def test_a_new_item_is_alike_at_once(things: Things) -> None:
    index = ContentIndex(things)
    liked(index, 0, n=9)
    new = things.add("red mugs 2", "kitchen", 4.2, colour="red")
    found = liked(index, 0, n=len(things))
    assert int(found.argmax()) == new
    assert int(liked(index, new, n=len(things)).argmax()) == 0
    assert np.flatnonzero(index.matching("2", len(things))).tolist() == [new]


def test_what_was_said_before_counts_no_more(things: Things) -> None:
    index = ContentIndex(things)
    assert index.matching("red mug", 9)[0] > 0
    things.names[0], things.attributes[0] = "yellow umbrella", {}
    index.touch([0])
    assert index.matching("red mug", 9)[0] == 0
    assert index.matching("umbrella", 9).argmax() == 0
    assert liked(index, 3, n=9)[0] < cosines(things, 3).max()
    np.testing.assert_array_equal(np.flatnonzero(index.matching("umbrella", 9)), [0])


def test_beside_the_index_or_in_it_the_order_is_the_same(things: Things) -> None:
    """What came later and what was there when the index was made are told alike, but for how rare words are."""
    index = ContentIndex(things)
    liked(index, 0, n=9)
    for at in range(30):
        things.add(f"{('red', 'blue')[at % 2]} cup {at}", "kitchen", 4.0, colour=("red", "blue")[at % 2])
    beside, anew = (liked(each, 0, n=len(things)) for each in (index, ContentIndex(things)))
    np.testing.assert_array_equal(beside > 0, anew > 0)
    assert np.corrcoef(beside, anew)[0, 1] > 0.8


def test_many_changes_make_the_index_anew(things: Things) -> None:
    index = ContentIndex(things)
    liked(index, 0, n=9)
    for at in range(300):
        things.add(f"thing {at}")
        if at % 50 == 0:
            liked(index, 0, n=9)
    np.testing.assert_allclose(liked(index, 0, n=len(things))[:9], liked(ContentIndex(things), 0, n=9), atol=0.2)
    assert len(index._fresh) <= 64 + len(things) // 20


def test_rows_may_be_touched_from_any_thread(things: Things) -> None:
    index = ContentIndex(things)
    liked(index, 0, n=9)
    things.names[:] = [f"lantern {at}" for at in range(9)]
    threads = [Thread(target=index.touch, args=([row],)) for row in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert index.matching("lantern", 9).all()


def test_no_list_is_longer_than_a_hundred() -> None:
    many = Things()
    for at in range(500):
        many.add(f"bowl {at}")
    votes = ContentIndex(many).votes([3], np.ones(1, dtype=np.float32))
    assert len(votes.others) == NEAR
    assert 3 not in votes.others


def test_a_search_finds_words_prefixes_and_categories(things: Things) -> None:
    index = ContentIndex(things)
    assert set(np.flatnonzero(index.matching("LAMPS", 9)).tolist()) == {2, 5, 8}
    assert int(index.matching("blue mugs", 9).argmax()) == 3
    assert set(np.flatnonzero(index.matching("pla", 9)).tolist()) == {1, 4, 7}
    assert set(np.flatnonzero(index.matching("", 9, ["Lights"])).tolist()) == {2, 5, 8}
    for nothing in ("", "  ", "xyzzy", "!?", "\x00"):
        assert not index.matching(nothing, 9).any()
    assert len(index.matching("red", 4)) == 4
    assert len(index.matching("red", 40)) == 40


def test_chinese_text_is_found_by_pairs_of_characters() -> None:
    things = Things()
    for name in ("红色陶瓷茶杯", "蓝色陶瓷盘", "木制台灯"):
        things.add(name)
    index = ContentIndex(things)
    assert index.matching("陶瓷", 3).astype(bool).tolist() == [True, True, False]
    assert int(index.matching("茶杯", 3).argmax()) == 0
    assert int(liked(index, 0, n=3).argmax()) == 1


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("Ölkännchen für die Küche", "ölkännchen"),
        ("Ölkännchen für die Küche", "kuche"),
        ("Café au lait", "cafe\u0301"),
        ("Чайник красный", "чайник"),
        ("ابريق شاي", "ابريق"),
        ("κόκκινη κούπα", "κούπα"),
        ("केतली लाल", "केतली"),
        ("กาน้ำชาสีแดง", "กาน้ำชา"),
        ("Türkçe İBRİK", "ibrik"),
    ],
)
def test_words_of_any_script_are_found(name: str, asked: str) -> None:
    things = Things()
    things.add(name)
    things.add("Bowl")
    assert ContentIndex(things).matching(asked, 2).astype(bool).tolist() == [True, False]


def test_a_name_is_found_whatever_else_is_said() -> None:
    said = {f"note{k}": f"{k}a {k}b {k}c {k}d" for k in range(30)}
    assert len(terms("Zebra lamp", "Lights", 4.0, said)) == MOST_TERMS
    assert {"zebra", "lamp", "category=lights", "price=4"} <= set(terms("Zebra lamp", "Lights", 4.0, said))


class Growing(Things):
    """The writer adds an item whenever somebody has asked how many there are."""

    def __len__(self) -> int:
        n = len(self.names)
        self.names.append(f"later {n}")
        self.category.append("kitchen")
        self.prices.append(4.0)
        self.attributes.append({})
        return n


def test_items_may_come_while_the_index_is_made_or_asked() -> None:
    things = Growing()
    index = ContentIndex(things)
    for _ in range(3 * 64):
        n = len(things) + 1
        assert len(index.matching("later", n - 1)) == n - 1
        liked(index, 0, n=n)


def test_words_that_nothing_says_any_more_are_forgotten(things: Things, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "_SPARE", 100)
    index = ContentIndex(things)
    for turn in range(40):
        for row in range(9):
            things.attributes[row]["seen"] = f"at {turn} {row}"
        for at in range(70 if turn % 10 == 9 else 0):  # enough to make it anew
            things.add(f"bowl {turn} {at}")
        index.touch(range(9))
        liked(index, 0, n=9)
        assert len(index._number) < 1000
    fresh = ContentIndex(things)
    np.testing.assert_allclose(liked(index, 0, n=9), liked(fresh, 0, n=9), atol=0.2)
    assert index.matching("red", len(things)).astype(bool).tolist()[:3] == [True] * 3


def test_an_empty_shop_answers_with_nothing() -> None:
    index = ContentIndex(Things())
    assert not len(index.matching("red", 0))
    assert not liked(index, 0, n=5).any()


@given(st.text(max_size=300))
def test_any_text_is_words(text: str) -> None:
    found = list(words(text))
    assert all(1 <= len(word) <= 40 for word in found)
    assert found == list(words(text))


@given(
    st.dictionaries(st.text(max_size=20), st.one_of(st.text(max_size=50), st.booleans(), st.none(), st.integers())),
    st.floats(),
)
def test_any_record_has_terms(attributes: dict[str, Any], price: float) -> None:
    found = terms("A Name", "Kitchen", price, attributes)
    assert 0 < len(found) <= MOST_TERMS
    assert all(weight > 0 for weight in found.values())


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({}, None),
        ({"query": ""}, None),
        ({"query": 7, "categories": "kitchen", "category": 3}, None),
        ({"query": "mug"}, Sought("mug", ())),
        ({"category": "Kitchen", "categories": ["a", 5, "", "b"]}, Sought("", ("Kitchen", "a", "b"))),
        ({"query": "x" * 5000}, Sought("x" * 200, ())),
    ],
)
def test_what_is_looked_for_is_read_from_the_context(context: dict[str, Any], expected: Sought | None) -> None:
    assert Sought.of(context) == expected


def test_nobody_votes_for_nothing() -> None:
    nobody = Votes.of([], np.zeros(0, dtype=np.float32))
    assert nobody.tally(3).tolist() == [0, 0, 0]
    assert nobody.loudest(np.array([1], dtype=np.int32)).tolist() == [-1]
