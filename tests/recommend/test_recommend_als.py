"""Matrix factorisation: vectors are optima, and a user's is made anew from what was taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shopkeeper.checks.recall import small_data
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import ItemVectors, silent
from shopkeeper.recommend.recall.als import Als
from shopkeeper.recommend.recall.factors import Factors
from shopkeeper.recommend.recall.holdout import cases_at, measure
from shopkeeper.recommend.recall.popularity import count
from shopkeeper.recommend.recall.training import RecallData


def fitted(**params: object) -> Factors:
    return Als(Als.Params(dimensions=6, **params), 3).fit(small_data(), silent)


def loss(model: Factors, user: np.ndarray, items: np.ndarray, weights: np.ndarray) -> float:
    """The docstring's, of one user: the part that a user's vector can change."""
    said = model.vectors.astype(np.float64) @ user
    held = model.l2 * (float(weights.sum()) + model.alpha * len(said)) ** model.frequency
    return float((weights * (1 - said[items]) ** 2).sum() + model.alpha * (said**2).sum() + held * (user**2).sum())


@pytest.mark.parametrize("taken", [[0], [0, 3, 9], list(range(20))])
def test_a_users_vector_is_the_best_there_is(taken: list[int]) -> None:
    model = fitted()
    items, weights = np.array(taken, dtype=np.int32), np.linspace(1, 0.3, len(taken), dtype=np.float32)
    user = model.user_vector(items, weights).astype(np.float64)
    here = loss(model, user, items, weights)
    rng = np.random.default_rng(4)
    for _ in range(50):
        assert loss(model, user + rng.normal(0, 0.05, len(user)), items, weights) >= here


def test_each_turn_of_the_training_is_no_worse() -> None:
    """The whole loss after one, two, four and eight turns."""
    data = small_data()
    taken = data.orders.matrix(data.now, 60.0)
    totals = []
    for sweeps in (1, 2, 4, 8):
        model = fitted(sweeps=sweeps)
        place = {id: at for at, id in enumerate(model.item_ids)}
        column = np.array([place.get(id, -1) for id in data.orders.item_ids])
        total = 0.0
        for row in range(taken.shape[0]):
            of = taken.indices[taken.indptr[row] : taken.indptr[row + 1]]
            weights = taken.data[taken.indptr[row] : taken.indptr[row + 1]]
            items = column[of].astype(np.int32)
            total += loss(model, model.user_vector(items, weights).astype(np.float64), items, weights)
        bought = np.bincount(column[taken.indices], weights=taken.data, minlength=len(place))
        held = model.l2 * (bought + model.alpha * taken.shape[0]) ** model.frequency
        totals.append(total + float((held * (model.vectors.astype(np.float64) ** 2).sum(axis=1)).sum()))
    assert totals == sorted(totals, reverse=True)


def test_who_speaks_for_an_item_are_the_parts_of_its_score() -> None:
    model = fitted()
    items, weights = np.array([0, 1, 9], dtype=np.int32), np.array([1.0, 0.5, 0.9], dtype=np.float32)
    left = model._left(model.vectors[items], weights)
    parts = model.vectors @ np.linalg.solve(left, model.vectors[items].T) * weights
    np.testing.assert_allclose(parts.sum(axis=1), model.scores(items, weights), atol=1e-5)
    wanted = np.array([2, 10], dtype=np.int32)
    assert model.because(items, weights, wanted).tolist() == parts[wanted].argmax(axis=1).tolist()


def test_it_sees_more_coming_than_popularity() -> None:
    orders = small_data().orders
    cutoff = int(orders.time[len(orders) * 3 // 4])
    past = RecallData(orders.between(None, cutoff), cutoff)
    cases = cases_at(orders, cutoff, None, most=1000, seed=1)
    naive = measure(count(past.orders, cutoff, None), orders.item_ids, cases)
    ours = measure(Als(Als.Params(dimensions=8), 1).fit(past, silent), orders.item_ids, cases)
    assert ours["ndcg@10"] > 1.5 * naive["ndcg@10"]


def test_its_vectors_can_be_built_upon() -> None:
    model = fitted()
    assert isinstance(model, ItemVectors)
    assert model.item_vectors.shape == (len(model.item_ids), 6)


@pytest.mark.parametrize("damage", ["short", "nan"])
def test_an_artifact_that_does_not_fit_is_refused(tmp_path: Path, damage: str) -> None:
    model = fitted()
    vectors = model.vectors[:-1] if damage == "short" else np.where(model.vectors > 0, model.vectors, np.nan)
    Factors(model.item_ids, vectors.astype(np.float32), 0.1, 0.1, 1.0).save(tmp_path)
    with pytest.raises(Invalid, match="do not fit"):
        Factors.load(tmp_path)


def test_what_cannot_be_solved_is_told_and_no_model_comes_of_it() -> None:
    params = Als.Params(dimensions=64, l2=1e-30, alpha=1e-9, half_life_days=None)  # 24 items cannot tell 64 numbers
    with pytest.raises(Invalid, match="l2 is too small"):
        Als(params, 3).fit(small_data(), silent)
