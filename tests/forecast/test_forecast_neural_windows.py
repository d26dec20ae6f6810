"""What a net is shown: nothing of what comes, nothing that was scaled by it, and codes that stay what they were."""

from dataclasses import replace

import numpy as np
import pytest
from neural_shop import promoted_shop, with_own

from shopkeeper.checks.forecast import small_shop, weekly_shop
from shopkeeper.core.errors import Invalid
from shopkeeper.forecast.neural.windows import Board, layout_of

ROWS = np.arange(13)


def board(series, learned=None, lookback=28):
    return Board(series, layout_of(series, 14, lookback, learned or series.days))


def windows(board, origin):
    return board.windows(ROWS, np.full(len(ROWS), origin))


def channel(board, part, name):
    names = board.layout.past_names if part == "past" else board.layout.future_names
    return names.index(name)


def test_a_window_is_divided_by_its_own_mean_and_by_nothing_else():
    series = small_shop()
    cut = board(series)
    given = windows(cut, 150)
    seen = np.isfinite(series.observed()[:, 122:150])
    for row in ROWS:
        mean = series.y[row, 122:150][seen[row]].mean() if seen[row].any() else 0.0
        assert given.mu[row] == pytest.approx(np.hypot(mean, 0.1), rel=1e-5)
        expected = np.minimum(np.where(seen[row], series.y[row, 122:150], 0) / given.mu[row], 20)
        np.testing.assert_allclose(given.past[row, :, 0], expected, rtol=1e-5)
    np.testing.assert_array_equal(given.past[:, :, 1], seen)


def test_no_window_knows_what_comes_but_what_is_planned():
    series, origin = promoted_shop(), 180
    layout = layout_of(series, 14, 28, 160)
    y, price = series.y.copy(), series.price.copy()
    y[:, origin:] = y[:, origin:] * 50 + 9
    price[:, origin:] *= 3
    later = with_own(replace(series, y=y, price=price), "visits", slice(origin, None), 700.0)
    one, two = windows(Board(series, layout), origin), windows(Board(later, layout), origin)
    np.testing.assert_array_equal(one.past, two.past)
    np.testing.assert_array_equal(one.future, two.future)
    np.testing.assert_array_equal(one.mu, two.mu)
    planned = windows(Board(with_own(series, "promotion", slice(origin, None), 1.0), layout), origin)
    at = layout.future_names.index("promotion")
    assert planned.future[:, :, at].all()
    assert not one.future[:, :, at].all()
    assert "visits" not in layout.future_names


def test_a_window_in_the_middle_is_the_one_of_a_shop_that_ends_there():
    series = promoted_shop()
    layout = layout_of(series, 14, 28, 160)
    ended = Board(series.until(182), layout)
    one, two = windows(Board(series, layout), 182), windows(ended, 182)
    np.testing.assert_array_equal(one.past, two.past)
    np.testing.assert_array_equal(one.static, two.static)
    closed = layout.future_names.index("closed")
    others = [at for at in range(len(layout.future_names)) if at != closed]
    np.testing.assert_array_equal(one.future[:, :, others], two.future[:, :, others])


def test_days_without_a_meaning_count_neither_as_past_nor_as_answer():
    series = small_shop()
    available = np.ones(series.y.shape, dtype=np.bool_)
    available[5, 140:145] = available[5, 152:154] = False
    odd = replace(series, available=available, y=np.where(available, series.y, np.float32(9e6)))
    cut = board(odd)
    given = windows(cut, 150)
    assert not given.past[5, 18:23, :2].any()
    assert given.mu[5] < 1e3
    pieces, counts = cut.targets(ROWS, np.full(13, 150), given.mu, 160)
    assert not counts[5, 2:4].any()
    assert not pieces[5, 2:4].any()
    assert not counts[:, 10:].any()
    assert not counts[:, series.closed[150:164]].any()
    assert counts[5, 0] == 1


def test_a_history_shorter_than_the_window_is_filled_with_days_that_do_not_count():
    series = small_shop().until(10)
    cut = Board(series, layout_of(small_shop(), 14, 28, 150))
    given = windows(cut, 10)
    assert not given.past[:, :18, 1].any()
    assert np.isfinite(given.past).all()
    assert np.isfinite(given.future).all()


