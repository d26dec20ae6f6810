from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopkeeper.checks.recall import NOW, small_data, small_orders
from shopkeeper.core.clock import DAY
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import silent
from shopkeeper.recommend.candidates import Quota, fuse
from shopkeeper.recommend.channels import Again, Recalled, rows_in
from shopkeeper.recommend.history import History
from shopkeeper.recommend.orders import Orders, freshness
from shopkeeper.recommend.recall.ease import Ease
from shopkeeper.recommend.recall.holdout import cases_at, measure
from shopkeeper.recommend.recall.item_knn import ItemKnn
from shopkeeper.recommend.recall.model import best
from shopkeeper.recommend.recall.neighbours import Neighbours
from shopkeeper.recommend.recall.popularity import Popularity, count


def rows(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int32)


def history(*items: int) -> History:
    return History(rows(*items), np.zeros(len(items)), np.ones(len(items), dtype=np.int32))


def test_ease_is_the_ridge_regression_of_each_item_on_the_others() -> None:
    params = Ease.Params(l2=3.0, k=5000)
    model = Ease(params, 1).fit(small_data(), silent)
    bought = small_orders().matrix(NOW, params.half_life_days).toarray()[:, :24].astype(np.float64)
    for item in (0, 11):
        others = [i for i in range(24) if i != item]
        x, y = bought[:, others], bought[:, item]
        wanted = np.linalg.solve(x.T @ x + 3.0 * np.eye(23), x.T @ y)
        said = [float(model.scores(rows(other), np.ones(1, dtype=np.float32))[item]) for other in others]
        np.testing.assert_allclose(said, wanted, atol=1e-4)


def test_item_knn_is_the_shrunk_cosine() -> None:
    orders = Orders(rows(0, 0, 1, 1, 2), rows(0, 1, 0, 1, 0), np.arange(5), ("a", "b"))
    model = ItemKnn(ItemKnn.Params(shrink=1.0, half_life_days=3650), 1).fit(type(small_data())(orders, 5), silent)
    said = model.scores(rows(0), np.ones(1, dtype=np.float32))
    assert said.tolist() == pytest.approx([0.0, 2 / (np.sqrt(3 * 2) + 1)])


def test_popularity_counts_a_buyer_once_and_the_recent_more() -> None:
    times = np.array([0, 10, 10, 20]) * DAY
    orders = Orders(rows(0, 0, 1, 2), rows(0, 0, 0, 1), times, ("a", "b"))
    assert count(orders, 20 * DAY, None).popularity.tolist() == [2.0, 1.0]
    model = Popularity(Popularity.Params(half_life_days=10), 1).fit(type(small_data())(orders, 20 * DAY), silent)
    assert model.popularity.tolist() == pytest.approx([0.5 + 0.5, 1.0])


def test_neighbours_keep_the_largest_weights_with_their_sign() -> None:
    table = np.array([[0, 3, -4, 1], [0, 0, 0, 0], [5, 0, 0, 2], [1, 1, 1, 0]], dtype=np.float32)
    model = Neighbours.from_table(table, tuple("abcd"), 2, None)
    assert model.scores(rows(0), np.ones(1, dtype=np.float32)).tolist() == [0, 3, -4, 0]
    assert model.scores(rows(1), np.ones(1, dtype=np.float32)).tolist() == [0, 0, 0, 0]
    assert model.because(rows(0, 2), np.ones(2, dtype=np.float32), rows(1, 0, 2)).tolist() == [0, 1, -1]


def test_an_artifact_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    model = Neighbours.from_table(np.ones((3, 3), dtype=np.float32), tuple("abc"), 2, None)
    model.save(tmp_path)
    np.savez(tmp_path / "neighbours.npz", start=model.start, other=model.other + 7, weight=model.weight)
    with pytest.raises(Invalid, match="does not fit"):
        Neighbours.load(tmp_path)


