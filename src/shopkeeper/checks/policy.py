"""Checks for every policy that explores. A shop's own passes them as the built-in ones do: `for check in CHECKS`.

Each check is given a trainer class and makes its own rounds: six arms drawn at random, of which one is by far the best.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import cache
from typing import Any, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.checks.artifacts import differing_in_threads, saved_and_loaded
from shopkeeper.checks.brief import brief_params
from shopkeeper.core.clock import DAY
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import silent
from shopkeeper.recommend.explore.policy import UNSEEN, Learner, Policy, PolicyTrainer
from shopkeeper.recommend.explore.rows import LearnedRows, PolicyRows

ARMS = tuple(f"I{k}" for k in range(6))
WORTH = (0.15, 0.25, 0.2, 0.8, 0.3, 0.1)
"""Chance of a reward of 1; `I3` is best for whoever asks."""

BEST, WORST = 3, 5
DIMENSION = 3
MANY = 10_000


def small_rows(n: int = 1200, seed: int = 5) -> PolicyRows:
    """n rounds; each draws one of all arms with equal chances."""
    random = np.random.default_rng(seed)
    arm = random.integers(0, len(ARMS), n).astype(np.int32)
    return PolicyRows(
        arm_ids=ARMS,
        arm=arm,
        reward=(random.random(n) < np.array(WORTH)[arm]).astype(np.float64),
        propensity=np.full(n, 1 / len(ARMS)),
        slot=np.zeros(n, dtype=np.int32),
        cluster=np.arange(n, dtype=np.int64),
        time=(20_000 * DAY + np.arange(n) * 1_000_000).astype(np.int64),
        context=_contexts(n, random),
        context_names=("bias", "first", "second"),
    )


def states_its_facts(trainer: type[PolicyTrainer]) -> None:
    """The class says what it is; every parameter has a default and help."""
    made = cast(Any, trainer)
    assert made.family == "policy"
    assert made.description
    assert made.model.name == made.name
    assert made.model.contextual == made.contextual
    made.Params()
    described = msgspec.json.schema(made.Params)["$defs"][made.Params.__name__]["properties"]
    assert all("default" in field and field.get("description") for field in described.values()), described


def gives_chances(trainer: type[PolicyTrainer]) -> None:
    """One for each arm of the pool, none below 0, together 1: of few and of many, known and unknown, or of one."""
    model, here = _fitted(trainer), _places(_fitted(trainer))
    for pool in ([0], [UNSEEN], [0, 1], [UNSEEN] * 4, here, [*here, UNSEEN, UNSEEN], [UNSEEN] * MANY):
        arms = np.array(pool, dtype=np.int32)
        for context in _contexts(3):
            _are_chances(model.chances(arms, context), len(pool))
            said = model.estimates(arms, context)
            assert said.shape == (len(pool),)
            assert np.isfinite(said).all()
    assert model.chances(np.empty(0, dtype=np.int32), _contexts(1)[0]).shape == (0,)


def gives_each_arm_its_own_chance(trainer: type[PolicyTrainer]) -> None:
    """Whatever the order in which the arms of a pool are named."""
    model = _fitted(trainer)
    arms, context = np.array([*_places(model), UNSEEN], dtype=np.int32), _contexts(1)[0]
    order = np.array([4, 0, 6, 2, 5, 1, 3])
    np.testing.assert_allclose(model.chances(arms[order], context), model.chances(arms, context)[order], atol=1e-9)


def treats_new_arms_alike(trainer: type[PolicyTrainer]) -> None:
    """Arms that nobody has seen have equal chances; who has learned nothing takes any arm of a pool alike."""
    context = _contexts(1)[0]
    for model in (_fitted(trainer), _begun(trainer).snapshot()):
        chances = model.chances(np.full(5, UNSEEN, dtype=np.int32), context)
        np.testing.assert_allclose(chances, 0.2, atol=1e-9)


def learns(trainer: type[PolicyTrainer]) -> None:
    """The best arm is expected to bring most, about as much as it does, and is chosen more than by chance."""
    model = _fitted(trainer)
    arms, here = np.array(_places(model), dtype=np.int32), [model.arm_ids[place] for place in _places(model)]
    best, worst = here.index(ARMS[BEST]), here.index(ARMS[WORST])
    for context in _contexts(5):
        said, chances = model.estimates(arms, context), model.chances(arms, context)
        assert said.argmax() == best, said
        assert abs(said[best] - WORTH[BEST]) < 0.15, said
        assert chances[best] == chances.max() > 1.2 / len(ARMS), chances
        assert chances[best] > chances[worst]


def learns_in_any_order(trainer: type[PolicyTrainer]) -> None:
    """Rounds whose arms, rewards and chances are the same come to the same, whichever was first."""
    rows = small_rows(200)
    one, other = _begun(trainer), _begun(trainer)
    for learner in (one, other):
        for arm in ARMS:
            learner.place(arm)
    for at in range(len(rows)):
        _learn(one, rows, at)
        _learn(other, rows, len(rows) - 1 - at)
    _same(one.snapshot(), other.snapshot(), atol=1e-9)


def keeps_places(trainer: type[PolicyTrainer]) -> None:
    """An arm stands where it was put first; ten thousand have ten thousand places, and all of them a chance or none."""
    learner = _begun(trainer)
    ids = [f"A{k}" for k in range(MANY)]
    places = [learner.place(arm) for arm in ids]
    assert len(set(places)) == MANY
    context = _contexts(1)[0]
    for place in places[::500]:
        learner.learn(place, 1.0, context, 0.5)
    assert [learner.place(arm) for arm in ids] == places
    model = learner.snapshot()
    assert [model.arm_ids[place] for place in places] == ids
    arms = np.array(places, dtype=np.int32)
    _are_chances(model.chances(arms, context), MANY)
    assert np.isfinite(model.estimates(arms, context)).all()


def forgets_arms(trainer: type[PolicyTrainer]) -> None:
    """An arm that was removed is named no more; a reward that comes for it afterwards teaches nothing, and who bears
    its id later begins as any new arm does."""
    learner, rows, context = _begun(trainer), small_rows(300), _contexts(1)[0]
    for at in range(len(rows)):
        _learn(learner, rows, at)
    gone = learner.place(ARMS[BEST])
    learner.forget(gone)
    before = learner.state()
    learner.learn(gone, 1.0, context, 0.5)
    assert learner.state() == before
    assert ARMS[BEST] not in learner.snapshot().arm_ids
    assert learner.place(ARMS[WORST]) != gone
    again = learner.place(ARMS[BEST])
    assert again != gone
    model = learner.snapshot()
    assert model.arm_ids[again] == ARMS[BEST]
    chances = model.chances(np.array([again, UNSEEN, gone], dtype=np.int32), context)
    np.testing.assert_allclose(chances, 1 / 3, atol=1e-9)


def goes_on_from_its_state(trainer: type[PolicyTrainer]) -> None:
    """What was restored is what was kept, and learns on just as it would have; other bytes are refused."""
    rows, learner = small_rows(400), _begun(trainer)
    for at in range(200):
        _learn(learner, rows, at)
    learner.forget(learner.place(ARMS[0]))
    state = learner.state()
    again = trainer.learner.restore(state)
    assert again.state() == state
    for at in range(200, 400):
        _learn(learner, rows, at)
        _learn(again, rows, at)
    _same(learner.snapshot(), again.snapshot(), atol=0.0)
    assert again.state() == learner.state()
    for broken in (b"", b"not a state", state[: len(state) // 2]):
        _refused("bad_state", trainer.learner.restore, broken)


def snapshots_stay_as_they_are(trainer: type[PolicyTrainer]) -> None:
    """What is learned later does not change a snapshot that was taken before."""
    rows, learner = small_rows(400), _begun(trainer)
    for at in range(200):
        _learn(learner, rows, at)
    model = learner.snapshot()
    arms, contexts = np.array([*_places(model), UNSEEN], dtype=np.int32), _contexts(4)
    before = [model.chances(arms, context) for context in contexts]
    for at in range(200, 400):
        _learn(learner, rows, at)
    learner.forget(0)
    learner.place("later")
    for context, chances in zip(contexts, before, strict=True):
        np.testing.assert_array_equal(model.chances(arms, context), chances)


def refuses_wrong_rounds(trainer: type[PolicyTrainer]) -> None:
    """No number, a reward out of range, no chance, an unknown place, a context that is none: and nothing is learned."""
    learner, context = _begun(trainer), _contexts(1)[0]
    arm = learner.place("I0")
    before = learner.state()
    rewards = (np.nan, np.inf, -np.inf) + ((-0.01, 1.01) if trainer.learner.bounded else ())
    for reward in rewards:
        _refused("bad_reward", learner.learn, arm, reward, context)
    for chance in (0.0, -0.1, 1.5, np.nan):
        _refused("bad_propensity", learner.learn, arm, 1.0, context, chance)
    for place in (-1, 1):
        _refused("unknown_arm", learner.learn, place, 1.0, context)
    if trainer.contextual:
        _refuses_contexts(learner, arm)
    assert learner.state() == before


def survives_a_single_round(trainer: type[PolicyTrainer]) -> None:
    """One round is enough to fit and to answer; without any it says so."""
    model = _fit(trainer, small_rows().take(slice(0, 1)))
    _are_chances(model.chances(np.array([0, UNSEEN], dtype=np.int32), _contexts(1)[0]), 2)
    _refused("no_rounds", _fit, trainer, small_rows().take(slice(0, 0)))


def loads_what_it_saved(trainer: type[PolicyTrainer]) -> None:
    """The same chances after save and load, from plain data files."""
    model = _fitted(trainer)
    again = cast(Policy, saved_and_loaded(model))
    assert again.feature_names == model.feature_names
    _same(model, again, atol=0.0)


def keeps_what_was_learned(trainer: type[PolicyTrainer]) -> None:
    """Of rounds that come with a learner's state it makes the policy of that state, not one of the rounds."""
    learner, context = _begun(trainer), _contexts(1)[0]
    for _ in range(20):
        learner.learn(learner.place("I1"), 1.0, context, 0.5)
    rows = small_rows()
    columns = {each.name: getattr(rows, each.name) for each in fields(rows)}
    kept = _fit(trainer, LearnedRows(**columns, policy=trainer.name, state=learner.state()))
    _same(learner.snapshot(), kept, atol=0.0)


