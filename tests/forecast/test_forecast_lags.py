"""Features by running sums, against the plain definition of each and against what is left of the series by `until`."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.forecast.covariates import HOLIDAY, PRICE, PROMOTION, Covariates
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.forecast.steps import DAY, week
from shopkeeper.forecast.trees import lags
from shopkeeper.forecast.trees.lags import Drawn, Reading, features

_MONDAY = 19_723


def shop(seed: int = 0, days: int = 430, products: int = 12, weekly: bool = False, ahead: int = 30) -> SeriesSet:
    """Closed on Sundays, days that were not available, all kinds of covariates."""
    random = np.random.default_rng(seed)
    y = random.poisson(np.geomspace(0.3, 20, products)[:, None] * np.ones((1, days))).astype(np.float32)
    y[0, : days // 2] = 0
    y[-1] += 1  # somebody always sells
    if not weekly:
        y[:, np.arange(days) % 7 == 6] = 0
    own = [random.uniform(1, 9, (products, days + ahead)), random.random((products, days + ahead)) < 0.1]
    known = Covariates(
        (HOLIDAY, "temperature"),
        np.stack([random.random(days + ahead) < 0.05, random.normal(15, 5, days + ahead)]).astype(np.float32),
        (PRICE, PROMOTION),
        np.stack(own).astype(np.float32),
        ("category", "product"),
        np.stack([np.arange(products) % 3, np.arange(products)], axis=1).astype(np.int32),
        (("a", "b", "c"), tuple(f"P{k}" for k in range(products))),
        frozenset({HOLIDAY, PRICE, PROMOTION}),
        ahead,
    )
    price = random.uniform(1, 9, y.shape).astype(np.float32)
    price[3, : days // 3] = np.nan
    sold = np.where((y > 0).any(axis=0), 10, 0).astype(np.int32)
    available = random.random(y.shape) > 0.03
    step = week() if weekly else DAY
    ids = tuple(f"P{k}" for k in range(products))
    return SeriesSet(ids, _MONDAY, y, price, sold, np.zeros(products, np.bool_), known, available, step)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 5), origin=st.integers(30, 430), ahead=st.integers(1, 28), weekly=st.booleans())
def test_nothing_behind_the_origin_is_read_but_what_was_known(seed: int, origin: int, ahead: int, weekly: bool) -> None:
    series = shop(seed, weekly=weekly)
    reading = Reading.of(series)
    rows = np.arange(len(series))
    at = Drawn(rows, np.full(len(rows), origin), np.full(len(rows), ahead))
    whole, level = features(series, at, 28, reading)
    cut, level_then = features(series.until(origin), at, 28, reading)
    np.testing.assert_allclose(whole, cut, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(level, level_then, rtol=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 5), origin=st.integers(60, 430), ahead=st.integers(1, 30), row=st.integers(0, 11))
def test_features_are_what_they_are_named(seed: int, origin: int, ahead: int, row: int) -> None:
    series = shop(seed)
    names = Reading.of(series).names
    values, level = features(series, Drawn(np.array([row]), np.array([origin]), np.array([ahead])), 28)
    found = dict(zip(names, values[0].astype(float), strict=True))
    expected = _slow(series, row, origin, ahead)
    assert level[0] == pytest.approx(expected.pop("_level"))
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-4, abs=1e-5, nan_ok=True), name


def _slow(series: SeriesSet, row: int, origin: int, ahead: int) -> dict[str, float]:
    seen = series.observed()[row, :origin].astype(float)
    target = origin + ahead - 1

    def mean(values: NDArray[np.floating]) -> float:
        values = values[np.isfinite(values)]
        return float(values.mean()) if len(values) else np.nan

    recent = seen[-56:]
    level = (np.nansum(recent) + 0.5) / (np.isfinite(recent).sum() + 2)

    def relative(value: float, usual: float = level) -> float:
        return float(np.log((value + 0.02) / (usual + 0.02)))

    weekday = np.arange(origin) % 7 == target % 7
    sales = np.flatnonzero(series.y[row, :origin] > 0)
    price = series.price[row, :origin].astype(float)
    usual_price = mean(price[-60:])
    known = series.covariates
    assert known is not None
    last = seen[-28:]
    last = last[np.isfinite(last)]
    answer = {
        "_level": level,
        "level": float(np.log(level)),
        "since_last_sale": float(origin - 1 - sales[-1]) if len(sales) else 999.0,
        "mean_7": relative(mean(seen[-7:])),
        "mean_112": relative(mean(seen[-112:])),
        "share_selling_28": float((last > 0).mean()) if len(last) else np.nan,
        "spread_28": float(last.std() / level) if len(last) else np.nan,
        "biggest_28": float(np.nan_to_num(seen[-28:]).max() / level),
        "same_weekday_4": relative(mean(seen[weekday][-4:])),
        "same_weekday_8": relative(mean(seen[weekday][-8:])),
        "price_to_usual": float(np.log(price[-1] / usual_price)),
        "price:then_to_usual": float(np.log(known.own[0, row, target] / usual_price)),
        "promotion:then": float(known.own[1, row, target]),
        "promotion:last_28": mean(known.own[1, row, origin - 28 : origin].astype(float)),
        "holiday:then": float(known.shared[0, target]),
        "holiday:before": float(known.shared[0, target - 1]),
        "holiday:after": float(known.shared[0, target + 1]) if target + 1 < known.shared.shape[1] else 0.0,
        "temperature:last_7": mean(known.shared[1, origin - 7 : origin].astype(float)),
        "weekday": float(target % 7),
        "steps_ahead": float(min(ahead, 28)),
        "static:category": float(row % 3),
    }
    if target - 367 >= series.start[row]:
        answer["last_year"] = relative(mean(seen[target - 367 : target - 360]))
    return answer


def test_many_series_are_read_in_parts_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    series, random = shop(), np.random.default_rng(1)
    at = Drawn(random.integers(0, 12, 500), random.integers(1, 430, 500), random.integers(1, 29, 500))
    whole = features(series, at, 28)
    monkeypatch.setattr(lags, "CHUNK", 5)
    parts = features(series, at, 28)
    np.testing.assert_array_equal(whole[0], parts[0])
    np.testing.assert_array_equal(whole[1], parts[1])


def test_words_are_read_by_what_they_say_and_not_by_their_code() -> None:
    series = shop()
    reading, known = Reading.of(series), series.covariates
    assert known is not None
    turned = Covariates(
        known.shared_names, known.shared, known.own_names, known.own, ("category",),
        (known.statics[:, :1] + 1) % 4, (("new", "a", "b", "c"),), known.known, known.ahead,
    )  # fmt: skip
    other = SeriesSet(
        series.ids, series.first_day, series.y, series.price, series.sold, series.aggregate, turned, series.available
    )
    at = Drawn(np.arange(12), np.full(12, 400), np.ones(12, np.int64))
    place = reading.names.index("static:category")
    np.testing.assert_array_equal(features(series, at, 28, reading)[0][:, place], np.arange(12) % 3)
    np.testing.assert_array_equal(features(other, at, 28, reading)[0][:, place], np.arange(12) % 3)
    nothing = features(series.select(np.arange(12)), at, 28, Reading(("static:size",), 56, 1, {"size": ("big",)}))[0]
    assert np.isnan(nothing).all()


def test_a_series_without_a_day_or_a_sale_has_features_too() -> None:
    nothing = np.empty((1, 0), np.float32)
    empty = SeriesSet(("new",), _MONDAY, nothing, nothing, np.empty(0, np.int32), np.zeros(1, np.bool_))
    values, level = features(empty, Drawn(np.zeros(2, int), np.zeros(2, int), np.array([1, 2])), 28)
    assert np.isfinite(level).all()
    assert not np.isinf(values).any()


def test_the_day_of_the_year_is_read_once_each_came_twice() -> None:
    assert "day_of_year" not in Reading.of(shop(days=700)).names
    assert "day_of_year" in Reading.of(shop(days=728)).names


def test_steps_of_other_length_are_refused() -> None:
    reading = Reading.of(shop())
    with pytest.raises(Invalid, match="asked about some by week"):
        features(shop(weekly=True), Drawn(np.zeros(1, int), np.full(1, 100), np.ones(1, int)), 28, reading)
