import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from shopkeeper.core.errors import Invalid
from shopkeeper.forecast import aggregating
from shopkeeper.forecast.aggregating import aggregate, aggregation_of, mean_price, shares_of

Y = np.array([[0, 2, 0, 4], [1, 1, 1, 1], [0, 0, 0, 9]], dtype=np.float32)


def test_mean_and_median_are_of_products_that_have_begun() -> None:
    assert aggregate(Y, "sum").tolist() == [1, 3, 1, 14]
    assert aggregate(Y, "max").tolist() == [1, 2, 1, 9]
    assert aggregate(Y, "mean").tolist() == pytest.approx([1, 1.5, 0.5, 14 / 3])
    assert aggregate(Y, "median").tolist() == [1, 1.5, 0.5, 4]


def test_weights_are_shares_of_the_money_that_is_known() -> None:
    price = np.array([[2.0] * 4, [1.0] * 4, [np.nan] * 4], dtype=np.float32)
    shares = shares_of(Y, price, 2)
    assert shares.tolist() == [8 / 10, 2 / 10, 0]
    assert aggregate(Y, "weighted", shares).tolist() == pytest.approx([0.2, 1.8, 0.2, 3.4])
    unpriced = np.full_like(Y, np.nan)
    assert shares_of(Y, unpriced, 4).tolist() == [6 / 19, 4 / 19, 9 / 19]
    assert shares_of(np.zeros_like(Y), unpriced, 4).tolist() == [1 / 3] * 3


def test_the_price_of_many_is_weighted_by_pieces_and_carried() -> None:
    price = np.array([[np.nan, 5.0, 5.0, 2.0], [1.0] * 4, [np.nan] * 4], dtype=np.float32)
    assert mean_price(Y, price).tolist() == pytest.approx([1, 11 / 3, 1, 9 / 5])
    assert np.isnan(mean_price(Y, np.full_like(Y, np.nan))).all()
    silent = np.array([[1, 0]], dtype=np.float32)
    assert mean_price(silent, np.array([[3, 3]], dtype=np.float32)).tolist() == [3, 3]


@settings(max_examples=25, deadline=None)
@given(arrays(np.float32, (5, 40), elements=st.sampled_from([0.0, 0.0, 1.0, 2.5])), st.sampled_from(["mean", "median"]))
def test_in_pieces_as_at_once(y: np.ndarray, how: str) -> None:
    at_once = aggregate(y, how)
    before, aggregating._CELLS = aggregating._CELLS, 15
    try:
        np.testing.assert_array_equal(aggregate(y, how), at_once)
    finally:
        aggregating._CELLS = before


def test_nothing_and_nonsense() -> None:
    assert aggregate(np.empty((0, 3), dtype=np.float32), "median").tolist() == [0, 0, 0]
    assert aggregate(np.empty((3, 0), dtype=np.float32), "mean").shape == (0,)
    with pytest.raises(Invalid, match="sum, mean, median, max, weighted"):
        aggregation_of("average")
