"""Whole episodes judged off-policy: by hand, against worlds whose truth is known exactly, and what cannot be judged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopkeeper.core.errors import Invalid
from shopkeeper.quality.perdecision import Episodes, EpisodeValue, per_decision


def told(*episodes: list[tuple[float, float, float]]) -> Episodes:
    """Of steps (reward, propensity, chance)."""
    flat = [(at, *step) for at, steps in enumerate(episodes) for step in steps]
    at, reward, propensity, chance = (np.array(one) for one in zip(*flat, strict=True))
    return Episodes(at, reward, propensity, chance)


def test_weights_are_products_and_an_ended_episode_keeps_its_own() -> None:
    found = per_decision(
        told([(1.0, 0.5, 1.0), (4.0, 0.5, 1.0)], [(2.0, 0.5, 1.0)], [(7.0, 0.5, 0.0), (9.0, 0.5, 1.0)]), draws=100
    )
    # Step 0: weights 2, 2, 0; step 1: 4, 2 (it has ended, and brings nothing), 0.
    assert found.value == pytest.approx((2 * 1 + 2 * 2) / 4 + 4 * 4 / 6)
    assert found.logged == pytest.approx((5 + 2 + 16) / 3)
    assert found.gain == pytest.approx(found.value - found.logged)
    assert found.effective == pytest.approx(36 / 20)
    assert (found.episodes, found.steps, found.most_weight) == (3, 5, 4.0)


def test_rewards_are_discounted_by_their_step() -> None:
    found = per_decision(told([(1.0, 1.0, 1.0), (1.0, 1.0, 1.0), (1.0, 1.0, 1.0)]), gamma=0.5, draws=100)
    assert found.value == found.logged == found.low == found.high == 1.75


def test_episodes_are_cut_where_enough_of_what_was_earned_has_fallen() -> None:
    long = [(0.0, 0.5, 1.0)] * 9 + [(1.0, 0.5, 1.0)]
    steps = told(long, *([[(4.0, 0.5, 1.0), (1.0, 0.5, 0.0)]] * 4))
    whole = per_decision(steps, draws=100)
    assert (whole.horizon, whole.logged, whole.effective) == (10, 21 / 5, 1.0)
    cut = per_decision(steps, cover=0.75, draws=100)
    assert (cut.horizon, cut.logged, cut.value, cut.effective) == (1, 16 / 5, 16 / 5, 5.0)
    assert per_decision(steps, cover=0.9, draws=100).horizon == 2
    assert per_decision(told([(0.0, 1.0, 1.0)] * 3), cover=0.9, draws=100).horizon == 3, "nothing was earned"


@given(st.lists(st.lists(st.floats(0, 5), min_size=1, max_size=6), min_size=1, max_size=20))
def test_a_policy_that_does_what_was_done_is_worth_what_was_logged(rewards: list[list[float]]) -> None:
    found = per_decision(told(*([(reward, 0.25, 0.25) for reward in each] for each in rewards)), draws=100)
    assert found.value == pytest.approx(np.mean([sum(each) for each in rewards]))
    assert (found.gain, found.gain_low, found.gain_high) == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)
    assert found.effective == pytest.approx(len(rewards))


# A visit: in state s an action brings reward 1 with chance CLICK[s, a]; who clicked stays with STAY[1], else STAY[0].
CLICK = np.array([[0.5, 0.3], [0.2, 0.6]])
STAY = np.array([0.3, 0.8])
STEPS = 5


def truth(policy: np.ndarray) -> float:
    """Of always acting by `policy` (states,), exactly: the state is whether the last slate was clicked on."""
    worth = np.zeros(2)
    for _ in range(STEPS):
        click = CLICK[np.arange(2), policy]
        worth = click * (1 + STAY[1] * worth[1]) + (1 - click) * STAY[0] * worth[0]
    return float(worth[0])


def logged(n: int, share: float, policy: np.ndarray, random: np.random.Generator) -> Episodes:
    """n visits in which action 0 was shown but for a share of any action."""
    state, here = np.zeros(n, dtype=np.int64), np.ones(n, dtype=np.bool_)
    found: list[tuple[np.ndarray, ...]] = []
    for _ in range(STEPS):
        at = np.flatnonzero(here)
        action = np.where(random.random(len(at)) < share, random.integers(0, 2, len(at)), 0)
        click = random.random(len(at)) < CLICK[state[at], action]
        propensity = share / 2 + (1 - share) * (action == 0)
        found.append((at, click.astype(float), propensity, (action == policy[state[at]]).astype(float)))
        here[at] = random.random(len(at)) < STAY[click.astype(int)]
        state[at] = click
    return Episodes(*(np.concatenate(each) for each in zip(*found, strict=True)))


@pytest.mark.parametrize("policy", [[0, 0], [0, 1], [1, 1]])
def test_intervals_cover_the_truth_as_often_as_they_say(policy: list[int]) -> None:
    """With as many effective episodes as the gate asks for; with fewer they are too narrow."""
    best, random = np.array(policy), np.random.default_rng(7)
    found = [per_decision(logged(1500, 1.0, best, random), draws=200) for _ in range(60)]
    assert np.mean([one.effective for one in found]) == pytest.approx(240, abs=50)
    held = sum(one.low <= truth(best) <= one.high for one in found)
    assert held >= 52, "95 in a hundred, by a binomial draw of sixty"
    assert np.mean([one.value for one in found]) == pytest.approx(truth(best), rel=0.02)


def test_effective_episodes_tell_how_little_is_known_of_a_policy_that_nobody_follows() -> None:
    random = np.random.default_rng(3)

    def of(policy: list[int], share: float) -> EpisodeValue:
        return per_decision(logged(2000, share, np.array(policy), random), draws=100)

    assert of([0, 0], 0.1).effective > 1500
    assert of([1, 1], 0.1).effective < 150
    assert of([1, 1], 1.0).effective > 5 * of([1, 1], 0.1).effective


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ([(1.0, 0.0, 1.0)], "bad_propensity"),
        ([(1.0, 0.5, 1.5)], "bad_chance"),
        ([(np.nan, 0.5, 1.0)], "bad_reward"),
        ([(1.0, 0.5, 0.0)], "no_overlap"),
    ],
)
def test_what_cannot_be_judged_is_refused(steps: list[tuple[float, float, float]], code: str) -> None:
    with pytest.raises(Invalid) as refused:
        per_decision(told(steps))
    assert refused.value.code == code


def test_nothing_says_nothing() -> None:
    none = np.empty(0)
    with pytest.raises(Invalid) as refused:
        per_decision(Episodes(np.empty(0, dtype=np.int64), none, none, none))
    assert refused.value.code == "no_rounds"
    with pytest.raises(Invalid, match="shape"):
        per_decision(Episodes(np.zeros(1, dtype=np.int64), np.zeros(2), np.ones(2), np.ones(2)))
