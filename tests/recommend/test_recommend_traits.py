"""What is said of users and items, as weighted tokens."""

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shopkeeper.core.errors import Invalid
from shopkeeper.learning.tabular import texts
from shopkeeper.recommend.recall.traits import Bag, Trait, Traits, readable, usual
from shopkeeper.recommend.spelling import spelled


def fitted(*rows: dict, least: int = 1) -> Traits:
    return Traits.fitted(rows, least=least)


def weights(traits: Traits, row: dict) -> dict[int, float]:
    bag = traits.bag([row])
    return dict(zip(bag.token.tolist(), bag.weight.round(5).tolist(), strict=True))


def test_a_number_lies_between_two_knots() -> None:
    traits = fitted({"age": 10}, {"age": 20}, {"age": 40})
    assert traits.size == 3
    assert weights(traits, {"age": 20}) == {1: 1.0}
    assert weights(traits, {"age": 25}) == {1: 0.75, 2: 0.25}
    assert weights(traits, {"age": 1e29}) == {2: 1.0}
    assert weights(traits, {"age": -5}) == weights(traits, {"age": "10"}) == {0: 1.0}


def test_many_numbers_share_knots() -> None:
    traits = fitted(*({"price": float(one)} for one in range(1000)))
    assert 2 < traits.size <= 16
    assert sum(weights(traits, {"price": 333.3}).values()) == pytest.approx(1)


def test_texts_are_tokens_and_the_rare_ones_share_one() -> None:
    traits = fitted({"town": "York"}, {"town": "york"}, {"town": "Hull"}, {"town": None}, {}, least=2)
    assert traits.size == 2
    assert weights(traits, {"town": " YORK "}) == {0: 1.0}
    assert weights(traits, {"town": "Nowhere"}) == weights(traits, {"town": "Hull"}) == {1: 1.0}
    assert weights(traits, {"town": None}) == weights(traits, {"other": 3}) == {}


def test_several_texts_in_one_value_count_together_as_one() -> None:
    traits = fitted({"genres": "Comedy|Drama"}, {"genres": ["comedy"]}, {"genres": "Drama"})
    both = weights(traits, {"genres": "drama|COMEDY|drama"})
    assert both == weights(traits, {"genres": ["Comedy", "Drama"]})
    assert sum(each**2 for each in both.values()) == pytest.approx(1, abs=1e-4)


def test_names_that_differ_in_every_row_count_by_their_words() -> None:
    traits = fitted(
        *({"name": f"red mug {number}" if number % 2 else f"blue mug {number}"} for number in range(40)), least=5
    )
    assert traits.traits[0].kind == "words"
    assert set(weights(traits, {"name": "RED teapot"})) == {traits.traits[0].tokens["red"]}


def test_what_tells_no_two_rows_apart_is_left_out() -> None:
    assert fitted({"a": 1, "b": "x"}, {"a": 1, "b": "x"}).names == ()
    assert fitted(*({"mail": f"u{n}@shop"} for n in range(50)), least=5).names == ()


def test_a_text_of_a_megabyte_is_read_in_part() -> None:
    traits = fitted(*({"name": f"red mug {number}"} for number in range(40)))
    long = "mug " * 262_144
    assert len(weights(traits, {"name": long})) == 1
    assert weights(fitted({"t": "a"}, {"t": "b"}), {"t": long}) == {2: 1.0}


@pytest.mark.parametrize(
    "value", ["many", float("nan"), float("inf"), [1], {}, 10**400, pytest.param(10**5000, id="long")]
)
def test_what_is_no_number_is_refused_with_its_name(value: object) -> None:
    with pytest.raises(Invalid, match="row 1: age") as caught:
        fitted({"age": 1}, {"age": 2}).bag([{}, {"age": value}])
    assert caught.value.code == "not_a_number"


@pytest.mark.parametrize("value", [{}, [1], [["a"]], pytest.param(10**5000, id="long")])
def test_what_is_no_text_is_refused_with_its_name(value: object) -> None:
    with pytest.raises(Invalid, match="row 0: town") as caught:
        fitted({"town": "a"}, {"town": "b"}).bag([{"town": value}])
    assert caught.value.code == "not_a_text"


