from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopkeeper.core.errors import Invalid
from shopkeeper.explain.shapley import coalitions, shapley

games = st.integers(1, 5).flatmap(
    lambda n: st.tuples(st.just(n), st.lists(st.floats(-1e3, 1e3), min_size=2**n, max_size=2**n))
)


def number(members: np.ndarray) -> np.ndarray:
    return (members * (1 << np.arange(members.shape[1]))).sum(axis=1)


@settings(max_examples=60, deadline=None)
@given(games)
def test_equals_the_mean_over_all_orders(game: tuple[int, list[float]]) -> None:
    n, worth = game
    base, values = shapley(lambda members: np.array(worth)[number(members)], n)
    by_hand = np.zeros(n)
    orders = list(permutations(range(n)))
    for order in orders:
        coalition = 0
        for player in order:
            by_hand[player] += worth[coalition | 1 << player] - worth[coalition]
            coalition |= 1 << player
    np.testing.assert_allclose(values, by_hand / len(orders), atol=1e-9)
    assert base + values.sum() == pytest.approx(worth[-1], abs=1e-9)


def test_a_player_that_adds_nothing_gets_nothing_and_equals_get_the_same() -> None:
    _, values = shapley(lambda members: (members[:, 0] & members[:, 1]).astype(float), 3)
    np.testing.assert_allclose(values, [0.5, 0.5, 0.0], atol=1e-12)


def test_groups_of_inputs_of_a_linear_function() -> None:
    weights = np.array([1.0, -2.0, 3.0, 0.5])
    row, background = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.5, 0.5, 0.5, 0.5])
    group = np.array([0, 1, 0, 2])
    base, values = shapley(lambda members: np.where(members[:, group], row, background) @ weights, 3)
    gains = weights * (row - background)
    assert base == pytest.approx(background @ weights)
    np.testing.assert_allclose(values, [gains[0] + gains[2], gains[1], gains[3]])


@pytest.mark.parametrize("n", [0, 15])
def test_too_few_or_many_players_are_refused(n: int) -> None:
    with pytest.raises(Invalid, match="groups"):
        coalitions(n)
