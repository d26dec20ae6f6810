"""Each level of the ladder on generated models and users: exact, fair, and in no order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fused_players import players_of
from hypothesis import given, settings
from hypothesis import strategies as st

from shopkeeper.core.errors import Unavailable
from shopkeeper.explain.contributions import Contributions
from shopkeeper.explain.shapley import coalitions, shapley
from shopkeeper.profiles.families import term_of
from shopkeeper.profiles.fusion.model import FusionInputs
from shopkeeper.profiles.game import MOST_PLAYERS, Game
from shopkeeper.profiles.ladder import Level, frozen, rule_values, shared_out
from shopkeeper.profiles.players import Players

seeds = st.integers(0, 10_000)
sizes = st.tuples(seeds, st.integers(0, 12), st.integers(0, 20), st.integers(1, 12))
FEW = ("log orders in 30 days", "order 7 days fresh", "log spend")


def at_level(players: Players, level: Level) -> Contributions:
    return shared_out(players, level, players.model.fuse(players.own))[0]


def sized(size: tuple[int, int, int, int]) -> Players:
    seed, rules, items, categories = size
    return players_of(seed, rules=rules, items=items, categories=categories)


@settings(max_examples=60, deadline=None)
@given(sizes, st.sampled_from(["two", "groups", "inputs"]))
def test_base_and_values_add_up_to_the_score(size: tuple[int, int, int, int], level: Level) -> None:
    players = sized(size)
    found = at_level(players, level)
    assert found.total == pytest.approx(players.model.fuse(players.own).score[0], abs=1e-9)
    assert len(set(found.names)) == len(found.names)


@settings(max_examples=40, deadline=None)
@given(sizes)
def test_groups_part_all_inputs_and_are_at_most_twelve(size: tuple[int, int, int, int]) -> None:
    players = sized(size)
    game = Game.of(players)
    assert len(game.names) <= MOST_PLAYERS
    everybody, nobody = np.ones((1, len(game.names)), dtype=bool), np.zeros((1, len(game.names)), dtype=bool)
    assert game.worth(everybody)[0] == pytest.approx(players.model.fuse(players.own).score[0], abs=1e-9)
    assert game.worth(nobody)[0] == pytest.approx(players.model.fuse(players.base).score[0], abs=1e-9)
    assert len(game.item_group) == max(len(players.basket.names), 1)
    assert set(game.item_group) == set(range(game.n_items))
    assert len(game.term) == len(players.fields)
    np.testing.assert_allclose(players.item_parts().sum(axis=0), players.own.embedding[0], atol=1e-12)
    assert players.item_shares().sum() == pytest.approx(1.0)


@settings(max_examples=30, deadline=None)
@given(sizes)
def test_a_coalition_is_worth_what_the_model_says(size: tuple[int, int, int, int]) -> None:
    game = Game.of(sized(size))
    members = coalitions(len(game.names))
    np.testing.assert_allclose(game.worth(members), game.asked(members), atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(sizes)
def test_two_players_are_the_groups_merged(size: tuple[int, int, int, int]) -> None:
    """By the formula of two players, from the model itself."""
    players = sized(size)
    own, base = players.own, players.base
    sides = {
        (a, b): FusionInputs(
            (own if a else base).score, (own if a else base).rules, (own if b else base).embedding,
            (own if b else base).activity, (own if b else base).seen,
        )
        for a in (0, 1) for b in (0, 1)
    }  # fmt: skip
    v = {key: float(players.model.fuse(inputs).score[0]) for key, inputs in sides.items()}
    rules = (v[1, 0] - v[0, 0] + v[1, 1] - v[0, 1]) / 2
    neural = (v[0, 1] - v[0, 0] + v[1, 1] - v[1, 0]) / 2
    found = at_level(players, "two")
    assert found.names == ("rules", "neural")
    np.testing.assert_allclose(found.values, [rules, neural], atol=1e-9)
    assert found.base_value == pytest.approx(v[0, 0], abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(0, 3), st.integers(0, 4))
def test_all_inputs_have_exact_shapley_values_while_the_gate_is_held(seed: int, rules: int, items: int) -> None:
    players = players_of(seed, rules=rules, items=items, names=FEW)
    model, side = players.model, players.rules
    gate = float(model.fuse(players.own).gate[0])
    own, base = players.own, players.base
    parts, shares = players.item_parts(), players.item_shares()
    widths = [len(side.names), len(parts), len(FEW)]

    def worth(members: np.ndarray) -> np.ndarray:
        ruled, bought, active = np.split(members.astype(float), np.cumsum(widths)[:2], axis=1)
        score = side.average + ruled @ (side.weight * side.matched - side.weight * side.rate)
        embedding = bought @ parts + (1 - bought @ shares)[:, None] * base.embedding
        activity = np.where(active > 0, own.activity, base.activity)
        f_nn = embedding @ model.w_embedding + activity @ model.w_activity + model.bias
        return gate * (model.alpha * score + model.beta) + (1 - gate) * f_nn

    start, values = shapley(worth, sum(widths))
    found = frozen(players, gate)
    assert found.base_value == pytest.approx(start, abs=1e-9)
    np.testing.assert_allclose(found.values, values, atol=1e-9)
    named = found.by_name()
    for name, value in rule_values(players, gate).items():
        assert named[f"rule:{name}"] == value


@settings(max_examples=25, deadline=None)
@given(sizes, seeds)
def test_the_order_of_rules_and_items_changes_nothing(size: tuple[int, int, int, int], shuffle: int) -> None:
    players = sized(size)
    random = np.random.default_rng(shuffle)
    side, basket = players.rules, players.basket
    a, b = random.permutation(len(side.names)), random.permutation(len(basket.names))
    mixed = replace(
        players,
        rules=replace(
            side,
            names=tuple(side.names[at] for at in a),
            family=side.family[a],
            weight=side.weight[a],
            matched=side.matched[a],
            rate=side.rate[a],
        ),
        basket=replace(
            basket,
            names=tuple(basket.names[at] for at in b),
            category=tuple(basket.category[at] for at in b),
            weight=basket.weight[b],
            vectors=basket.vectors[b],
        ),
    )
    for level in ("two", "groups", "inputs"):
        found, again = at_level(players, level), at_level(mixed, level)
        assert again.by_name() == pytest.approx(found.by_name(), abs=1e-9)
        assert again.base_value == pytest.approx(found.base_value, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(sizes, st.sampled_from(["short term", "long term", "rhythm"]))
def test_what_is_as_on_average_adds_nothing(size: tuple[int, int, int, int], term: str) -> None:
    players = sized(size)
    activity = players.own.activity.copy()
    same = [at for at, field in enumerate(players.fields) if term_of(field) == term]
    activity[0, same] = players.base.activity[0, same]
    players = replace(players, own=replace(players.own, activity=activity))
    assert at_level(players, "groups").by_name()[f"activity:{term}"] == pytest.approx(0.0, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_two_that_are_the_same_get_the_same(seed: int) -> None:
    players = players_of(seed, items=2, categories=2)
    basket = players.basket
    twins = replace(
        basket, category=("left", "right"), weight=np.full(2, np.sqrt(0.5)), vectors=np.repeat(basket.vectors[:1], 2, 0)
    )
    embedding = (twins.weight @ twins.vectors)[None, :].astype(np.float32)
    players = replace(players, basket=twins, own=replace(players.own, embedding=embedding))
    for level, names in (("groups", ("bought:left", "bought:right")), ("inputs", ("item:i0", "item:i1"))):
        found = at_level(players, level).by_name()
        assert found[names[0]] == pytest.approx(found[names[1]], abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_of_somebody_unseen_only_rules_speak_when_the_gate_is_held(seed: int) -> None:
    players = players_of(seed, items=0)
    found = at_level(players, "inputs").by_name()
    assert {name for name, value in found.items() if value} <= {f"rule:{name}" for name in players.rules.names}
    assert "no items" in found


def test_the_heaviest_categories_have_groups_of_their_own() -> None:
    players = players_of(3, items=40, categories=9)
    game = Game.of(players)
    weight: dict[str | None, float] = {}
    for kind, share in zip(players.basket.category, players.item_shares(), strict=True):
        weight[kind] = weight.get(kind, 0.0) + share
    ranked = sorted((kind for kind in weight if kind), key=lambda kind: -weight[kind])
    bought = [name.removeprefix("bought:") for name in game.names if name.startswith("bought:")]
    assert bought == ranked[: len(bought)]
    assert len(bought) == 3
    assert "other items" in game.names


def test_without_rules_the_rules_add_nothing() -> None:
    found = at_level(players_of(1, rules=0), "two").by_name()
    assert found["rules"] == 0.0


def test_the_baseline_is_the_mean_of_the_training_while_the_rules_are_those_of_the_training() -> None:
    players = players_of(4)
    model = players.model
    trained = replace(model, baseline=replace(model.baseline, score=np.array([players.rules.average])))
    players = replace(players, model=trained)
    assert at_level(players, "groups").base_value == pytest.approx(trained.fuse(trained.baseline).score[0], abs=1e-9)


def test_the_audit_by_shap_agrees() -> None:
    pytest.importorskip("shap")
    players = players_of(5)
    fused = players.model.fuse(players.own)
    found, checked = shared_out(players, "audit", fused)
    assert checked is not None
    assert checked.largest_difference < 1e-9
    assert checked.shap_values.keys() == found.by_name().keys()
    assert checked.base_value == pytest.approx(found.base_value, abs=1e-9)
    shown = found.to_shap()
    assert shown.base_values + shown.values.sum() == pytest.approx(fused.score[0], abs=1e-9)
    assert list(shown.feature_names) == list(found.names)


def test_without_shap_an_audit_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "shap", None)
    players = players_of(5)
    with pytest.raises(Unavailable, match=r"shopkeeper\[shap\]"):
        shared_out(players, "audit", players.model.fuse(players.own))
