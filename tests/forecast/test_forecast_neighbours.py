"""New products take after their neighbours, and nobody knows what came later."""

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from shopkeeper.core.errors import Conflict
from shopkeeper.forecast.algorithms.seasonal_naive import SeasonalNaiveModel
from shopkeeper.forecast.answering.neighbours import NEW_DAYS, Neighbourhood
from shopkeeper.forecast.intervals import Calibration
from shopkeeper.forecast.outlook import Outlook
from shopkeeper.forecast.series import SeriesSet, with_total
from shopkeeper.lifecycle.spaces import ItemSpace

FIRST, DAYS, HORIZON = 19_723, 300, 28
DAY_US = 86_400_000_000
Floats = NDArray[np.float64]


def shop(days: int = DAYS) -> SeriesSet:
    """20 slow teas and 20 fast cakes that began one after the other and started with twice what they sell later; two
    new products of five days, and one that was never sold."""
    random = np.random.default_rng(7)
    y = np.zeros((43, DAYS))
    for row in range(40):
        begun = 20 + 3 * row
        age = np.arange(DAYS - begun)
        level = (1.0 if row < 20 else 12.0) * np.where(age < 14, 2.0, 1.0)
        y[row, begun:] = random.poisson(level)
        y[row, begun] = max(y[row, begun], 1.0)
    y[40, 295:] = [2, 1, 2, 3, 1]
    y[41, 295:] = [22, 25, 20, 26, 24]
    names = (*(f"T{row}" for row in range(20)), *(f"C{row}" for row in range(20)), "tea", "cake", "unsold")
    return with_total(names, FIRST, y, y * 2.0, y).until(days)


def categories() -> dict[str, str]:
    shelves = {f"T{row}": "Tea" for row in range(20)} | {f"C{row}": "Cake" for row in range(20)}
    return shelves | {"tea": "Tea", "cake": "Cake", "unsold": "Cake"}


def space(until: int | None = None) -> ItemSpace:
    series = shop()
    names = tuple(name for name in series.ids if name not in ("unsold", "__total__"))
    vectors = np.array([[1.0, 0.1] if name[0] in "Tt" else [0.1, 1.0] for name in names], np.float32)
    return ItemSpace(names, vectors, "hgt/3", until)


def ask(near: Neighbourhood, series: SeriesSet) -> tuple[Outlook, Mapping[str, str], Outlook]:
    said = SeasonalNaiveModel(Calibration.unknown()).forecast(series, HORIZON)
    rows = near.new(series)
    moved, why = near.outlook(series, rows, HORIZON, said)
    return moved, {series.ids[row]: text for row, text in zip(rows, why, strict=True)}, said


def test_new_are_the_products_of_less_than_four_weeks() -> None:
    series = shop()
    near = Neighbourhood.of(series)
    assert [series.ids[row] for row in near.new(series)] == ["tea", "cake", "unsold"]
    assert not len(near.new(shop(100).select(np.array([0, 43]))))
    assert len(near.ids) == 40


def test_a_new_product_is_expected_to_sell_what_its_category_does_at_that_age() -> None:
    series = shop()
    said, why, _ = ask(Neighbourhood.of(series, categories()), series)
    tea, cake, unsold = 40, 41, 42
    assert why["tea"] == "from the beginnings of 40 products, foremost 20 of category Tea"
    assert said.mean[tea, :7].mean() == pytest.approx(2.0, rel=0.35)
    assert said.mean[cake, :7].mean() == pytest.approx(24.0, rel=0.25)
    assert said.mean[unsold, :7].mean() == pytest.approx(24.0, rel=0.25)  # on its first days, as cakes do
    assert said.mean[cake, 21:].mean() < 0.75 * said.mean[cake, :7].mean()  # the curve falls


def test_neighbours_in_a_space_come_before_the_category() -> None:
    series = shop()
    wrong = categories() | {"tea": "Cake"}
    said, why, _ = ask(Neighbourhood.of(series, wrong, space()), series)
    assert why["tea"] == "from the beginnings of 40 products, foremost 20 near it in hgt/3"
    assert why["unsold"] == "from the beginnings of 40 products, foremost 20 of category Cake"  # it has no vector
    assert said.mean[40, :7].mean() == pytest.approx(2.0, rel=0.35)


def test_without_category_and_vector_all_products_are_neighbours() -> None:
    series = shop()
    said, why, _ = ask(Neighbourhood.of(series), series)
    assert set(why.values()) == {"from the beginnings of 40 products"}
    assert 2.0 < said.mean[42, :7].mean() < 24.0


