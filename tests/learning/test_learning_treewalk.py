"""Trees compiled for slates give what the library gives, for each of its ways."""

import numpy as np
import pytest

from shopkeeper.core.errors import Invalid
from shopkeeper.learning import treewalk
from shopkeeper.learning.trees import Trees, trees_of_lightgbm, trees_of_xgboost
from shopkeeper.learning.treewalk import TreeWalk, near_thresholds

FEATURES = 6


@pytest.fixture(scope="module")
def table() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    rows = random.normal(size=(800, FEATURES)).astype(np.float32).round(1)
    label = (rows[:, 0] * rows[:, 1] + rows[:, 2] > 0.3).astype(np.float32)
    return rows, label


@pytest.fixture(scope="module", params=["xgboost", "lightgbm"])
def grown(request, table):
    """(the trees as columns, the library's own answer)."""
    rows, label = table
    if request.param == "xgboost":
        xgboost = pytest.importorskip("xgboost")
        booster = xgboost.train(
            {"objective": "binary:logistic", "max_depth": 4, "nthread": 1}, xgboost.DMatrix(rows, label), 12
        )
        return trees_of_xgboost(booster), booster.inplace_predict
    lightgbm = pytest.importorskip("lightgbm")
    params = {"objective": "binary", "num_leaves": 12, "verbose": -1, "num_threads": 1}
    booster = lightgbm.train(params, lightgbm.Dataset(rows, label), 12)
    return trees_of_lightgbm(booster), booster.predict


def test_it_gives_what_the_library_gives(grown, table) -> None:
    trees, library = grown
    rows, walk = table[0], TreeWalk(trees)
    for some in (rows, rows[:1], near_thresholds(trees, FEATURES)):
        assert np.allclose(walk.score(some), library(some), atol=1e-6)


def test_columns_that_are_the_same_in_all_rows_are_decided_once_and_alike(grown, table) -> None:
    trees, library = grown
    walk = TreeWalk(trees)
    for same in ([0], [1, 2], [0, 2, 5], list(range(FEATURES))):
        rows = table[0][:50].copy()
        rows[:, same] = rows[7, same]
        assert np.allclose(walk.score(rows), library(rows), atol=1e-6)


def test_the_compiled_walk_is_the_one_that_is_written(grown, table) -> None:
    walk = TreeWalk(grown[0])
    rows = table[0][:20].copy()
    rows[:, 1] = 0.5
    assert np.array_equal(_as_written(walk, rows), walk.score(rows))


def test_a_missing_number_is_left_to_another_form(grown, table) -> None:
    walk = TreeWalk(grown[0])
    for place in ((0, 0), (7, 3)):
        rows = table[0][:9].copy()
        rows[place] = np.nan
        assert walk.score(rows) is None
        assert len(_as_written(walk, rows)) == 0


def test_columns_that_lie_side_by_side_are_rows_too(grown, table) -> None:
    walk = TreeWalk(grown[0])
    assert np.array_equal(walk.score(np.asfortranarray(table[0])), walk.score(table[0]))
    assert len(walk.score(table[0][:0])) == 0


@pytest.mark.parametrize("depth", [5, 6, 7, 9])
def test_trees_of_many_leaves_are_walked_in_parts(depth) -> None:
    xgboost = pytest.importorskip("xgboost")
    random = np.random.default_rng(depth)
    rows = random.normal(size=(4000, FEATURES)).astype(np.float32).round(2)
    label = (np.sin(9 * rows).sum(axis=1) > 0).astype(np.float32)
    params = {"objective": "binary:logistic", "max_depth": depth, "min_child_weight": 0, "nthread": 1}
    booster = xgboost.train(params, xgboost.DMatrix(rows, label), 4)
    trees = trees_of_xgboost(booster)
    assert depth < 7 or max(np.bincount(trees.tree[trees.leaf])) > 64
    walk = TreeWalk(trees)
    for some in (rows[:500], near_thresholds(trees, FEATURES)):
        assert np.allclose(walk.score(some), booster.inplace_predict(some), atol=1e-6)
    some[:, :3] = some[0, :3]
    assert np.allclose(walk.score(some), booster.inplace_predict(some), atol=1e-6)


def test_a_tree_that_is_a_long_chain_is_refused() -> None:
    n, none = 70, np.zeros(141, dtype=np.int64)
    node = np.arange(141)
    split = node < n
    no = np.where(node < n - 1, node + 1, 2 * n)
    trees = Trees(
        "<", 0.0, none, node, none, node.astype(np.float32), np.where(split, n + node, 0), np.where(split, no, 0),
        none.astype(np.bool_), ~split, none.astype(np.float32),
    )  # fmt: skip
    with pytest.raises(Invalid, match="levels"):
        TreeWalk(trees)


def _as_written(walk: TreeWalk, rows: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # what the machine does with words that are too long
        return treewalk._walk(np.ascontiguousarray(rows.T), *walk._nodes)


def test_a_single_leaf_is_a_tree(table) -> None:
    one = np.zeros(1, dtype=np.int64)
    trees = Trees(
        "<", 0.5, one, one, one, one.astype(np.float32), one, one,
        np.zeros(1, dtype=np.bool_), np.ones(1, dtype=np.bool_), np.full(1, 0.25, dtype=np.float32),
    )  # fmt: skip
    assert np.allclose(TreeWalk(trees).score(table[0][:3]), 1 / (1 + np.exp(-0.75)))


def test_too_many_nodes_are_refused(grown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(treewalk, "MOST_NODES", 5)
    with pytest.raises(Invalid, match="at most 5"):
        TreeWalk(grown[0])