def test_a_model_of_another_shop_serves_the_items_that_both_know() -> None:
    model = Neighbours.from_table(np.array([[0, 2], [1, 0]], dtype=np.float32), ("x", "y"), 2, None)
    channel = Recalled(model, rows_in(model.item_ids, ["q", "y", "x"]))
    assert channel.scores(history(2), 0, 3).tolist() == [0, 2, 0]
    assert channel.scores(history(0, 99), 0, 3).tolist() == [0, 0, 0]
    assert channel.because(history(0, 2), rows(1, 0, 77)).tolist() == [1, -1, -1]
    nothing = Recalled(model, rows_in(model.item_ids, ["q"]))
    assert nothing.scores(history(0), 0, 1).tolist() == [0]
    assert nothing.because(history(0), rows(0)).tolist() == [-1]


def test_again_counts_lines_and_forgets() -> None:
    past = History(rows(4, 1), np.array([0.0, 120.0]), rows(2, 6))
    assert Again().scores(past, 0, 6).tolist() == pytest.approx([0, 3, 0, 0, 2, 0])


def test_neighbour_models_find_the_group_and_beat_popularity() -> None:
    orders = small_orders()
    cutoff = NOW - 20 * DAY
    past = type(small_data())(orders.between(None, cutoff), cutoff)
    cases = cases_at(orders, cutoff, None, most=1000, seed=1)
    assert len(cases) == 60
    naive = measure(count(past.orders, cutoff, None), orders.item_ids, cases)
    for trainer in (Ease(Ease.Params(l2=5), 1), ItemKnn(ItemKnn.Params(), 1)):
        ours = measure(trainer.fit(past, silent), orders.item_ids, cases)
        assert ours["ndcg@10"] > 1.5 * naive["ndcg@10"]
        assert all(0 <= value <= 1 for value in ours.values())


def test_cases_split_at_the_cutoff() -> None:
    orders = Orders(rows(0, 0, 0, 1), rows(1, 2, 3, 1), np.array([1, 2, 5, 6]) * DAY, tuple("abcd"))
    (case,) = cases_at(orders, 3 * DAY, 6 * DAY, most=9, seed=1)
    assert case.items.tolist() == [2, 1]
    assert case.age_days.tolist() == [1, 2]
    assert case.taken.tolist() == [3]
    assert case.new.tolist() == [3]


@given(st.lists(st.floats(-1, 3, width=32), max_size=30), st.integers(0, 40))
def test_best_is_the_head_of_the_sorted_positive_scores(values: list[float], n: int) -> None:
    scores = np.array(values, dtype=np.float32)
    order = [i for i in np.argsort(-scores, kind="stable") if scores[i] > 0]
    assert best(scores, n).tolist() == order[:n]


@given(st.lists(st.integers(0, 9), min_size=10, max_size=10), st.lists(st.booleans(), min_size=10, max_size=10))
def test_fusing_keeps_quotas_and_shows_only_what_is_allowed(values: list[int], allowed: list[bool]) -> None:
    scores = {"ease": np.array(values, dtype=np.float32), "trending": np.arange(10, dtype=np.float32)}
    mask = np.array(allowed)
    found = fuse(scores, (Quota("ease", 3), Quota("trending", 2), Quota("again", 5)), mask, 4)
    assert len(found) == len(set(found.items.tolist())) <= 4
    assert mask[found.items].all()
    assert (np.diff(found.fused) <= 1e-9).all()
    assert found.channels == ("ease", "trending")
    assert found.counts()["ease"] <= 3
    assert ((found.strength >= 0) & (found.strength <= 1)).all()
    assert all(found.channels_of(place) for place in range(len(found)))


def test_freshness_halves() -> None:
    assert freshness(np.array([0.0, 10.0, 20.0, -5.0]), 10.0).tolist() == [1.0, 0.5, 0.25, 1.0]
    assert freshness(np.array([3.0]), None).tolist() == [1.0]


def test_pairs_keep_the_last_purchase() -> None:
    orders = Orders(rows(0, 1, 0), rows(1, 1, 1), np.array([1, 2, 3]), ("a", "b"))
    assert orders.pairs().time.tolist() == [2, 3]
    assert orders.between(2, 3).time.tolist() == [2]
