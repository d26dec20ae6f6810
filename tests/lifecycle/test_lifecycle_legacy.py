"""Versions as older servers read them: which files there are, and that the weights in them are those that serve."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shopkeeper import plugins
from shopkeeper.checks.artifacts import Trained
from shopkeeper.checks.coverage import _trained
from shopkeeper.core.errors import Invalid
from shopkeeper.core.records import Version
from shopkeeper.lifecycle.legacy import write_legacy

NETS = {"deepfm": "deepfm_feature_meta.json", "mmoe": "mmoe_feature_meta.json", "dssm": "dssm_meta.json",
        "two_tower": "two_tower_meta.json", "youtube_dnn": "youtube_dnn_meta.json"}  # fmt: skip
VECTORS = ("node2vec", "item2vec", "word2vec")
SERVED_BY_NUMPY = ("dssm", "two_tower", "youtube_dnn")


@dataclass(frozen=True)
class Old:
    """What an older server is given: files by name, and what they were made of."""

    files: dict[str, bytes]
    trained: Trained

    def json(self, name: str) -> Any:
        return json.loads(self.files[name])

    def weights(self) -> dict[str, Any]:
        torch = pytest.importorskip("torch")
        found: dict[str, Any] = torch.load(
            io.BytesIO(self.files[f"{self.trained.algorithm}_model.pt"]), weights_only=True
        )
        return found


@cache
def trained(algorithm: str) -> Trained:
    pytest.importorskip("torch")
    return _trained(plugins.algorithm(algorithm))


def old(algorithm: str, folder: Path) -> Old:
    model = trained(algorithm)
    (folder / "v1").mkdir()
    version = Version(
        model="m", scope="all", version=1, algorithm=algorithm, status="ready", files=model.save(folder / "v1"),
        feature_names=list(model.model.feature_names), data={"label": "click"}, label="20260101",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    write_legacy(version, folder / "v1", folder / "old.tar.gz")
    with tarfile.open(folder / "old.tar.gz") as tar:
        return Old({one.name: tar.extractfile(one).read() for one in tar.getmembers()}, model)  # type: ignore[union-attr]


@pytest.mark.parametrize("algorithm", NETS)
def test_a_net_is_a_dict_of_tensors_and_its_facts(algorithm: str, tmp_path: Path) -> None:
    given = old(algorithm, tmp_path)
    weights, meta = given.weights(), given.json(NETS[algorithm])
    assert weights
    assert {name: list(one.shape) for name, one in weights.items()} == meta["tensors"]
    assert sum(one.numel() for one in weights.values()) > 100
    assert meta["feature_columns"] == list(given.trained.model.feature_names)
    assert meta["feature_count"] == len(meta["feature_columns"])
    assert (meta["label_column"], meta["model_version"], meta["created_at"][:10]) == ("click", "20260101", "2026-01-01")
    assert meta["normalized"] == ("feature_scaler.json" in given.files)


@pytest.mark.parametrize("algorithm", SERVED_BY_NUMPY)
def test_the_weights_are_those_that_serve(algorithm: str, tmp_path: Path) -> None:
    given = old(algorithm, tmp_path)
    weights = {name: one.numpy() for name, one in given.weights().items()}
    again = tmp_path / "again"
    again.mkdir()
    given.trained.save(again)
    for path in again.glob("*.npz"):
        with np.load(path) as kept:
            names = kept.files
        path.unlink()
        np.savez(path, **{name: weights[name] for name in names})
    model = type(given.trained.model).load(again)
    assert given.trained.probe(model) == given.trained.probe(given.trained.model)


def test_a_graph_leaves_the_weights_of_each_task(tmp_path: Path) -> None:
    given = old("mmoe", tmp_path)
    meta = given.json(NETS["mmoe"])
    assert meta["output_names"] == list(given.trained.model.output_names)
    assert meta["output"] == "object"
    experts = [one for one in given.weights().values() if one.ndim >= 2]
    assert all(np.isfinite(one.numpy()).all() for one in experts)
    assert any(one.numpy().std() > 0 for one in experts)


@pytest.mark.parametrize("algorithm", ["two_tower", "youtube_dnn"])
def test_towers_leave_items_and_their_vectors(algorithm: str, tmp_path: Path) -> None:
    given = old(algorithm, tmp_path)
    vocabulary = given.json(f"{algorithm}_item_vocab.json")
    vectors = np.load(io.BytesIO(given.files[f"{algorithm}_item_vectors.npy"]), allow_pickle=False)
    model = given.trained.model
    assert [model.item_ids[row] for row in vocabulary.values()] == list(vocabulary)
    np.testing.assert_array_equal(vectors, model.item_vectors)
    assert given.json(NETS[algorithm])["embedding_dim"] == vectors.shape[1]


@pytest.mark.parametrize("algorithm", VECTORS)
def test_vectors_are_json_by_id(algorithm: str, tmp_path: Path) -> None:
    given = old(algorithm, tmp_path)
    vectors, model = given.json(f"{algorithm}_vectors.json"), given.trained.model
    assert f"{algorithm}_meta.json" in given.files
    names, kept = (model.words, model.word_vectors) if algorithm == "word2vec" else (model.item_ids, model.item_vectors)
    assert set(names) <= set(vectors)
    np.testing.assert_allclose([vectors[name] for name in names], kept, rtol=1e-4, atol=1e-6)


def test_what_has_no_older_form_says_which_do(tmp_path: Path) -> None:
    version = Version(model="m", scope="all", version=1, algorithm="ease", status="ready")
    with pytest.raises(Invalid, match=r"these have: .*dssm.*mmoe.*two_tower.*word2vec"):
        write_legacy(version, tmp_path, tmp_path / "old.tar.gz")