def same_seed_same_model(trainer: type[PolicyTrainer]) -> None:
    """Two fits with one seed give the same chances."""
    _same(_fitted(trainer), _fit(trainer, small_rows()), atol=0.0)


def answers_many_threads(trainer: type[PolicyTrainer]) -> None:
    """Asked from several threads at the same time it says what it says to one."""
    model = _fitted(trainer)
    arms = np.array([*_places(model), UNSEEN], dtype=np.int32)
    assert not differing_in_threads(lambda context: model.chances(arms, context), list(_contexts(40)))


CHECKS: tuple[Callable[[type[PolicyTrainer]], None], ...] = (
    states_its_facts,
    gives_chances,
    gives_each_arm_its_own_chance,
    treats_new_arms_alike,
    learns,
    learns_in_any_order,
    keeps_places,
    forgets_arms,
    goes_on_from_its_state,
    snapshots_stay_as_they_are,
    refuses_wrong_rounds,
    survives_a_single_round,
    loads_what_it_saved,
    keeps_what_was_learned,
    same_seed_same_model,
    answers_many_threads,
)


def _fit(trainer: type[PolicyTrainer], rows: PolicyRows) -> Policy:
    return cast(Policy, cast(Any, trainer(brief_params(trainer), 11)).fit(rows, silent))


