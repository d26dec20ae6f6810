"""The chance to be the largest, integrated, beside drawings and adaptive integration."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from shopkeeper.recommend.explore import beta_curves
from shopkeeper.recommend.explore.best import even_among_best
from shopkeeper.recommend.explore.beta_curves import largest_beta
from shopkeeper.recommend.explore.quadrature import largest_normal

DRAWS = 1_000_000

BETAS = {
    "new arms": (np.ones(5), np.ones(5)),
    "few rounds": (np.array([1.0, 2.0, 1.3, 4.0, 2.5]), np.array([1.0, 3.0, 1.0, 7.5, 1.2])),
    "seldom clicked": (np.array([21.0, 30.0, 15.0, 1.0, 24.0]), np.array([990.0, 1400.0, 800.0, 1.0, 1101.0])),
    "known and unknown": (np.array([20_001.0, 1.0, 3.0, 200.0]), np.array([80_001.0, 1.0, 4.0, 780.0])),
    "nearly alike": (np.array([1e5, 1.001e5, 0.999e5]), np.array([2e5, 2e5, 2e5])),
    "parts of a round": (np.array([1.0, 1.02, 1.5]), np.array([1.01, 3.5, 1.0])),
}
NORMALS = {
    "alike": (np.array([0.1, -0.2, 0.5, 0.0, 0.3]), np.ones(5)),
    "of many widths": (np.array([0.1, 0.0, 0.4, 0.2, -0.5]), np.array([1.0, 0.1, 0.01, 0.3, 1.0])),
    "a needle among them": (np.array([0.3, 0.0, 0.0, 0.2]), np.array([1e-6, 1.0, 1.0, 0.5])),
    "far from zero": (1e6 + np.array([0.0, 1.0, 3.0]), np.array([1.0, 2.0, 0.5])),
}


def shares(draws):
    return np.bincount(draws.argmax(axis=1), minlength=draws.shape[1]) / len(draws)


def near(chances, drawn):
    """Within five standard errors of the drawings."""
    error = np.sqrt(np.maximum(drawn * (1 - drawn), 1e-6) / DRAWS)
    np.testing.assert_array_less(np.abs(chances - drawn), 5 * error)


@pytest.mark.parametrize("name", BETAS)
def test_beta_chances_are_those_of_a_million_drawings(name):
    a, b = BETAS[name]
    chances = largest_beta(a, b)
    assert chances.sum() == pytest.approx(1.0)
    near(chances, shares(np.random.default_rng(1).beta(a, b, (DRAWS, len(a)))))


@pytest.mark.parametrize("name", NORMALS)
def test_normal_chances_are_those_of_a_million_drawings(name):
    mean, deviation = NORMALS[name]
    chances = largest_normal(mean, deviation)
    assert chances.sum() == pytest.approx(1.0)
    near(chances, shares(np.random.default_rng(1).normal(mean, deviation, (DRAWS, len(mean)))))


def integrated(frozen, at, ends):
    """The chance of one of several distributions by adaptive integration between all of their quantiles."""
    others = [one for place, one in enumerate(frozen) if place != at]
    shares_ = (1e-12, 1e-5, 0.01, 0.1, 0.5, 0.9, 0.99, 1 - 1e-5, 1 - 1e-12)
    points = np.unique(np.clip([one.ppf(share) for one in frozen for share in shares_], *ends))

    def product(x):
        return frozen[at].pdf(x) * np.prod([one.cdf(x) for one in others])

    return sum(quad(product, x, y, epsabs=1e-11, epsrel=1e-7)[0] for x, y in pairwise(points))


def test_normal_chances_are_right_to_seven_places():
    mean, deviation = NORMALS["of many widths"]
    frozen = [stats.norm(*pair) for pair in zip(mean, deviation, strict=True)]
    exact = [integrated(frozen, at, (-9, 9)) for at in range(3)]
    np.testing.assert_allclose(largest_normal(mean, deviation)[:3], exact, atol=1e-7)


@pytest.mark.parametrize("name", ["few rounds", "seldom clicked"])
def test_beta_chances_are_right_to_five_places(name):
    a, b = (each[:3] for each in BETAS[name])
    frozen = [stats.beta(*pair) for pair in zip(a, b, strict=True)]
    exact = [integrated(frozen, at, (0, 1)) for at in range(3)]
    np.testing.assert_allclose(largest_beta(a, b), exact, atol=1e-5)


def test_arms_that_are_alike_have_equal_chances():
    for k in (2, 20, 10_000):
        np.testing.assert_allclose(largest_beta(np.full(k, 3.0), np.full(k, 9.0)), 1 / k, rtol=1e-9)
        np.testing.assert_allclose(largest_normal(np.zeros(k), np.ones(k)), 1 / k, rtol=1e-9)


def test_among_thousands_the_better_have_the_chances_of_drawings():
    """The largest of many lies in a narrow range, far from the middle of any of them."""
    random = np.random.default_rng(2)
    mean, deviation = random.normal(0, 0.5, 2000), random.choice([0.3, 1.0], 2000)
    chances = largest_normal(mean, deviation)
    drawn = np.zeros(2000)
    for _ in range(20):
        drawn += np.bincount(random.normal(mean, deviation, (500, 2000)).argmax(axis=1), minlength=2000)
    top = np.argsort(-chances)[:200]
    expected = chances[top].sum()
    assert abs(drawn[top].sum() / 10_000 - expected) < 5 * np.sqrt(expected * (1 - expected) / 10_000)
    heads = chances[top[0]]
    assert abs(drawn[top[0]] / 10_000 - heads) < 5 * np.sqrt(heads / 10_000)


def test_who_is_far_behind_has_no_chance_and_who_is_alone_has_all():
    assert largest_normal(np.array([0.0, 100.0]), np.array([1.0, 1.0])).tolist() == [0.0, 1.0]
    assert largest_beta(np.array([10.0, 9000.0]), np.array([9000.0, 10.0])).tolist() == [0.0, 1.0]
    assert largest_normal(np.zeros(1), np.ones(1)).tolist() == [1.0]
    assert largest_beta(np.ones(1), np.ones(1)).tolist() == [1.0]
    assert largest_beta(np.empty(0), np.empty(0)).tolist() == []


def test_two_that_turn_round_a_point_are_mirrored():
    a, b = np.array([3.0, 7.0, 2.0]), np.array([5.0, 1.5, 2.0])
    smallest_of_mirrored = 1 - largest_beta(a[:2], b[:2])
    np.testing.assert_allclose(largest_beta(b[:2], a[:2]), smallest_of_mirrored, atol=1e-6)


def test_tables_are_kept_and_the_oldest_make_room(monkeypatch):
    """Answers do not depend on what was asked before."""
    random = np.random.default_rng(6)
    a, b = 1 + random.random((12, 5)) * 9, 1 + random.random((12, 5)) * 9
    beta_curves._made.clear()
    before = [largest_beta(*pair) for pair in zip(a, b, strict=True)]
    assert len(beta_curves._made) == 60
    monkeypatch.setattr(beta_curves, "_KEPT", 16)
    for _ in range(2):
        for pair, expected in zip(zip(a, b, strict=True), before, strict=True):
            np.testing.assert_allclose(largest_beta(*pair), expected, rtol=0, atol=1e-12)
    largest_beta(1 + random.random(30), np.ones(30))
    assert len(beta_curves._made) <= 16


def test_threads_that_make_room_for_each_other_answer_right(monkeypatch):
    monkeypatch.setattr(beta_curves, "_KEPT", 12)
    random = np.random.default_rng(7)
    pools = [(1 + random.random(6) * 9, 1 + random.random(6) * 9) for _ in range(60)]
    alone = [largest_beta(*pool) for pool in pools]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda pool: largest_beta(*pool), pools * 5))
    for said, expected in zip(together, alone * 5, strict=True):
        np.testing.assert_allclose(said, expected, rtol=0, atol=1e-12)


def test_ties_are_shared():
    assert even_among_best(np.array([0.3, 0.1 + 0.2, 0.1])).tolist() == [0.5, 0.5, 0.0]
    assert even_among_best(np.array([np.inf, 5.0, np.inf])).tolist() == [0.5, 0.0, 0.5]
    assert even_among_best(np.array([-1.0])).tolist() == [1.0]
    assert even_among_best(np.empty(0)).tolist() == []
