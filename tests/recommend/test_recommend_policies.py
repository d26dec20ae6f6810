"""Every policy keeps what its suite asks, and does what its paper says."""

from importlib.metadata import entry_points

import numpy as np
import pytest

from shopkeeper import plugins
from shopkeeper.checks import policy
from shopkeeper.checks.policy import small_rows
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Continuing, Model, silent
from shopkeeper.recommend.explore.arms import Kept
from shopkeeper.recommend.explore.epsilon_greedy import EpsilonGreedy
from shopkeeper.recommend.explore.exp3 import Exp3
from shopkeeper.recommend.explore.lints import LinTs
from shopkeeper.recommend.explore.linucb import LinUcb
from shopkeeper.recommend.explore.policy import UNSEEN, Policy
from shopkeeper.recommend.explore.thompson_beta import ThompsonBeta
from shopkeeper.recommend.explore.thompson_gaussian import ThompsonGaussian
from shopkeeper.recommend.explore.ucb1 import Ucb1

NAMES = ("epsilon_greedy", "exp3", "lints", "linucb", "thompson_beta", "thompson_gaussian", "ucb1")


def begun(trainer, dimension=1, **params):
    return trainer(trainer.Params(**params), 0).begin(dimension)


def taught(learner, rewards, context=None):
    """Each arm by the name of its key learns its rewards."""
    for name, each in rewards.items():
        for reward in each:
            learner.learn(learner.place(name), reward, context)
    return learner


def arms(*places):
    return np.array(places, dtype=np.int32)


