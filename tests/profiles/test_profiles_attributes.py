import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopkeeper.core.clock import DAY
from shopkeeper.profiles.fields import STANDARD, attribute_fields, schema_of
from shopkeeper.profiles.lifecycle import stages
from shopkeeper.profiles.rfm import RfmScale, digits, moments


def array(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def test_a_score_of_recency_does_not_move_with_the_clock() -> None:
    now, later = 1_700_000_000_000_000, 1_700_000_000_000_000 + 12_345_678_901
    last = array(*(now - DAY * day for day in range(1, 9)))
    scale = RfmScale.of(last, np.ones(8), np.ones(8))
    for moment in (now, later):
        assert (moments((moment - last) / DAY, moment) == last).all()
    assert scale.recency(last).tolist() == [5, 5, 4, 4, 3, 2, 2, 1]


def test_quintiles_of_five_customers_are_one_each() -> None:
    days, orders, spend = array(5, 4, 3, 2, 1), array(1, 2, 3, 4, 5), array(10, 20, 30, 40, 50)
    scale = RfmScale.of(-days, orders, spend)
    assert scale.recency(-days).tolist() == [1, 2, 3, 4, 5]
    assert scale.frequency(orders).tolist() == [1, 2, 3, 4, 5]
    assert scale.monetary(spend, orders).tolist() == [1, 2, 3, 4, 5]
    assert digits(scale.recency(-days), scale.frequency(orders), scale.monetary(spend, orders)).to_list() == [
        "111", "222", "333", "444", "555",
    ]  # fmt: skip


def test_who_never_ordered_has_no_score_and_does_not_move_the_bounds() -> None:
    days, orders, spend = array(1, 2, np.nan, np.nan), array(1, 2, 0, 0), array(5, 9, 0, 0)
    scale = RfmScale.of(-days, orders, spend)
    alone = RfmScale.of(-days[:2], orders[:2], spend[:2])
    assert scale.customers == 2
    np.testing.assert_array_equal(scale.orders, alone.orders)
    assert np.isnan(scale.frequency(orders)[2:]).all()
    assert digits(scale.recency(-days), scale.frequency(orders), scale.monetary(spend, orders)).to_list()[2:] == [
        None,
        None,
    ]


def test_a_shop_without_customers_has_no_scores() -> None:
    scale = RfmScale.of(array(np.nan), array(0), array(0))
    assert np.isnan(scale.recency(array(3.0))).all()
    assert scale.customers == 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=60))
def test_scores_follow_the_order_and_equal_values_get_equal_scores(orders: list[int]) -> None:
    values = array(*orders)
    scale = RfmScale.of(-values, values, values)
    scores = scale.frequency(values)
    assert scores.min() >= 1
    assert scores.max() <= 5
    order = np.argsort(values)
    assert (np.diff(scores[order]) >= 0).all()
    assert scores[np.argmin(values)] == 1
    assert (scale.recency(-values) == 6 - scores).all()


@pytest.mark.parametrize(
    ("orders", "since", "tenure", "interval", "stage"),
    [
        (0, np.nan, np.nan, np.nan, "prospect"),
        (0, np.nan, 5, np.nan, "prospect"),
        (1, 3, 3, np.nan, "new"),
        (3, 20, 300, 10, "active"),
        (3, 80, 300, 60, "active"),
        (1, 80, 300, np.nan, "cooling"),
        (3, 150, 300, 60, "cooling"),
        (3, 200, 300, 20, "lapsed"),
        (9, 366, 2000, 300, "lost"),
    ],
)
def test_stages(orders: float, since: float, tenure: float, interval: float, stage: str) -> None:
    assert stages(array(orders), array(since), array(tenure), array(interval)).to_list() == [stage]


def test_types_of_attributes_are_what_most_users_have() -> None:
    users = [
        {"a": 1, "b": "x", "c": True, "d": {"k": 1}},
        {"a": 2.5, "b": 1},
        {"a": "?", "b": "y", "e": [1], "f": None},
    ]
    assert {field.name: field.type for field in attribute_fields(users)} == {
        "a": "number", "b": "text", "c": "bool", "d": "map",
    }  # fmt: skip


def test_names_that_no_rule_can_write_are_left_out() -> None:
    names = ["ok", "größe", "顧客", "has space", "9lives", "and", "max", "", "x" * 65, "a-b"]
    assert {f.name for f in attribute_fields([dict.fromkeys(names, 1)])} == {"ok", "größe", "顧客"}


def test_a_standard_field_wins_over_an_attribute() -> None:
    assert schema_of([{"orders": "many"}]).types["orders"] == "number"
    assert all(field.help or field.name == "user_id" for field in STANDARD)
