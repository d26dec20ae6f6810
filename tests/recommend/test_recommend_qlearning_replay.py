"""Kept steps: the newest stay, surprising ones come more often, and weights make up for it."""

from __future__ import annotations

import numpy as np
import pytest

from shopkeeper.recommend.qlearning.replay import BETA_DRAWS, PrioritisedReplay, Replay
from shopkeeper.recommend.qlearning.sumtree import SumTree


@pytest.mark.parametrize("size", [1, 2, 5, 64, 100])
def test_a_tree_of_sums_says_in_whose_part_a_mass_lies(size: int) -> None:
    random, tree = np.random.default_rng(size), SumTree(size)
    weights = np.zeros(size)
    for _ in range(30):
        places = random.integers(0, size, 4)
        tree.put(places, np.arange(4.0) * random.random())
        weights[places] = 0  # of a place named twice the last counts, as in numpy
        weights[places] = tree.weights(places)
    assert tree.weights(np.arange(size)) == pytest.approx(weights)
    assert tree.total == pytest.approx(weights.sum())
    masses = random.random(200) * tree.total
    expected = np.searchsorted(weights.cumsum(), masses, side="right")
    assert (tree.find(masses) == expected).all()


def test_what_weighs_nothing_is_never_found() -> None:
    tree = SumTree(5)
    tree.put(np.array([1, 3]), np.array([0.1, 0.2]))
    ends = np.array([0.0, 0.1, np.nextafter(tree.total, 0), tree.total, tree.total * 1.001])
    assert set(tree.find(ends).tolist()) == {1, 3}


def test_the_newest_steps_stay() -> None:
    kept = Replay(3, 2)
    for number in range(5):
        kept.add(np.full(2, number), number, float(number), np.full(2, number + 1), number == 4)
    assert len(kept) == 3
    drawn = kept.draw(np.random.default_rng(1), 200)
    assert set(drawn.actions.tolist()) == {2, 3, 4}
    assert (drawn.states[:, 0] == drawn.actions).all()
    assert (drawn.afters[:, 1] == drawn.actions + 1).all()
    assert (drawn.done == (drawn.actions == 4)).all()
    assert (drawn.weights == 1).all()


def test_surprising_steps_come_more_often_and_count_less() -> None:
    kept = PrioritisedReplay(4, 1, 1.0, 1.0)
    for number in range(4):
        kept.add(np.zeros(1), number, 0.0, np.zeros(1), False)
    kept.learned(np.arange(4), np.array([0.99, 1.99, 2.99, -3.99]))  # priorities 1, 2, 3, 4
    random, counts = np.random.default_rng(2), np.zeros(4)
    for _ in range(500):
        counts += np.bincount(kept.draw(random, 8).actions, minlength=4)
    assert counts / counts.sum() == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.02)
    drawn = kept.draw(random, 50)
    # With beta 1 a step counts by one over its chance: the expectation is that of even draws.
    assert drawn.weights * (drawn.actions + 1) == pytest.approx(drawn.weights.max())
    kept.add(np.zeros(1), 9, 0.0, np.zeros(1), False)
    counts = np.bincount(np.concatenate([kept.draw(random, 8).actions for _ in range(200)]), minlength=10)
    assert counts[9] / counts.sum() == pytest.approx(4 / 13, abs=0.04)  # a new step is as likely as the likeliest


def test_beta_rises_to_one_with_the_draws() -> None:
    kept = PrioritisedReplay(2, 1, 1.0, 0.0)
    for number in range(2):
        kept.add(np.zeros(1), number, 0.0, np.zeros(1), False)
    kept.learned(np.arange(2), np.array([0.0, 0.99]))
    random = np.random.default_rng(3)
    assert (kept.draw(random, 8).weights == 1).all()
    for _ in range(BETA_DRAWS):
        drawn = kept.draw(random, 8)
    assert drawn.weights.max() / drawn.weights.min() in (pytest.approx(1.0), pytest.approx(100.0))
