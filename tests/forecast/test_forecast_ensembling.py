"""Weights found greedily, and an answer even when members fail."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from shopkeeper.checks.forecast import small_shop
from shopkeeper.core.errors import Unavailable
from shopkeeper.forecast.outlook import Outlook
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.forecast.statistics.ensembling import Record, greedy, mixed
from shopkeeper.quality.forecast import LEVELS

Floats = NDArray[np.float64]


class Says:
    """A model that says one number everywhere, or another of totals."""

    feature_names: tuple[str, ...] = ("number",)

    def __init__(self, number: float, total: float | None = None) -> None:
        self._number, self._total = number, number if total is None else total

    def forecast(self, series: SeriesSet, horizon: int) -> Outlook:
        number = np.where(series.aggregate, self._total, self._number)
        mean = np.repeat(number[:, None], horizon, axis=1)
        return Outlook(mean, np.repeat(mean[:, :, None], len(LEVELS), axis=2))

    def save(self, folder: Path) -> None:
        (folder / "number").write_text(str(self._number))

    @classmethod
    def load(cls, folder: Path) -> "Says":
        return cls(float((folder / "number").read_text()))


class Breaks(Says):
    def __init__(self, error: Exception) -> None:
        super().__init__(0.0)
        self._error = error

    def forecast(self, *_: object) -> Outlook:
        raise self._error


def squared(target: float, says: list[float]) -> object:
    return lambda weights: float((target - weights @ np.array(says)) ** 2)


def test_the_only_good_one_gets_all_the_weight() -> None:
    weights = greedy(squared(5.0, [5.0, 50.0, -40.0]), 3)  # type: ignore[arg-type]
    np.testing.assert_array_equal(weights, [1.0, 0.0, 0.0])


def test_two_that_err_in_opposite_directions_share() -> None:
    weights = greedy(squared(5.0, [4.0, 6.0, 90.0]), 3)  # type: ignore[arg-type]
    np.testing.assert_allclose(weights, [0.5, 0.5, 0.0])


def test_weights_add_up_and_are_never_worse_than_the_best_alone() -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        said, target = random.normal(size=(5, 30)), random.normal(size=30)

        def loss(weights: Floats, said: Floats = said, target: Floats = target) -> float:
            return float(np.abs(target - weights @ said).mean())

        weights = greedy(loss, 5)
        assert weights.sum() == pytest.approx(1.0)
        assert (weights >= 0).all()
        assert loss(weights) <= min(loss(one) for one in np.eye(5)) + 1e-12


def test_losses_that_are_not_finite_choose_nobody() -> None:
    np.testing.assert_allclose(greedy(lambda _: np.nan, 4), 0.25)
    picky = greedy(lambda weights: np.nan if weights[0] > 0 else 1.0 - weights[1], 3)
    np.testing.assert_array_equal(picky, [0.0, 1.0, 0.0])


def test_products_and_totals_have_weights_of_their_own() -> None:
    series = small_shop()
    said, _ = mixed({"a": Says(2.0, 20.0), "b": Says(4.0, 40.0)}, np.array([1.0, 0.0]), np.array([0.0, 1.0]), series, 3)
    assert (said.mean[~series.aggregate] == 2.0).all()
    assert (said.mean[series.aggregate] == 40.0).all()


def test_the_mean_is_weighed() -> None:
    said, lost = mixed({"a": Says(2.0), "b": Says(4.0)}, np.array([0.25, 0.75]), np.ones(2) / 2, small_shop(), 3)
    np.testing.assert_allclose(said.mean[0], 3.5)
    assert (said.scale > 0).all()
    assert not lost


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (Breaks(ValueError("odd")), "ValueError: odd"),
        (Breaks(Unavailable("its library is gone")), "its library is gone"),
        (Says(np.nan), "it gave no finite number"),
        (Says(np.inf), "it gave no finite number"),
    ],
)
def test_a_member_that_fails_is_left_out_and_named(broken: Says, why: str) -> None:
    said, lost = mixed({"good": Says(3.0), "bad": broken}, np.array([0.2, 0.8]), np.array([0.2, 0.8]), small_shop(), 5)
    np.testing.assert_allclose(said.mean, 3.0)
    assert lost == {"bad": why}


def test_without_any_member_the_usual_is_said() -> None:
    series = small_shop()
    said, _ = mixed({"bad": Breaks(ValueError("odd"))}, np.ones(1), np.ones(1), series, 5)
    assert np.isfinite(said.mean).all()
    assert said.mean[0].max() == 0.0  # never sold
    assert said.mean[-1].min() > 10.0


def test_a_record_weighs_by_what_came() -> None:
    """One knows the products, the other the total."""
    series = small_shop()
    usual = float(np.median(series.y[:-1, 150:]))
    total = float(np.median(series.y[-1, 150:]))
    members = {"products": Says(usual, 0.0), "total": Says(900.0, total), "broken": Breaks(ValueError("odd"))}
    record = Record(series, 14)
    lost: dict[str, str] = {}
    for cutoff in (150, 157, 164):
        lost |= record.add({name: one for name, one in members.items() if name not in lost}, cutoff)
    assert lost == {"broken": "ValueError: odd"}
    names = ["products", "total"]
    np.testing.assert_array_equal(record.weights(names, sums=False), [1.0, 0.0])
    assert record.weights(names, sums=True)[1] > 0.9
    measured = record.measures(names, np.array([1.0, 0.0]), sums=False)
    assert measured[0] == measured[2]
    assert measured[0]["pinball"] < measured[1]["pinball"]


def test_nothing_that_comes_after_a_window_is_known_in_it() -> None:
    """Answers are asked from `until(cutoff)`."""
    asked: list[int] = []

    class Asked(Says):
        def forecast(self, series: SeriesSet, horizon: int) -> Outlook:
            asked.append(series.days)
            return super().forecast(series, horizon)

    Record(small_shop(), 14).add({"one": Asked(1.0)}, 150)
    assert asked == [150]