def test_words_that_are_new_are_unknown_and_get_codes_behind_the_old_ones():
    series = promoted_shop()
    old = layout_of(series, 14, 28, 160)
    renamed = replace(series, ids=("P1", "New", *series.ids[2:]))
    beside = replace(series.covariates, static_words=(("coffee", "pots", "tea"),))
    renamed = replace(renamed, covariates=beside)
    codes = windows(Board(renamed, old), 200).static
    assert codes[0, 0] == 2
    assert codes[1, 0] == 0
    assert sorted(set(codes[:, 2])) == [0, 1, 2]
    assert codes[0, 2] == old.words[2].index("coffee") + 1
    grown = old.grown(renamed)
    assert grown.words[0][: len(series.ids)] == list(series.ids)
    assert grown.words[0][-1] == "New"
    assert grown.words[2] == ["tea", "coffee", "cups", "pots"]
    again = windows(Board(renamed, grown), 200).static
    np.testing.assert_array_equal(np.where(codes > 0, codes, again), again)
    assert (again > 0).all()
    assert windows(Board(small_shop(), old), 150).static[:, 2].tolist() == [0] * 13


def test_what_is_not_known_of_a_covariate_is_as_usual():
    series = promoted_shop()
    layout = layout_of(series, 14, 28, 160)
    at = layout.past_names.index("visits")
    assert layout.middles["visits"] == pytest.approx(70, abs=2)
    assert layout.middles["promotion"] == 0
    unknown = windows(Board(with_own(series, "visits", slice(None), np.nan), layout), 180)
    assert not unknown.past[:, :, at].any()
    wild = windows(Board(with_own(series, "visits", slice(None), 1e30), layout), 180)
    assert np.abs(wild.past[:, :, at]).max() == 5
    without = windows(Board(replace(series, covariates=None), layout), 180)
    assert not without.past[:, :, at].any()


def test_the_time_of_the_year_is_read_from_the_year_before_only():
    days = 800
    random = np.random.default_rng(2)
    season = 1 + 0.5 * np.sin(np.arange(days) * 2 * np.pi / 364)
    y = random.poisson(20 * season, (3, days)).astype(np.float32)
    flat = np.full((3, days), 2.0, dtype=np.float32)
    series = replace(small_shop().until(1), ids=("A", "B", "C"), y=y, price=flat, sold=np.full(days, 3, np.int32),
                     aggregate=np.zeros(3, dtype=np.bool_))  # fmt: skip
    layout = layout_of(series, 28, 56, days)
    assert layout.yearly
    assert not layout_of(series, 28, 56, 400).yearly
    rows = np.arange(3)
    given = Board(series, layout).windows(rows, np.full(3, 600))
    told = given.future[:, :, layout.future_names.index("last_year")]
    expected = np.log(season[600:628] / season[544:600].mean())
    np.testing.assert_allclose(told.mean(axis=0), expected, atol=0.12)
    changed = replace(series, y=np.concatenate([y[:, :600], y[:, 600:] * 9], axis=1))
    np.testing.assert_array_equal(Board(changed, layout).windows(rows, np.full(3, 600)).future, given.future)
    early = Board(series, layout).windows(rows, np.full(3, 300)).future[:, :, layout.future_names.index("last_year")]
    assert not early.any()


def test_weeks_have_no_weekdays_and_days_are_refused_where_weeks_were_learned():
    series = weekly_shop()
    layout = layout_of(series, 8, 24, series.days)
    assert (layout.patch, layout.lookback % 4, layout.season) == (4, 0, 52)
    assert not [name for name in layout.past_names if name.startswith("weekday")]
    given = Board(series, layout).windows(np.arange(len(series)), np.full(len(series), series.days))
    assert not given.future[:, :, 0].any()
    with pytest.raises(Invalid, match="steps of 7 days, not 1") as caught:
        Board(small_shop(), layout)
    assert caught.value.code == "wrong_step"
