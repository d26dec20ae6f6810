from dataclasses import replace

import msgspec
import numpy as np
import pytest

from shopkeeper.checks.forecast import DAYS, furnished_shop, small_shop, weekly_shop
from shopkeeper.forecast.measuring.golden import from_golden, golden_of
from shopkeeper.forecast.series import SeriesSet


def same(one: SeriesSet, two: SeriesSet) -> None:
    assert (one.ids, one.first_day, one.step, one.aggregation) == (two.ids, two.first_day, two.step, two.aggregation)
    for name in ("y", "price", "sold", "aggregate", "available"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name), err_msg=name)
    assert (one.covariates is None) == (two.covariates is None)
    if one.covariates is not None and two.covariates is not None:
        for name in ("shared_names", "own_names", "static_names", "known", "ahead"):
            assert getattr(one.covariates, name) == getattr(two.covariates, name)
        for name in ("shared", "own"):
            np.testing.assert_array_equal(getattr(one.covariates, name), getattr(two.covariates, name), err_msg=name)


@pytest.mark.parametrize("shop", [small_shop, weekly_shop, furnished_shop, lambda: furnished_shop().until(170)])
def test_golden_series_are_the_same_after_json(shop) -> None:
    golden = golden_of(shop())
    kept = msgspec.json.encode(golden)
    assert len(kept) < 100_000
    same(from_golden(golden), from_golden(msgspec.json.decode(kept)))


def test_golden_series_carry_the_last_days_and_what_is_known_beside_them() -> None:
    series = furnished_shop().until(190)
    few = from_golden(golden_of(series))
    assert few.last_day == series.last_day
    assert (few.days, len(few)) == (180, 6)
    assert few.aggregate.tolist() == [False] * 5 + [True]
    assert few.covariates is not None
    assert few.covariates.ahead == 10
    rows = [series.ids.index(name) for name in few.ids]
    np.testing.assert_array_equal(few.y, series.y[rows, -180:])
    np.testing.assert_array_equal(few.price, series.price[rows, -180:])
    np.testing.assert_array_equal(few.available, series.available[rows, -180:])
    np.testing.assert_array_equal(few.covariates.own, series.covariates.own[:, rows, 10:])
    words = few.covariates.static_words[0]
    assert [words[code] if code >= 0 else None for code in few.covariates.statics[:, 0]] == [*few.ids[:5], None]
    np.testing.assert_array_equal(few.weekly_closed, series.weekly_closed)


def test_one_series_that_is_all_is_enough() -> None:
    series = small_shop()
    total = series.select(np.array([len(series) - 1]))
    assert from_golden(golden_of(total)).ids == ("__total__",)
    assert from_golden(golden_of(replace(total, aggregate=np.zeros(1, dtype=bool)))).days == 180


def test_golden_series_of_an_older_version_are_read() -> None:
    golden = {"horizon": 14, "first_day": 19_723, "y": {"A": [1.0, 2.0, 0.0], "B": [0.0, 0.0, 5.0]}}
    series = from_golden(golden)
    assert series.ids == ("A", "B", "__total__")
    assert series.y.tolist() == [[1, 2, 0], [0, 0, 5], [1, 2, 5]]
    assert DAYS == 200
