"""Off-policy estimates against worlds whose truth is known."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopkeeper.core.errors import Invalid
from shopkeeper.quality import offpolicy
from shopkeeper.quality.offpolicy import Rounds, estimate, support, terms
from shopkeeper.quality.ratios import Ratio

chances = st.lists(st.floats(0.05, 1.0), min_size=3, max_size=3).map(lambda each: np.array(each) / sum(each))
means = st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3).map(np.array)


def expected_terms(estimator, behaviour, target, mean, told):
    """(over, under) of one round on average: every arm and both rewards, by their exact probabilities."""
    over = under = 0.0
    for arm, reward in product(range(3), (0.0, 1.0)):
        probability = behaviour[arm] * (mean[arm] if reward else 1 - mean[arm])
        one = Rounds(
            np.array([reward]),
            behaviour[[arm]],
            target[[arm]],
            expected=told[[arm]],
            value=np.array([float(target @ told)]),
        )
        found = terms(estimator, one)
        over, under = over + probability * found.over[0], under + probability * found.under[0]
    return over, under


def world(n, behaviour, target, mean, seed, told=None):
    """n rounds of bandit feedback: arms by `behaviour`, rewards by `mean`, a model that expects `told`."""
    random = np.random.default_rng(seed)
    arm = random.choice(len(mean), n, p=behaviour)
    reward = (random.random(n) < mean[arm]).astype(float)
    told = mean if told is None else told
    value = np.full(n, float(target @ told))
    return Rounds(reward, behaviour[arm], target[arm], expected=told[arm], value=value)


BEHAVIOUR = np.array([0.6, 0.25, 0.1, 0.05])
TARGET = np.array([0.1, 0.2, 0.3, 0.4])
MEAN = np.array([0.1, 0.2, 0.4, 0.5])
TRUTH = float(TARGET @ MEAN)


@settings(deadline=None, max_examples=30)
@given(chances, chances, means, means)
def test_ips_and_dr_are_unbiased_whatever_the_model_expects(behaviour, target, mean, told):
    truth = float(target @ mean)
    for estimator in ("ips", "dr"):
        over, under = expected_terms(estimator, behaviour, target, mean, told)
        assert under == pytest.approx(1.0)
        assert over == pytest.approx(truth, abs=1e-9)


@settings(deadline=None, max_examples=30)
@given(chances, chances, means)
def test_both_sums_of_snips_are_unbiased_and_its_ratio_is_the_truth(behaviour, target, mean):
    over, under = expected_terms("snips", behaviour, target, mean, mean)
    assert under == pytest.approx(1.0)
    assert over == pytest.approx(float(target @ mean), abs=1e-9)


@settings(deadline=None, max_examples=30)
@given(chances, chances, means, st.floats(0.2, 5.0))
def test_dr_is_right_with_wrong_propensities_when_the_model_is_right(behaviour, target, mean, factor):
    over = 0.0
    for arm, reward in product(range(3), (0.0, 1.0)):
        probability = behaviour[arm] * (mean[arm] if reward else 1 - mean[arm])
        wrong = np.minimum(behaviour[[arm]] * factor, 1.0)
        one = Rounds(
            np.array([reward]), wrong, target[[arm]], expected=mean[[arm]], value=np.array([float(target @ mean)])
        )
        over += probability * terms("dr", one).over[0]
    assert over == pytest.approx(float(target @ mean), abs=1e-9)


@settings(deadline=None, max_examples=30)
@given(chances, means, st.integers(0, 1000))
def test_on_the_logging_policy_itself_every_estimator_says_what_was_there(behaviour, mean, seed):
    rounds = world(50, behaviour, behaviour, mean, seed)
    seen = rounds.reward.mean()
    assert estimate("ips", rounds).value == pytest.approx(seen)
    assert estimate("snips", rounds).value == pytest.approx(seen)
    assert estimate("logged", rounds).value == pytest.approx(seen)
    nothing = replace(rounds, expected=np.zeros(50), value=np.zeros(50))
    assert estimate("dr", nothing).value == pytest.approx(seen)
    assert support(rounds).effective == pytest.approx(50)
    assert support(rounds).mean_weight == pytest.approx(1)


@settings(deadline=None, max_examples=30)
@given(chances, means, st.integers(0, 1000))
def test_replay_of_even_draws_is_snips(target, mean, seed):
    rounds = world(60, np.full(3, 1 / 3), target, mean, seed)
    assert estimate("replay", rounds).value == pytest.approx(estimate("snips", rounds).value)


def test_replay_of_a_fixed_choice_is_the_mean_of_the_rounds_that_agree():
    rounds = world(300, np.full(4, 0.25), np.array([0.0, 0.0, 0.0, 1.0]), MEAN, 3)
    agree = rounds.chance == 1
    found = estimate("replay", rounds)
    assert found.value == pytest.approx(rounds.reward[agree].mean())
    spread = rounds.reward[agree].std() / np.sqrt(agree.sum())
    assert found.error == pytest.approx(spread, rel=0.01)


def test_replay_refuses_uneven_draws():
    with pytest.raises(Invalid, match=r"between 0\.05 and 0\.6") as caught:
        estimate("replay", world(500, BEHAVIOUR, TARGET, MEAN, 1))
    assert caught.value.code == "not_uniform"


@pytest.mark.parametrize("interval", ["normal", "bootstrap"])
@pytest.mark.parametrize("estimator", ["ips", "snips", "dr"])
def test_intervals_cover_the_truth_about_as_often_as_they_say(estimator, interval):
    told = np.array([0.3, 0.1, 0.3, 0.4])
    logs = [world(500, BEHAVIOUR, TARGET, MEAN, seed, told) for seed in range(200)]
    found = [estimate(estimator, log, interval=interval, draws=120) for log in logs]
    covered = np.mean([one.low <= TRUTH <= one.high for one in found])
    assert 0.87 <= covered <= 0.99
    values = np.array([one.value for one in found])
    assert np.mean(values) == pytest.approx(TRUTH, abs=4 * values.std() / np.sqrt(200))
    assert np.mean([one.error for one in found]) == pytest.approx(values.std(), rel=0.2)


def test_snips_is_narrower_than_ips_and_dr_with_a_good_model_narrower_still():
    rounds = world(4000, BEHAVIOUR, TARGET, MEAN, 5)
    ips, snips, dr = (estimate(name, rounds).error for name in ("ips", "snips", "dr"))
    assert dr < snips < ips


def test_rounds_of_a_cluster_count_as_one():
    """Every round three times over, each with its copies in one cluster: the same interval as of the single ones."""
    rounds = world(400, BEHAVIOUR, TARGET, MEAN, 2)
    thrice = Rounds(*(np.repeat(column, 3) for column in (rounds.reward, rounds.propensity, rounds.chance)))
    together = replace(thrice, cluster=np.repeat(np.arange(400), 3))
    assert estimate("snips", together).error == pytest.approx(estimate("snips", rounds).error)
    assert estimate("snips", thrice).error < 0.6 * estimate("snips", rounds).error
    one, other = (estimate("ips", log, interval="bootstrap", seed=4) for log in (together, rounds))
    assert (one.low, one.high) == pytest.approx((other.low, other.high))
    assert support(together).clusters == 400


def test_one_cluster_says_nothing_of_the_spread():
    rounds = replace(world(10, BEHAVIOUR, TARGET, MEAN, 2), cluster=np.zeros(10, dtype=np.int64))
    assert estimate("ips", rounds).error == float("inf")


def test_the_bootstrap_repeats_itself_and_agrees_with_the_normal_interval():
    rounds = world(30_000, BEHAVIOUR, TARGET, MEAN, 6)
    one = estimate("snips", rounds, interval="bootstrap", seed=1, draws=300)
    assert one == estimate("snips", rounds, interval="bootstrap", seed=1, draws=300)
    normal = estimate("snips", rounds)
    assert one.high - one.low == pytest.approx(normal.high - normal.low, rel=0.2)
    assert one.low == pytest.approx(normal.low, abs=0.2 * (normal.high - normal.low))


def test_a_wider_confidence_gives_a_wider_interval():
    rounds = world(500, BEHAVIOUR, TARGET, MEAN, 7)
    wide, narrow = estimate("dr", rounds, confidence=0.99), estimate("dr", rounds, confidence=0.8)
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high
    assert (wide.high - wide.value) / wide.error == pytest.approx(2.5758, abs=1e-3)


def test_cut_weights_spread_less_and_say_too_little():
    rounds = world(5000, BEHAVIOUR, TARGET, MEAN, 8)
    whole, cut = estimate("ips", rounds), estimate("ips", rounds, most_weight=3.0)
    assert cut.error < whole.error
    assert cut.value < whole.value
    assert support(rounds, 3.0).clipped == pytest.approx((rounds.weights() > 3).mean())
    assert support(rounds, 3.0).effective > support(rounds).effective
    assert estimate("ips", rounds, most_weight=1e9) == whole


def test_support_says_how_far_the_rounds_carry():
    reward, propensity = np.zeros(4), np.array([0.5, 0.5, 0.001, 0.5])
    rounds = Rounds(reward, propensity, np.array([1.0, 0.0, 0.9, 0.5]), outside=np.array([0.0, 1.0, 0.0, 0.5]))
    found = support(rounds)
    weights = np.array([2.0, 0.0, 900.0, 1.0])
    assert found.effective == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
    assert (found.weak, found.unused, found.unsupported) == (0.25, 0.25, 0.375)
    assert found.most_weight == pytest.approx(900)
    assert found.rewarded == 0
    one = support(replace(rounds, reward=np.array([1.0, 1.0, 0.0, 1.0])))
    assert one.rewarded == pytest.approx(3.0**2 / 5)
    assert one.effective == found.effective
    assert found.mean_weight == pytest.approx(weights.mean())


def test_a_log_without_some_of_the_arms_has_a_mean_weight_below_one():
    blind = np.array([0.5, 0.5, 0.0, 0.0])
    rounds = world(2000, blind, TARGET, MEAN, 9)
    assert support(rounds).mean_weight == pytest.approx(TARGET[:2].sum(), abs=0.05)


@pytest.mark.parametrize("value", [0.0, -0.1, np.nan, np.inf, 1.5])
def test_a_propensity_that_is_no_chance_is_refused_by_its_round(value):
    rounds = world(5, BEHAVIOUR, TARGET, MEAN, 1)
    propensity = rounds.propensity.copy()
    propensity[3] = value
    with pytest.raises(Invalid, match="the first is round 3") as caught:
        estimate("ips", replace(rounds, propensity=propensity))
    assert (caught.value.code, caught.value.field) == ("bad_propensity", "propensity")


@pytest.mark.parametrize("value", [-0.1, np.nan, 1.5])
def test_a_chance_that_is_none_is_refused(value):
    rounds = world(5, BEHAVIOUR, TARGET, MEAN, 1)
    with pytest.raises(Invalid) as caught:
        support(replace(rounds, chance=np.full(5, value)))
    assert caught.value.code == "bad_chance"


def test_what_says_nothing_is_refused():
    rounds = world(5, BEHAVIOUR, TARGET, MEAN, 1)
    nothing = Rounds(np.zeros(0), np.zeros(0), np.zeros(0))
    for wrong, code in (
        (nothing, "no_rounds"),
        (replace(rounds, chance=np.zeros(5)), "no_overlap"),
        (replace(rounds, reward=np.array([0, 1, np.nan, 0, 0])), "bad_reward"),
        (replace(rounds, chance=np.ones(4)), "bad_round"),
        (replace(rounds, expected=np.full(5, np.inf)), "bad_expected"),
    ):
        with pytest.raises(Invalid) as caught:
            estimate("ips", wrong)
        assert caught.value.code == code
    for estimator in ("dr", "dm"):
        with pytest.raises(Invalid) as caught:
            estimate(estimator, replace(rounds, expected=None))
        assert caught.value.code == "no_model"


def test_options_that_make_no_sense_are_refused():
    rounds = world(5, BEHAVIOUR, TARGET, MEAN, 1)
    for options in ({"confidence": 1.0}, {"confidence": 0.0, "interval": "bootstrap"}, {"most_weight": 0.0}):
        with pytest.raises(Invalid) as caught:
            estimate("ips", rounds, **options)
        assert caught.value.code == "bad_option"
    with pytest.raises(Invalid) as caught:
        estimate("guess", rounds)
    assert caught.value.code == "unknown_estimator"
    assert all(name in caught.value.message for name in offpolicy.ESTIMATORS)


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 40), st.integers(0, 1000))
def test_a_mean_is_a_ratio_too(n, seed):
    values = np.random.default_rng(seed).normal(size=n)
    ratio = Ratio.of(values, np.ones(n))
    assert ratio.value == pytest.approx(values.mean())
    assert ratio.error == pytest.approx(values.std(ddof=1) / np.sqrt(n))


def test_a_sample_with_nothing_below_says_nothing():
    assert Ratio(np.zeros(3), np.zeros(3)).bootstrap(draws=10) == (float("-inf"), float("inf"))