@pytest.mark.parametrize("check", policy.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_every_policy_passes(name, check):
    check(plugins.algorithm(name))


def test_all_of_the_family_are_here():
    found = [one.name for one in entry_points(group="shopkeeper.algorithms") if ".explore." in one.value]
    assert sorted(found) == list(NAMES)
    assert {plugins.algorithm(name).family for name in NAMES} == {"policy"}
    assert len(policy.CHECKS) == 16


@pytest.mark.parametrize("name", NAMES)
def test_a_snapshot_is_a_model_and_a_policy(name):
    trainer = plugins.algorithm(name)
    made = begun(trainer, 3).snapshot()
    assert isinstance(made, Model)
    assert isinstance(made, Policy)
    assert isinstance(trainer(trainer.Params(), 0), Continuing)


# -- what each of them works out


def test_ucb1_adds_the_width_of_its_bound():
    learner = taught(begun(Ucb1), {"often": [0.5] * 90, "seldom": [0.4] * 10})
    index = np.array([0.5 + np.sqrt(2 * np.log(100) / 90), 0.4 + np.sqrt(2 * np.log(100) / 10)])
    assert index[1] > index[0]
    assert learner.snapshot().chances(arms(0, 1), None).tolist() == [0.0, 1.0]
    assert taught(begun(Ucb1, c=0.0), {"often": [0.5] * 90, "seldom": [0.4] * 10}).snapshot().chances(
        arms(0, 1), None
    ).tolist() == [1.0, 0.0]


def test_ucb1_takes_what_it_never_tried_first_and_shares_ties():
    model = taught(begun(Ucb1), {"good": [1.0] * 5, "as good": [1.0] * 5}).snapshot()
    assert model.chances(arms(0, 1), None).tolist() == [0.5, 0.5]
    assert model.chances(arms(0, UNSEEN, 1, UNSEEN), None).tolist() == [0.0, 0.5, 0.0, 0.5]


def test_epsilon_falls_with_each_round_to_its_least():
    for rounds in (0, 1, 100, 1000):
        model = taught(begun(EpsilonGreedy), {"a": [0.5] * rounds}).snapshot()
        assert model.epsilon == pytest.approx(max(0.01, 0.1 * 0.995**rounds))
    best, other = taught(begun(EpsilonGreedy), {"a": [1.0], "b": [0.0]}).snapshot().chances(arms(0, 1), None)
    epsilon = 0.1 * 0.995**2
    assert (best, other) == (pytest.approx(1 - epsilon / 2), pytest.approx(epsilon / 2))


def test_epsilon_greedy_is_as_curious_as_it_is_told():
    for optimism, first in ((1.0, UNSEEN), (0.0, 0)):
        model = taught(begun(EpsilonGreedy, optimism=optimism), {"a": [0.6]}).snapshot()
        assert arms(0, UNSEEN)[model.chances(arms(0, UNSEEN), None).argmax()] == first


def test_beta_counts_parts_of_a_success():
    model = taught(begun(ThompsonBeta), {"a": [0.25, 0.5, 1.0]}).snapshot()
    assert model.estimates(arms(0), None)[0] == pytest.approx((1 + 1.75) / (2 + 3))
    assert model.estimates(arms(UNSEEN), None)[0] == 0.5


def test_two_beta_arms_have_the_chance_that_is_known_in_closed_form():
    """P(X > Y) of Beta(2, 1) over Beta(1, 1) is 2/3."""
    model = taught(begun(ThompsonBeta), {"a": [1.0]}).snapshot()
    np.testing.assert_allclose(model.chances(arms(0, UNSEEN), None), [2 / 3, 1 / 3], atol=1e-7)


def test_the_normal_posterior_weighs_prior_and_rewards():
    model = taught(begun(ThompsonGaussian, mean=10.0, spread=2.0, noise=4.0), {"a": [20.0, 30.0]}).snapshot()
    precision = 1 / 4 + 2 / 16
    assert model.estimates(arms(0), None)[0] == pytest.approx((10 / 4 + 50 / 16) / precision)
    assert model.estimates(arms(UNSEEN), None)[0] == 10.0


@pytest.mark.parametrize("trainer", [LinUcb, LinTs])
def test_the_linear_ones_solve_ridge_regressions(trainer):
    """Also after 20,000 rounds of Sherman and Morrison's formula."""
    random = np.random.default_rng(4)
    learner, n, d = begun(trainer, 4, ridge=2.0), 20_000, 4
    x = np.hstack([np.ones((n, 1)), random.normal(0, 3, (n, d - 1))])
    y = x @ [0.3, -0.2, 0.1, 0.0] + random.normal(0, 0.1, n)
    arm = learner.place("a")
    for at in range(n):
        learner.learn(arm, y[at], x[at])
    matrix = 2.0 * np.eye(d) + x.T @ x
    theta, asked = np.linalg.solve(matrix, x.T @ y), x[7]
    mean, deviation = learner.snapshot().means_and_deviations(arms(arm, UNSEEN), asked)
    np.testing.assert_allclose(mean, [theta @ asked, 0.0], rtol=1e-9)
    expected = [np.sqrt(asked @ np.linalg.solve(matrix, asked)), np.sqrt(asked @ asked / 2)]
    np.testing.assert_allclose(deviation, expected, rtol=1e-9)


def test_the_linear_ones_tell_contexts_apart():
    random = np.random.default_rng(4)
    for trainer in (LinUcb, LinTs):
        learner = begun(trainer, 2)
        for _ in range(600):
            x, arm = np.array([1.0, random.choice([-1.0, 1.0])]), random.integers(2)
            learner.learn(learner.place(("minus", "plus")[arm]), float(x[1] == 2 * arm - 1), x)
        model = learner.snapshot()
        place = [model.arm_ids.index("minus"), model.arm_ids.index("plus")]
        assert model.chances(arms(*place), np.array([1.0, -1.0]))[0] > 0.99
        assert model.chances(arms(*place), np.array([1.0, 1.0]))[1] > 0.99


def test_lints_without_width_takes_the_best():
    model = taught(begun(LinTs, 1, v=0.0), {"a": [1.0], "b": [0.5]}, np.ones(1)).snapshot()
    assert model.chances(arms(0, 1), np.ones(1)).tolist() == [1.0, 0.0]


def test_exp3_is_the_published_one():
    """Weights as in the paper, on arms that all were there from the start."""
    k, gamma, random = 4, 0.2, np.random.default_rng(3)
    learner, weight = begun(Exp3, gamma=gamma, pool=k), np.ones(k)
    places = [learner.place(f"A{at}") for at in range(k)]
    for _ in range(300):
        chance = (1 - gamma) * weight / weight.sum() + gamma / k
        np.testing.assert_allclose(learner.snapshot().chances(arms(*places), None), chance, rtol=1e-9)
        arm, reward = random.choice(k, p=chance), random.random()
        weight[arm] *= np.exp(gamma * reward / chance[arm] / k)
        learner.learn(places[arm], reward, None, chance[arm])


def test_exp3_gives_an_arm_that_comes_late_the_average_weight():
    learner = begun(Exp3, gamma=0.5, pool=2)
    a, b = learner.place("a"), learner.place("b")
    taught(learner, {"a": [1.0] * 20})
    before = learner.snapshot().chances(arms(a, b, UNSEEN), None)
    late = learner.place("late")
    np.testing.assert_allclose(learner.snapshot().chances(arms(a, b, late), None), before, atol=1e-12)
    assert before[1] < before[2] < before[0]


# -- states and trainings


def test_a_state_of_another_policy_or_shape_is_refused():
    state = taught(begun(Ucb1), {"a": [1.0]}).state()
    with pytest.raises(Invalid, match="policy 'ucb1'") as error:
        ThompsonBeta.learner.restore(state)
    assert error.value.code == "bad_state"
    kept = Kept.unpack(state, "ucb1")
    for wrong in (
        Kept("ucb1", {"c": "wide"}, 1, kept.arm_ids, kept.columns),
        Kept("ucb1", {}, 1, kept.arm_ids, {"rounds": kept.columns["rounds"]}),
        Kept("ucb1", {}, 1, ("a", "b"), kept.columns),
    ):
        with pytest.raises(Invalid) as error:
            Ucb1.learner.restore(wrong.pack() if len(wrong.arm_ids) == 1 else packed_wrongly(wrong))
        assert error.value.code == "bad_state"


def packed_wrongly(kept):
    """A state with an arm more than rows."""
    more = {name: np.append(column, column[-1:]) for name, column in kept.columns.items()}
    whole = Kept(kept.policy, kept.params, kept.rounds, kept.arm_ids, more).pack()
    return whole.replace(b'"arm_ids": ["a", "b"]', b'"arm_ids": ["a"]     ')


@pytest.mark.parametrize("name", NAMES)
def test_training_goes_on_where_another_ended(name):
    trainer, rows = plugins.algorithm(name), small_rows(400)
    first = trainer(trainer.Params(), 1).fit(rows.take(slice(0, 200)), silent)
    second = trainer(trainer.Params(), 1)
    second.continue_from(first)
    went_on = second.fit(rows.take(slice(200, 400)), silent)
    at_once = trainer(trainer.Params(), 1).fit(rows, silent)
    assert went_on.kept.rounds == at_once.kept.rounds == 400
    assert went_on.feature_names == at_once.feature_names
    pool, context = np.arange(len(at_once.arm_ids), dtype=np.int32), np.array([1.0, 0.3, -0.2])
    assert went_on.arm_ids == at_once.arm_ids
    np.testing.assert_allclose(went_on.chances(pool, context), at_once.chances(pool, context), atol=1e-12)
    stranger = trainer(trainer.Params(), 1)
    with pytest.raises(Invalid) as error:
        stranger.continue_from(object())
    assert error.value.code == "cannot_continue"


@pytest.mark.parametrize("trainer", [LinUcb, LinTs])
def test_rounds_without_context_teach_a_linear_policy_nothing(trainer):
    rows = small_rows(50)
    bare = type(rows)(rows.arm_ids, rows.arm, rows.reward, rows.propensity, rows.slot, rows.cluster, rows.time)
    with pytest.raises(Invalid) as error:
        trainer(trainer.Params(), 1).fit(bare, silent)
    assert error.value.code == "bad_context"
    with pytest.raises(Invalid) as error:
        trainer(trainer.Params(), 1).begin(3, ("bias",))
    assert error.value.code == "bad_context"


def test_names_of_contexts_travel_with_the_policy():
    made = LinUcb(LinUcb.Params(), 1).fit(small_rows(50), silent)
    assert made.feature_names == ("bias", "first", "second")
    assert LinUcb.learner.restore(LinUcb.learner.resume(made.kept).state()).context_names == made.feature_names
    assert Ucb1(Ucb1.Params(), 1).fit(small_rows(50), silent).feature_names == ()