@cache
def _fitted(trainer: type[PolicyTrainer]) -> Policy:
    """Checks that only ask a policy share one: no check changes it."""
    return _fit(trainer, small_rows())


def _begun(trainer: type[PolicyTrainer]) -> Learner:
    return trainer(brief_params(trainer), 11).begin(DIMENSION)


def _contexts(n: int, random: np.random.Generator | None = None) -> NDArray[np.float64]:
    """(n, d), the first number 1."""
    drawn = (random or np.random.default_rng(3)).normal(0, 1, (n, DIMENSION))
    drawn[:, 0] = 1.0
    return drawn


def _places(model: Policy) -> list[int]:
    return [place for place, arm in enumerate(model.arm_ids) if arm]


def _learn(learner: Learner, rows: PolicyRows, at: int) -> None:
    assert rows.context is not None
    arm = learner.place(rows.arm_ids[rows.arm[at]])
    learner.learn(arm, float(rows.reward[at]), rows.context[at], float(rows.propensity[at]))


def _are_chances(chances: NDArray[np.float64], k: int) -> None:
    assert chances.shape == (k,)
    assert (chances >= 0).all()
    assert abs(chances.sum() - 1) < 1e-9, chances.sum()


def _same(one: Policy, other: Policy, *, atol: float) -> None:
    ids = [arm for arm in one.arm_ids if arm]
    assert ids == [arm for arm in other.arm_ids if arm]
    mine, theirs = (np.array([*_places(model), UNSEEN], dtype=np.int32) for model in (one, other))
    for context in _contexts(4):
        for said, again in ((one.chances, other.chances), (one.estimates, other.estimates)):
            np.testing.assert_allclose(said(mine, context), again(theirs, context), rtol=0, atol=atol)


def _refuses_contexts(learner: Learner, arm: int) -> None:
    """When it learns and when it serves."""
    model, arms = learner.snapshot(), np.array([arm], dtype=np.int32)
    for wrong in (None, np.ones(DIMENSION + 1), np.array([1.0, np.nan, 0.0]), np.array([1.0, np.inf, 0.0])):
        _refused("bad_context", learner.learn, arm, 1.0, wrong)
        _refused("bad_context", model.chances, arms, wrong)
        _refused("bad_context", model.estimates, arms, wrong)


def _refused(code: str, act: Callable[..., object], *given: Any) -> None:
    try:
        act(*given)
    except Invalid as error:
        said = error.code
    else:
        said = "nothing"
    assert said == code, f"expected Invalid ({code}), {said} was raised"
