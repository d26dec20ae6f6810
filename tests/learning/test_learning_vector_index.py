"""The nearest of many vectors: exact, approximate only when measured good, saved beside the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shopkeeper.core.errors import Invalid, Unavailable
from shopkeeper.learning import vector_index
from shopkeeper.learning.vector_index import VectorIndex


def clustered(n: int, d: int = 16, seed: int = 0) -> Any:
    centres = np.random.default_rng(7).normal(size=(60, d))
    drawn = np.random.default_rng(seed)
    return (centres[drawn.integers(0, 60, n)] + 0.3 * drawn.normal(size=(n, d))).astype(np.float32)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 60), st.sampled_from(["ip", "cosine"]), st.integers(0, 99))
def test_exact_answers_are_those_of_sorting_all(n: int, d: int, k: int, metric: Any, seed: int) -> None:
    drawn = np.random.default_rng(seed)
    vectors = drawn.integers(-2, 3, (n, d)).astype(np.float32)  # equal scores and vectors of length 0 among them
    queries = drawn.integers(-2, 3, (3, d)).astype(np.float32)
    rows, scores = VectorIndex.build(vectors, metric).search(queries, k)
    assert rows.dtype == np.int32
    assert scores.dtype == np.float32
    truth = queries @ vectors.T
    if metric == "cosine":
        lengths = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(vectors, axis=1)
        truth = np.divide(truth, lengths, out=np.zeros_like(truth), where=lengths > 0)
    best = np.sort(truth, axis=1)[:, ::-1][:, :k]
    assert scores == pytest.approx(best, abs=1e-5)
    assert [len(set(each)) for each in rows.tolist()] == [min(k, n)] * 3
    assert np.take_along_axis(truth, rows.astype(np.int64), axis=1) == pytest.approx(scores, abs=1e-5)


def test_equal_scores_come_by_row_also_at_the_border() -> None:
    rows, _ = VectorIndex.build(np.ones((50, 3), dtype=np.float32)).search(np.ones((1, 3)), 4)
    assert rows.tolist() == [[0, 1, 2, 3]]


def test_no_vectors_and_no_queries() -> None:
    rows, scores = VectorIndex.build(np.zeros((0, 4))).search(np.ones((2, 4)), 5)
    assert (rows.shape, scores.shape) == ((2, 0), (2, 0))
    rows, _ = VectorIndex.build(np.ones((3, 4))).search(np.ones((0, 4)), 5)
    assert rows.shape == (0, 3)


@pytest.mark.parametrize("bad", [np.ones(3), np.full((2, 2), np.nan), np.array([[1.0, np.inf]])])
def test_what_cannot_be_searched(bad: Any) -> None:
    with pytest.raises(Invalid, match="vectors"):
        VectorIndex.build(bad)
    index = VectorIndex.build(np.ones((3, 2)))
    with pytest.raises(Invalid, match="queries"):
        index.search(bad, 1)
    with pytest.raises(Invalid, match=r"queries must be \(n, 2\)"):
        index.search(np.ones((1, 5)), 1)
    with pytest.raises(Invalid, match="at least 1"):
        index.search(np.ones((1, 2)), 0)


@pytest.mark.parametrize("metric", ["ip", "cosine"])
def test_many_are_searched_by_lists_whose_recall_is_measured(tmp_path: Path, metric: Any) -> None:
    pytest.importorskip("faiss")
    vectors = clustered(4000)
    queries = clustered(50, seed=1)
    index = VectorIndex.build(vectors, metric, queries=queries, exact=1000)
    exact = VectorIndex.build(vectors, metric)
    assert (index.facts.kind, exact.facts.kind) == ("ivf", "exact")
    assert index.facts.recall >= vector_index.LEAST_RECALL
    rows, scores = index.search(queries, 20)
    truth, best = exact.search(queries, 20)
    assert np.mean([len(set(a) & set(b)) / 20 for a, b in zip(rows.tolist(), truth.tolist(), strict=True)]) > 0.9
    assert (scores <= best + 1e-4).all()
    again = VectorIndex.build(vectors, metric, queries=queries, exact=1000)
    assert again.facts == index.facts
    assert again.search(queries, 20)[0].tolist() == rows.tolist()
    index.save(tmp_path)
    loaded = VectorIndex.load(tmp_path, vectors)
    assert loaded.facts == index.facts
    assert loaded.search(queries, 20)[0].tolist() == rows.tolist()


def test_lists_that_do_not_find_enough_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faiss")
    monkeypatch.setattr(vector_index, "LEAST_RECALL", 1.01)
    index = VectorIndex.build(clustered(3000), exact=1000)
    assert (index.facts.kind, index.facts.recall) == ("exact", 1.0)


def test_fewer_than_k_in_the_lists_that_were_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faiss")
    vectors = clustered(3000)
    index = VectorIndex.build(vectors, exact=1000)
    assert index.facts.kind == "ivf"
    rows, scores = index.search(vectors[:2], 2900)
    truth, best = VectorIndex.build(vectors).search(vectors[:2], 2900)
    assert rows.tolist() == truth.tolist()
    assert scores == pytest.approx(best)


def test_an_index_without_its_library_or_its_file_answers_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("faiss")
    vectors = clustered(3000)
    VectorIndex.build(vectors, exact=1000).save(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(vector_index, "find_spec", lambda _: None)
        assert VectorIndex.load(tmp_path, vectors).facts.kind == "exact"
        assert VectorIndex.build(vectors, exact=1000).facts.kind == "exact"
    whole = (tmp_path / "index.faiss").read_bytes()
    for content in (b"", b"junk", whole[: len(whole) // 2]):
        (tmp_path / "index.faiss").write_bytes(content)
        loaded = VectorIndex.load(tmp_path, vectors)
        assert loaded.facts.kind == "exact"
        assert loaded.search(vectors[:1], 1)[0].tolist() == [[int(np.argmax(vectors @ vectors[0]))]]


def test_an_index_of_other_vectors_is_refused(tmp_path: Path) -> None:
    vectors = clustered(100)
    VectorIndex.build(vectors).save(tmp_path, "items")
    assert VectorIndex.load(tmp_path, vectors, "items").facts.items == 100
    for others in (vectors[:99], vectors + 1, vectors[:, :8]):
        with pytest.raises(Unavailable, match="other vectors"):
            VectorIndex.load(tmp_path, others, "items")
    (tmp_path / "items.json").write_text("{")
    with pytest.raises(Unavailable, match="cannot be read"):
        VectorIndex.load(tmp_path, vectors, "items")
    with pytest.raises(Unavailable, match="cannot be read"):
        VectorIndex.load(tmp_path, vectors)