def test_its_own_days_correct_the_level() -> None:
    """A tea that sells like a cake."""
    series = shop()
    y = series.y.copy()
    y[40, 295:] = 22.0
    lively = SeriesSet(series.ids, series.first_day, y, series.price, series.sold, series.aggregate)
    near = Neighbourhood.of(series, categories())
    assert ask(near, lively)[0].mean[40].mean() > 3 * ask(near, series)[0].mean[40].mean()


def test_what_begins_beyond_all_others_keeps_its_size() -> None:
    series = shop()
    y = series.y.copy()
    y[40, 295:] = 400.0
    huge = SeriesSet(series.ids, series.first_day, y, series.price, series.sold, series.aggregate)
    mean, _, _ = Neighbourhood.of(series, categories()).alone(huge, 40, HORIZON)
    assert 200.0 < mean[:7].mean() < 500.0


def test_the_weekday_of_the_shop_is_kept() -> None:
    series = shop()
    busy = series.y * np.where(series.weekday == 5, 5.0, 1.0).astype(np.float32)
    weekly = SeriesSet(series.ids, series.first_day, busy, series.price, series.sold, series.aggregate)
    mean, quantiles, _ = Neighbourhood.of(weekly, categories()).alone(weekly, 41, HORIZON)
    saturday = weekly.future_weekday(HORIZON) == 5
    assert mean[saturday].mean() > 3 * mean[~saturday].mean()
    assert quantiles[saturday, 4].mean() > 3 * quantiles[~saturday, 4].mean()


def test_quantiles_are_whole_ordered_and_wide_where_little_is_known() -> None:
    series = shop()
    near = Neighbourhood.of(series, categories())
    said, _, _ = ask(near, series)
    assert (np.diff(said.quantiles, axis=2) >= 0).all()
    assert (said.quantiles >= 0).all()
    unsold = said.quantiles[42, :7]
    np.testing.assert_array_equal(unsold, np.round(unsold))
    assert (unsold[:, -1] > said.mean[42, :7]).all()
    assert (unsold[:, 0] < said.mean[42, :7]).all()


def test_with_the_days_the_model_takes_over() -> None:
    series = shop()
    near = Neighbourhood.of(series, categories())
    old = series.until(DAYS)
    rows = np.array([0])
    _, _, said = ask(near, series)
    listed = Neighbourhood.of(series, categories(), listed={"unsold": FIRST + DAYS - NEW_DAYS})
    assert 42 not in listed.new(series)  # four weeks on the shelf without a sale is an answer
    moved, _ = near.outlook(old, np.array([40]), HORIZON, said)
    np.testing.assert_array_equal(moved.mean[rows], said.mean[rows])
    assert not np.array_equal(moved.mean[40], said.mean[40])


def test_days_on_the_shelf_without_a_sale_lower_the_level() -> None:
    series = shop()
    fresh = Neighbourhood.of(series, categories(), listed={"unsold": FIRST + DAYS})
    waited = Neighbourhood.of(series, categories(), listed={"unsold": FIRST + DAYS - 20})
    assert ask(waited, series)[0].mean[42].mean() < 0.5 * ask(fresh, series)[0].mean[42].mean()


def test_neighbours_never_read_after_the_cutoff() -> None:
    cut = 298
    series = shop()
    later = series.y.copy()
    later[:, cut:] = later[:, cut:] * 50 + 9
    other = SeriesSet(series.ids, series.first_day, later, series.price, series.sold, series.aggregate)
    answers = [ask(Neighbourhood.of(one.until(cut), categories()), one.until(cut))[0] for one in (series, other)]
    np.testing.assert_array_equal(answers[0].mean, answers[1].mean)
    np.testing.assert_array_equal(answers[0].quantiles, answers[1].quantiles)


def test_a_space_that_has_seen_later_days_is_refused() -> None:
    series = shop()
    end = (series.last_day + 1) * DAY_US
    Neighbourhood.of(series, space=space(end))
    with pytest.raises(Conflict) as error:
        Neighbourhood.of(series, space=space(end + 1))
    assert error.value.code == "space_saw_holdout"


def test_a_shop_without_grown_products_leaves_the_answer_alone() -> None:
    series = shop(60)
    said = SeasonalNaiveModel(Calibration.unknown()).forecast(series, HORIZON)
    near = Neighbourhood.of(series, categories())
    assert near.outlook(series, near.new(series), HORIZON, said)[0] is said
