import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopkeeper.quality import classification as measure


def test_auc_counts_pairs_with_ties_as_half():
    label = np.array([1, 0, 1, 0], dtype=np.float32)
    score = np.array([0.9, 0.9, 0.3, 0.1])
    # pairs (1, 0): .9>.9 half, .9>.1 one, .3>.9 none, .3>.1 one
    assert measure.auc(label, score) == pytest.approx(2.5 / 4)


def test_auc_of_one_class_is_not_a_number():
    assert math.isnan(measure.auc(np.ones(3), np.arange(3.0)))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=40))
def test_auc_equals_the_share_of_ordered_pairs(rows):
    label = np.array([float(y) for y, _ in rows])
    score = np.array([float(s) for _, s in rows])
    ones, zeros = score[label > 0], score[label == 0]
    if len(ones) and len(zeros):
        wanted = np.mean([(a > b) + 0.5 * (a == b) for a in ones for b in zeros])
        assert measure.auc(label, score) == pytest.approx(wanted)


def test_logloss_by_hand_and_bounded_at_certainty():
    assert measure.logloss(np.array([1.0, 0.0]), np.array([0.8, 0.4])) == pytest.approx(
        -(math.log(0.8) + math.log(0.6)) / 2
    )
    assert measure.logloss(np.array([1.0]), np.array([0.0])) < 20


def test_a_row_counts_in_the_logloss_as_the_rows_that_it_stands_for():
    label, said, weight = np.array([1.0, 0.0, 0.0]), np.array([0.8, 0.4, 0.9]), np.array([1.0, 3.0, 0.0])
    wanted = measure.logloss(np.array([1.0, 0.0, 0.0, 0.0]), np.array([0.8, 0.4, 0.4, 0.4]))
    assert measure.logloss(label, said, weight) == pytest.approx(wanted)
    assert measure.logloss(label, said, np.ones(3)) == pytest.approx(measure.logloss(label, said))
    assert math.isnan(measure.logloss(label, said, np.zeros(3)))


def test_brier_and_accuracy():
    label, said = np.array([1.0, 0.0]), np.array([0.75, 0.5])
    assert measure.brier(label, said) == pytest.approx((0.0625 + 0.25) / 2)
    assert measure.accuracy(label, said) == 0.5


def test_calibration_error_sees_overconfidence():
    rng = np.random.default_rng(3)
    p = rng.uniform(0, 1, 20_000)
    y = (rng.uniform(size=20_000) < p).astype(np.float64)
    assert measure.calibration_error(y, p) < 0.02
    assert measure.calibration_error(y, np.clip(p * 1.5, 0, 1)) > 0.1


# -- by group


def naive_grouped_auc(label: np.ndarray, score: np.ndarray, group: np.ndarray) -> float:
    total = weight = 0.0
    for number in np.unique(group[group >= 0]):
        rows = group == number
        wins = [
            1.0 if yes > no else 0.5 if yes == no else 0.0
            for yes in score[rows & (label > 0)]
            for no in score[rows & (label == 0)]
        ]
        if wins:
            total += rows.sum() * sum(wins) / len(wins)
            weight += rows.sum()
    return total / weight if weight else float("nan")


@pytest.mark.parametrize("seed", range(12))
def test_grouped_auc_equals_the_naive_loop(seed: int) -> None:
    random = np.random.default_rng(seed)
    n = int(random.integers(1, 300))
    label = random.integers(0, 2, n).astype(np.float32)
    score = random.integers(0, 6, n).astype(np.float32)  # many ties
    group = random.integers(-1, max(1, n // 6), n)
    np.testing.assert_allclose(measure.grouped_auc(label, score, group), naive_grouped_auc(label, score, group))


def test_one_group_has_the_plain_auc_and_order_does_not_matter() -> None:
    random = np.random.default_rng(0)
    label, score = random.integers(0, 2, 80).astype(np.float32), random.normal(size=80)
    group = np.zeros(80, dtype=np.int64)
    assert measure.grouped_auc(label, score, group) == pytest.approx(measure.auc(label, score))
    order = random.permutation(80)
    assert measure.grouped_auc(label[order], score[order], group) == pytest.approx(measure.auc(label, score))


def test_groups_of_one_label_and_of_nobody_are_left_out() -> None:
    label = np.array([1, 1, 0, 0, 1, 0], dtype=np.float32)
    score = np.array([0, 0, 1, 2, 9, 0], dtype=np.float32)
    assert measure.grouped_auc(label, score, np.array([0, 0, 1, 1, 2, 2])) == 1.0
    assert np.isnan(measure.grouped_auc(label, score, np.array([0, 0, 1, 1, -1, -1])))
    assert np.isnan(measure.grouped_auc(label[:0], score[:0], np.empty(0, dtype=np.int64)))
