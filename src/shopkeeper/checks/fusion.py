"""Checks for every algorithm of the family `fusion`. A shop's own passes them as the built-in one does.

Each check is given a trainer class. The customers are made here: who orders is decided by one number of their activity,
by a group of items, and by a rule.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import cast

import msgspec
import numpy as np

from shopkeeper.checks.artifacts import differing_in_threads, saved_and_loaded
from shopkeeper.core.errors import Cancelled
from shopkeeper.core.protocols import Trainer, silent
from shopkeeper.profiles.fusion.activity import ACTIVITY
from shopkeeper.profiles.fusion.blocks import Block
from shopkeeper.profiles.fusion.inputs import Facts, Interest, frame_of, summary_of
from shopkeeper.profiles.fusion.model import FusionInputs, FusionModel, sigmoid
from shopkeeper.profiles.fusion.rows import FusionRows
from shopkeeper.profiles.fusion.vectors import Takings
from shopkeeper.quality.classification import auc, brier
from shopkeeper.stores.vocabulary import Vocabulary

WEIGHTS = np.array([1.0, 0.5, -0.7])
_ITEMS = 24
_BLOCK = 250


def small_rows(seed: int = 5) -> FusionRows:
    """Three months of 250 customers, one later month, and who ordered what before."""
    random = np.random.default_rng(seed)
    blocks = [small_block(at, random) for at in range(4)]
    user = random.integers(0, 200, 3000)
    item = (random.integers(0, _ITEMS // 2, 3000) * 2 + user % 2) % _ITEMS  # even users take even items
    takings = Takings(user.astype(np.int32), item.astype(np.int32))
    return FusionRows(blocks[:3], blocks[3], Vocabulary(f"I{at}" for at in range(_ITEMS)), takings)


def small_block(at: int, random: np.random.Generator, rules: int = len(WEIGHTS)) -> Block:
    """Customers of month `at`. A tenth has no event. Their facts have the same width for any number of rules."""
    weights = np.resize(WEIGHTS, rules)
    matched = random.random((_BLOCK, rules)) < 0.3
    said = [summary_of(weights, row) for row in matched]
    activity = random.normal(size=(_BLOCK, len(ACTIVITY)))
    strangers = random.random(_BLOCK) < 0.1
    activity[strangers] = 0.0
    kind = random.integers(0, 2, _BLOCK)
    place = np.repeat(np.flatnonzero(~strangers), 6)
    item = (random.integers(0, _ITEMS // 2, len(place)) * 2 + kind[place]).astype(np.int32)
    score = np.concatenate([total for total, _ in said])
    logits = 1.2 * score + 1.5 * activity[:, 0] + np.where(strangers, 0.0, 2.0 * kind - 1.0) - 0.8
    ordered = (random.random(_BLOCK) < sigmoid(logits)).astype(np.float64)
    spend = ordered * np.exp(3.0 + 0.5 * activity[:, 1] + 0.3 * random.normal(size=_BLOCK))
    interest = Interest(_BLOCK, place, item, np.ones(len(place)), random.uniform(0, 90, len(place)))
    facts = Facts(score, np.concatenate([summary for _, summary in said]), activity, interest)
    rates = {f"r{rule}": int(matched[:, rule].sum()) for rule in range(rules)}
    return Block(at, np.arange(_BLOCK), facts, ordered, spend, rates)


def states_its_facts(trainer: type[Trainer]) -> None:
    """The class says what it is; each parameter has a default and help."""
    assert trainer.family == "fusion"
    assert trainer.description
    trainer.Params()
    fields = msgspec.json.schema(trainer.Params)["$defs"][trainer.Params.__name__]["properties"]
    assert all("default" in field and field.get("description") for field in fields.values()), fields


def learns(trainer: type[Trainer]) -> None:
    """On a month that it never saw it is better than the rules alone, and its chances are nearer to what happened."""
    model = fitted(trainer)
    later, inputs = _later(model)
    said = model.fuse(inputs).probability
    assert auc(later.ordered, said) > auc(later.ordered, later.facts.score) + 0.03
    assert brier(later.ordered, said) < brier(later.ordered, np.full(len(later), later.ordered.mean()))


def answers_are_whole(trainer: type[Trainer]) -> None:
    """One finite number for each customer and each output, also for one customer and for none; no pair is mixed."""
    model = fitted(trainer)
    _, inputs = _later(model)
    for n in (0, 1, 50):
        fused = model.fuse(inputs.take(slice(0, n)))
        for name, values in vars(fused).items():
            assert values.shape == (n,), name
            assert np.isfinite(values).all(), name
        assert ((fused.probability >= 0) & (fused.probability <= 1)).all()
        assert (fused.spend >= 0).all()
    whole = model.fuse(inputs.take(slice(0, 50)))
    alone = [model.fuse(inputs.take(slice(at, at + 1))).score[0] for at in range(50)]
    np.testing.assert_allclose(whole.score, alone, rtol=1e-9)


def keeps_its_form(trainer: type[Trainer]) -> None:
    """score = gate x f_rule + (1 - gate) x f_nn; f_rule is affine in the score, f_nn in embedding and activity."""
    model = fitted(trainer)
    _, inputs = _later(model)
    fused = model.fuse(inputs)
    np.testing.assert_allclose(fused.score, fused.gate * fused.f_rule + (1 - fused.gate) * fused.f_nn, rtol=1e-12)
    np.testing.assert_allclose(fused.f_rule, model.alpha * inputs.score + model.beta, rtol=1e-12)
    affine = inputs.embedding @ model.w_embedding + inputs.activity @ model.w_activity + model.bias
    np.testing.assert_allclose(fused.f_nn, affine, rtol=1e-5, atol=1e-6)
    assert model.alpha > 0, "a rule with a positive weight must raise the score"


def strangers_get_the_rules(trainer: type[Trainer]) -> None:
    """Who was never seen has gate 1, exactly; everybody else one between 0 and 1."""
    model = fitted(trainer)
    _, inputs = _later(model)
    fused = model.fuse(inputs)
    unseen = inputs.seen == 0
    assert unseen.any()
    assert (fused.gate[unseen] == 1.0).all()
    assert (fused.score[unseen] == fused.f_rule[unseen]).all()
    assert ((fused.gate[~unseen] >= 0) & (fused.gate[~unseen] <= 1)).all()


def takes_any_number_of_rules(trainer: type[Trainer]) -> None:
    """A version that was trained with three rules answers for none and for forty."""
    model = fitted(trainer)
    frame = frame_of(model, small_rows().items)
    for rules in (0, 1, 40):
        inputs = small_block(9, np.random.default_rng(3), rules).facts.inputs(frame)
        assert np.isfinite(model.fuse(inputs).score).all()


def publishes_its_vectors(trainer: type[Trainer]) -> None:
    """One vector for each item that it knows."""
    model = fitted(trainer)
    assert model.item_vectors.shape == (len(model.item_ids), model.dims)
    assert len(set(model.item_ids)) == len(model.item_ids) > 0
    assert model.baseline.embedding.shape == (1, model.dims)


def loads_what_it_saved(trainer: type[Trainer]) -> None:
    """The same answers after save and load, from plain data files."""
    model = fitted(trainer)
    _same(model, cast(FusionModel, saved_and_loaded(model)))


def same_seed_same_model(trainer: type[Trainer]) -> None:
    """Two fits with one seed give the same answers."""
    _same(fitted(trainer), _fit(trainer))


def stops_when_asked(trainer: type[Trainer]) -> None:
    """What the report raises ends the training, in the middle of it."""
    told: list[int] = []

    def report(step: int, of: int, metrics: object = None, *, message: str = "", epoch: bool = False) -> None:
        del of, metrics, message
        if epoch:
            told.append(step)
        if len(told) == 2:
            raise Cancelled("enough")

    try:
        trainer(trainer.Params(), 11).fit(small_rows(), report)
    except Cancelled:
        return
    raise AssertionError(f"it went on after {len(told)} epochs")


def answers_many_threads(trainer: type[Trainer]) -> None:
    """Scoring at the same time from several threads gives what one thread gives."""
    model = fitted(trainer)
    _, inputs = _later(model)
    parts = [inputs.take(slice(at * 15, at * 15 + 15)) for at in range(16)]
    assert not differing_in_threads(lambda part: model.fuse(part).score, parts)


CHECKS: tuple[Callable[[type[Trainer]], None], ...] = (
    states_its_facts,
    learns,
    answers_are_whole,
    keeps_its_form,
    strangers_get_the_rules,
    takes_any_number_of_rules,
    publishes_its_vectors,
    loads_what_it_saved,
    same_seed_same_model,
    stops_when_asked,
    answers_many_threads,
)


def _fit(trainer: type[Trainer]) -> FusionModel:
    return cast(FusionModel, trainer(trainer.Params(), 11).fit(small_rows(), silent))


fitted = cache(_fit)
"""Checks that only ask a model share one: no check changes it."""


def _later(model: FusionModel) -> tuple[Block, FusionInputs]:
    """A month after all others, as the model wants it."""
    block = small_block(7, np.random.default_rng(17))
    return block, block.facts.inputs(frame_of(model, small_rows().items))


def _same(one: FusionModel, other: FusionModel) -> None:
    assert one.feature_names == other.feature_names
    assert one.item_ids == other.item_ids
    _, inputs = _later(one)
    for name, values in vars(one.fuse(inputs)).items():
        np.testing.assert_array_equal(values, vars(other.fuse(inputs))[name], name)
