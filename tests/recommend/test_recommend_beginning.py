"""What counts for whoever has taken little yet, and how that is learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shopkeeper.checks.recall import NOW, small_data
from shopkeeper.core.clock import DAY
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import silent
from shopkeeper.recommend.channels import Recalled
from shopkeeper.recommend.history import History, given_items
from shopkeeper.recommend.orders import Orders
from shopkeeper.recommend.recall.als import Als
from shopkeeper.recommend.recall.beginning import AFTER, NO_MORE, Beginning
from shopkeeper.recommend.recall.ease import Ease, LinearModel
from shopkeeper.recommend.recall.factors import Factors
from shopkeeper.recommend.recall.training import RecallData

HITS, GROUPS, SIZE = 12, 4, 30
N = HITS + GROUPS * SIZE


def hits_first(users: int = 200, seed: int = 3) -> RecallData:
    """Everybody begins with eight of twelve hits, then takes twelve things of one of four groups of thirty."""
    random = np.random.default_rng(seed)
    taken = []
    for user in range(users):
        group = HITS + user % GROUPS * SIZE
        taken.append(np.concatenate([random.permutation(HITS)[:8], group + random.permutation(SIZE)[:12]]))
    time = NOW - np.arange(20, 0, -1) * DAY
    order = np.argsort(np.tile(time, users), kind="stable")
    orders = Orders(
        np.repeat(np.arange(users), 20)[order].astype(np.int32),
        np.concatenate(taken)[order].astype(np.int32),
        np.tile(time, users)[order],
        tuple(f"I{k}" for k in range(N)),
    )
    return RecallData(orders, NOW)


def fitted(algorithm: Any, data: RecallData) -> Any:
    settings = {"l2": 20.0} if algorithm is Ease else {"dimensions": 8, "sweeps": 4}
    return algorithm(algorithm.Params(half_life_days=3650, **settings), 1).fit(data, silent)


def rows(*items: int) -> np.ndarray:
    return np.array(items, dtype=np.int32)


def ones(n: int) -> np.ndarray:
    return np.ones(n, dtype=np.float32)


@pytest.mark.parametrize("algorithm", [Ease, Als])
def test_where_everybody_begins_alike_popularity_counts_until_a_taste_shows(algorithm: Any) -> None:
    model = fitted(algorithm, hits_first())
    beginning = model.beginning
    assert beginning is not None
    assert beginning.weights[0] > 0
    assert beginning.weights[2] == 0
    one = rows(model.item_ids.index("I0"))
    usual = [model.item_ids.index(f"I{k}") for k in range(HITS)]
    assert beginning.usual[usual].min() > np.delete(beginning.usual, usual).max()
    more = model.scores(one, ones(1)) - model.plain(one, ones(1))
    np.testing.assert_allclose(more, beginning.weights[0] * beginning.usual, atol=1e-6)


def test_where_the_first_item_tells_the_taste_nothing_is_added() -> None:
    assert fitted(Ease, small_data()).beginning is None  # 60 users, too: too few to be sure
    random = np.random.default_rng(2)
    data = hits_first(400)
    data.orders.item[:] = data.orders.user % GROUPS * SIZE + random.integers(0, SIZE, len(data.orders))
    assert fitted(Ease, data).beginning is None


def test_each_user_is_asked_as_if_the_model_had_not_learned_from_them() -> None:
    from shopkeeper.recommend.recall.ease import _inverse, _without

    data = small_data()
    bought = data.orders.matrix(NOW, 60.0)[:, :24].tocsr()
    model = Ease(Ease.Params(l2=5.0, k=5000), 1).fit(data, silent)
    inverse = _inverse(np.asarray((bought.T @ bought).todense(), dtype=np.float64), 5.0)
    for user in (0, 17):
        rest = data.orders.user != user
        orders = Orders(data.orders.user[rest], data.orders.item[rest], data.orders.time[rest], data.orders.item_ids)
        other = Ease(Ease.Params(l2=5.0, k=5000), 1).fit(RecallData(orders, NOW), silent)
        items = rows(3, 9)
        found = _without(bought, inverse, model)(user, items)
        np.testing.assert_allclose(found, other.plain(items, ones(2)), atol=1e-5)


def test_the_weight_fades_with_what_was_taken() -> None:
    beginning = Beginning(ones(3), np.array([2.0, 1.0, 0.5]))
    assert [beginning.weight(taken) for taken in AFTER] == pytest.approx([2.0, 1.0, 0.5])
    between = [beginning.weight(taken) for taken in range(1, NO_MORE)]
    assert between == sorted(between, reverse=True)
    assert beginning.weight(0) == beginning.weight(NO_MORE) == beginning.weight(500) == 0.0
    scores = np.zeros(3, dtype=np.float32)
    assert beginning.added(scores, 0) is scores
    assert beginning.added(scores, 3).tolist() == [1, 1, 1]


@pytest.mark.parametrize(("algorithm", "kind"), [(Ease, LinearModel), (Als, Factors)])
def test_it_is_part_of_the_artifact(algorithm: Any, kind: Any, tmp_path: Path) -> None:
    model = fitted(algorithm, hits_first())
    model.save(tmp_path)
    again = kind.load(tmp_path)
    np.testing.assert_array_equal(again.scores(rows(0, 50), ones(2)), model.scores(rows(0, 50), ones(2)))
    Beginning(ones(7), np.ones(3)).save(tmp_path)
    with pytest.raises(Invalid, match="does not fit the items"):
        kind.load(tmp_path)
    (tmp_path / "beginning.npz").unlink()
    old = kind.load(tmp_path)
    np.testing.assert_array_equal(old.scores(rows(0), ones(1)), model.plain(rows(0), ones(1)))


def test_a_page_or_a_basket_is_no_beginner() -> None:
    model = fitted(Ease, hits_first())
    channel = Recalled(model, np.arange(N, dtype=np.int32))
    item = rows(HITS + 1)
    user = History(item, np.zeros(1), np.ones(1, dtype=np.int32))
    np.testing.assert_array_equal(channel.scores(user, 0, N), model.scores(item, ones(1)))
    np.testing.assert_array_equal(channel.scores(given_items(item), 0, N), model.plain(item, ones(1)))
    assert not np.array_equal(channel.scores(user, 0, N), channel.scores(given_items(item), 0, N))
