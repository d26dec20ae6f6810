from dataclasses import dataclass, field

import numpy as np
import pytest

from shopkeeper.core.errors import Invalid
from shopkeeper.forecast.covariates import HOLIDAY, Covariates
from shopkeeper.forecast.outlook import Floats
from shopkeeper.forecast.series import SeriesSet, with_total
from shopkeeper.forecast.strategy import extended, points_of, recursive


def shop(days: int = 84, ahead: int = 5) -> SeriesSet:
    random = np.random.default_rng(0)
    y = random.poisson(4.0, (9, days)) + 1.0
    y[:, np.arange(days) % 7 == 6] = 0
    made = with_total(tuple("abcdefghi"), 19_723, y, y * 2, y)
    shared = np.arange(days + ahead, dtype=np.float32)[None, :]
    known = Covariates(
        (HOLIDAY,), shared, (), np.empty((0, 10, days + ahead), np.float32),
        (), np.empty((10, 0), np.int32), (), frozenset({HOLIDAY}), ahead,
    )  # fmt: skip
    available = np.ones(made.y.shape, np.bool_)
    return SeriesSet(
        made.ids, made.first_day, made.y, made.price, made.sold, made.aggregate, known, available, made.step
    )


@dataclass
class Grows:
    """One more than the day before, at most `block` days at once."""

    block: int
    asked: list[tuple[int, int]] = field(default_factory=list)

    def next(self, series: SeriesSet, steps: int) -> tuple[Floats, Floats]:
        self.asked.append((series.days, steps))
        mean = series.y[:, -1:].astype(np.float64) + np.arange(1, steps + 1)[None, :]
        return mean, mean + 1


def test_a_block_as_long_as_the_horizon_is_the_direct_forecast() -> None:
    series, model = shop(), Grows(10)
    mean, scale = recursive(model, series, 10)
    direct = model.next(series, 10)
    np.testing.assert_array_equal(mean, direct[0])
    np.testing.assert_array_equal(scale, direct[1])


def test_each_block_goes_on_from_what_was_said() -> None:
    series, model = shop(), Grows(4)
    mean, _ = recursive(model, series, 10)
    assert model.asked == [(84, 4), (88, 4), (92, 2)]
    np.testing.assert_array_equal(mean[0, :4], series.y[0, -1] + np.arange(1, 5))
    np.testing.assert_array_equal(mean[0, 4:8], mean[0, 3] + np.arange(1, 5))


def test_both_is_the_mean_of_the_two() -> None:
    series = shop()
    one, two = recursive(Grows(14), series, 14)[0], recursive(Grows(3), series, 14)[0]
    said = {name: points_of(name, Grows(14), Grows(3), series, 14)[0] for name in ("direct", "recursive", "both")}
    np.testing.assert_array_equal(said["direct"], one)
    np.testing.assert_array_equal(said["recursive"], two)
    np.testing.assert_allclose(said["both"], (one + two) / 2)


def test_a_strategy_that_was_not_trained_is_refused() -> None:
    with pytest.raises(Invalid, match="both"):
        points_of("both", Grows(7), None, shop(), 14)


def test_what_was_said_becomes_history_but_on_closed_days() -> None:
    series = shop()
    longer = extended(series, np.full((10, 7), 2.5))
    assert longer.days == 91
    assert longer.closed[-1]
    np.testing.assert_array_equal(longer.y[:, -1], 0)
    np.testing.assert_array_equal(longer.y[:, 84:90], 2.5)
    np.testing.assert_array_equal(longer.price[0, -7:], series.price[0, -1])
    np.testing.assert_array_equal(longer.weekly_closed, series.weekly_closed)
    assert longer.available is not None
    assert longer.available[:, -7:].all()


def test_what_was_known_ahead_is_known_of_the_history_then() -> None:
    known = extended(shop(ahead=5), np.ones((10, 3))).covariates
    assert known is not None
    assert (known.ahead, known.columns) == (2, 87)
    known = extended(shop(ahead=5), np.ones((10, 7))).covariates
    assert known is not None
    assert (known.ahead, known.columns) == (0, 91)
    np.testing.assert_array_equal(known.shared[0, :89], np.arange(89))
    assert np.isnan(known.shared[0, 89:]).all()
