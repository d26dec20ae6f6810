import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopkeeper.quality import ranking


def items(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int32)


SLATES = np.array([[1, 2, 3], [4, 5, -1], [7, 8, 9]], dtype=np.int32)
TAKEN = [items(3, 1), items(9), items()]


def test_recall_is_the_share_of_what_was_taken_and_skips_users_without_any():
    assert ranking.recall_at(SLATES, TAKEN, 3) == pytest.approx((2 / 2 + 0 / 1) / 2)
    assert ranking.recall_at(SLATES, TAKEN, 1) == pytest.approx((1 / 2 + 0) / 2)


def test_hit_precision_and_reciprocal_rank():
    assert ranking.hit_at(SLATES, TAKEN, 3) == 0.5
    assert ranking.precision_at(SLATES, TAKEN, 3) == pytest.approx((2 / 3 + 0) / 2)
    assert ranking.mrr_at(np.array([[2, 3, 1]], dtype=np.int32), [items(1, 3)], 3) == 0.5


def test_ndcg_by_hand():
    gained = 1 / math.log2(2) + 1 / math.log2(4)
    best = 1 / math.log2(2) + 1 / math.log2(3)
    assert ranking.ndcg_at(SLATES[:1], TAKEN[:1], 3) == pytest.approx(gained / best)


def test_a_list_shorter_than_k_is_allowed():
    assert ranking.ndcg_at(items(1)[None, :], [items(1, 2)], 5) == pytest.approx(1 / (1 + 1 / math.log2(3)))


def test_a_repeated_item_counts_once():
    assert ranking.recall_at(np.array([[1, 1, 1]], dtype=np.int32), [items(1, 2)], 3) == 0.5


def test_padding_is_never_a_hit():
    assert ranking.hit_at(np.array([[-1, -1]], dtype=np.int32), [items(-1, 4)], 2) == 0.0


def test_coverage_counts_distinct_items_shown():
    assert ranking.coverage_at(SLATES, 10, 2) == 0.6


def test_grouped_ndcg_leaves_out_lists_without_a_taken_item():
    score = np.array([0.1, 0.9, 0.5, 0.5], dtype=np.float32)
    label = np.array([1, 0, 0, 0], dtype=np.float32)
    group = np.array([0, 0, 1, 1])
    assert ranking.grouped_ndcg(score, label, group, 10) == pytest.approx(1 / math.log2(3))


def test_empty_input_is_zero():
    assert ranking.recall_at(np.empty((0, 5), dtype=np.int32), [], 5) == 0.0
    assert ranking.grouped_ndcg(np.empty(0), np.empty(0), np.empty(0, dtype=np.int64), 5) == 0.0


@given(st.permutations(list(range(12))), st.sets(st.integers(0, 11), min_size=1), st.integers(1, 12))
def test_every_measure_is_a_share_and_the_perfect_list_is_one(order, taken, k):
    slate = np.array([order], dtype=np.int32)
    relevant = [np.array(sorted(taken), dtype=np.int32)]
    for measure in (ranking.recall_at, ranking.ndcg_at, ranking.hit_at, ranking.precision_at, ranking.mrr_at):
        assert 0.0 <= measure(slate, relevant, k) <= 1.0 + 1e-12
    best = np.array([sorted(taken) + sorted(set(range(12)) - taken)], dtype=np.int32)
    assert ranking.ndcg_at(best, relevant, k) == pytest.approx(1.0)


def test_grouped_ndcg_can_count_what_the_list_missed():
    score, label, group = np.array([0.9, 0.1]), np.array([1.0, 0.0]), np.zeros(2, dtype=np.int64)
    assert ranking.grouped_ndcg(score, label, group, 10) == 1.0
    missed = ranking.grouped_ndcg(score, label, group, 10, np.array([2, 2]))
    assert missed == pytest.approx(1 / (1 + 1 / math.log2(3)))