@pytest.mark.parametrize("names", [["a", "b"], [f"thing number {at}" for at in range(40)]])
def test_a_whole_number_of_any_size_is_a_text_that_nobody_knows(names: list[str]) -> None:
    traits = fitted(*({"town": name} for name in names))
    assert traits.traits[0].kind == ("text" if len(names) == 2 else "words")
    for value in (10**400, -(10**400), 10**4000):
        assert weights(traits, {"town": value}) == weights(traits, {"town": "999"})
    assert weights(fitted({"code": str(10**30)}, {"code": "b"}), {"code": 10**30}) == {0: 1.0}


@given(st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.integers(-(2**63), 2**63 - 1)))
@example(3.0)
@example(1e15)
@example(1.5e-5)
@example(1e-7)
@example(-1e18)
def test_a_value_is_spelled_in_answers_as_in_a_table(value: float) -> None:
    assert spelled(value) == texts(pl.Series([value])).to_list()[0]


def test_what_cannot_be_read_may_count_as_missing() -> None:
    traits = fitted({"age": 1, "town": "a"}, {"age": 2, "town": "b"})
    bag = traits.bag([{"age": "old", "town": {}}, {"age": 2}], strict=False)
    assert bag.start.tolist() == [0, 0, 1]


def test_to_be_there_at_all_tells_rows_apart() -> None:
    assert fitted({"vip": "yes"}, {"vip": "yes"}, {}).names == ("vip",)


def test_records_of_a_shop_may_hold_anything() -> None:
    said = {1: {"a": {"b": 1}, "c": [], "d": float("nan"), "e": 1e300, "f": ""}, 2: {"a": "x", "n": None, "l": ["y"]}}
    assert readable(said) == {2: {"a": "x", "l": ["y"]}}


def test_the_usual_values_are_nobodys_in_particular() -> None:
    rows = [{"a": 1, "t": ["x"], "mail": "me"}, {"a": 2, "t": ["x"], "mail": "you"}, {"a": 2}]
    assert usual(rows, least=2) == {"a": 2, "t": ["x"]}
    assert usual([], least=1) == {}


def test_traits_are_the_same_after_json() -> None:
    rows = [{"age": n, "town": f"t{n % 3}", "name": f"red mug {n}"} for n in range(40)]
    traits = fitted(*rows, least=2)
    again = Traits(msgspec.convert(msgspec.json.decode(msgspec.json.encode(traits.traits)), tuple[Trait, ...]))
    one, other = traits.bag(rows), again.bag(rows)
    np.testing.assert_array_equal(one.token, other.token)
    np.testing.assert_array_equal(one.weight, other.weight)


@given(
    st.lists(st.dictionaries(st.sampled_from("abc"), st.one_of(st.floats(), st.text(), st.booleans(), st.integers())))
)
def test_sums_are_those_of_each_row(rows: list[dict]) -> None:
    rows = list(readable(dict(enumerate(rows))).values())
    traits = fitted(*rows)
    bag = traits.bag(rows)
    vectors = np.random.default_rng(1).normal(size=(traits.size, 3)).astype(np.float32)
    found = bag.sums(vectors)
    assert found.shape == (len(rows), 3)
    for at in range(len(rows)):
        here = slice(bag.start[at], bag.start[at + 1])
        np.testing.assert_allclose(found[at], bag.weight[here] @ vectors[bag.token[here]], rtol=1e-4, atol=1e-5)


def test_rows_can_be_taken_in_any_order() -> None:
    bag = Bag(np.array([0, 2, 2, 3]), np.array([4, 5, 6]), np.array([1, 2, 3], dtype=np.float32))
    some = bag.take(np.array([2, 1, 0, 2]))
    assert some.start.tolist() == [0, 1, 1, 3, 4]
    assert some.token.tolist() == [6, 4, 5, 6]
