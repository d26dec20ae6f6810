import numpy as np
import pytest

from shopkeeper.core.errors import Invalid
from shopkeeper.forecast.series import SeriesSet, with_total
from shopkeeper.forecast.trees.drawing import draw, weights


def shop(products: int = 8, days: int = 150, available: bool = True) -> SeriesSet:
    random = np.random.default_rng(2)
    y = random.poisson(1.5, (products, days)).astype(np.float64)
    y[0] = 0
    y[1, :100] = 0
    y[:, np.arange(days) % 7 == 6] = 0
    made = with_total(tuple(f"P{k}" for k in range(products)), 19_723, y, y, y)
    if available:
        return made
    mask = random.random(made.y.shape) > 0.3
    return SeriesSet(made.ids, made.first_day, made.y, made.price, made.sold, made.aggregate, None, mask)


@pytest.mark.parametrize("available", [True, False])
@pytest.mark.parametrize("rows", [1_000, 1_000_000])
def test_every_row_has_an_answer_that_counts(rows: int, available: bool) -> None:
    series = shop(available=available)
    at = draw(series, 14, rows, np.random.default_rng(0))
    assert np.isfinite(series.observed()[at.row, at.target]).all()
    assert (at.origin >= 28).all()
    assert ((at.ahead >= 1) & (at.ahead <= 14)).all()
    products = ~series.aggregate[at.row]
    assert products.sum() <= rows
    assert not (at.row == 0).any()  # it never sold
    assert (at.origin[at.row == 1] > series.start[1]).all()
    assert len(np.unique(np.stack([at.row, at.origin, at.ahead]), axis=1).T) == len(at.row)


def test_many_are_drawn_without_listing_all_and_about_as_many_as_asked_for() -> None:
    random = np.random.default_rng(3)
    y = random.poisson(0.5, (400, 400)).astype(np.float32)
    y[:, 0] = 1
    price = np.full(y.shape, np.nan, np.float32)
    series = SeriesSet(
        tuple(map(str, range(400))), 19_723, y, price, (y > 0).sum(axis=0).astype(np.int32), np.zeros(400, np.bool_)
    )
    at = draw(series, 28, 20_000, random)
    assert 18_000 < len(at.row) < 22_000
    assert len(np.unique(at.row)) == 400


def test_a_product_that_sold_long_ago_only_teaches_nothing_more() -> None:
    y = np.zeros((1, 400))
    y[0, :50] = 1
    series = with_total(("gone",), 19_723, y, y, y)
    at = draw(series, 7, 100_000, np.random.default_rng(0))
    assert at.origin.max() <= 50 + 150


def test_the_first_year_is_left_out_of_a_long_history() -> None:
    random = np.random.default_rng(0)
    y = random.poisson(3.0, (3, 1_200)).astype(np.float64)
    at = draw(with_total(("a", "b", "c"), 15_000, y, y, y), 28, 5_000, random)
    assert at.origin.min() >= 364


def test_nothing_to_learn_from_is_told() -> None:
    y = np.zeros((2, 60))
    with pytest.raises(Invalid, match="nothing to learn from"):
        draw(with_total(("a", "b"), 19_723, y, y, y), 14, 1_000, np.random.default_rng(0))


def test_sums_weigh_a_tenth_of_the_loss() -> None:
    start, aggregate = np.log(np.array([1.0, 2.0, 3.0, 600.0])), np.array([False, False, False, True])
    pull = weights(start, aggregate, 1.2) * np.exp(0.8 * start)
    assert pull[3] / pull[:3].sum() == pytest.approx(0.1)
