"""The index beside a version: built where the items are many, told as a measure, and never in the way of serving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shopkeeper.learning.vector_index import VectorIndex
from shopkeeper.lifecycle import indexing


class Vectors:
    def __init__(self, n: int, seed: int = 0) -> None:
        centres = np.random.default_rng(1).normal(size=(40, 8))
        drawn = np.random.default_rng(seed)
        self.item_ids = tuple(map(str, range(n)))
        self.item_vectors = (centres[drawn.integers(0, 40, n)] + 0.3 * drawn.normal(size=(n, 8))).astype(np.float32)


class Own(Vectors):
    @property
    def index(self) -> Any:
        return VectorIndex.build(self.item_vectors, "cosine")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faiss")
    monkeypatch.setattr(indexing, "EXACT_UP_TO", 1000)


def test_many_items_get_an_index_that_is_told_as_a_measure(tmp_path: Path, few: None) -> None:
    model = Vectors(3000)
    indexing.build(model, tmp_path)
    found = indexing.index_of(model, tmp_path)
    assert found is not None
    assert found.facts.kind == "ivf"
    assert indexing.measures_of(found) == {"index_recall": found.facts.recall}
    assert found.facts.recall >= 0.95


def test_few_items_or_none_need_none(tmp_path: Path, few: None) -> None:
    for model in (Vectors(999), object()):
        indexing.build(model, tmp_path)
        assert indexing.index_of(model, tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    assert indexing.measures_of(None) == {}


def test_a_model_with_an_index_of_its_own_keeps_it(tmp_path: Path, few: None) -> None:
    indexing.build(Own(3000), tmp_path)
    assert list(tmp_path.iterdir()) == []
    found = indexing.index_of(Own(3000), tmp_path)
    assert found is not None
    assert found.facts.metric == "cosine"
    assert indexing.measures_of(found) == {}


def test_an_index_of_other_vectors_is_left_out_and_every_item_is_looked_at(
    tmp_path: Path, few: None, caplog: pytest.LogCaptureFixture
) -> None:
    indexing.build(Vectors(3000), tmp_path)
    assert indexing.index_of(Vectors(3000, seed=2), tmp_path) is None
    assert "other vectors" in caplog.text
