"""The family on a shop's own log: cut by time, measured beside popularity, judged; what it refuses."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fusion_world import context, filled, history
from profile_world import World

from shopkeeper.core.errors import Conflict, Invalid, Unavailable
from shopkeeper.core.protocols import ItemVectors, TrainingData, silent
from shopkeeper.profiles.graph.algorithm import Hgt
from shopkeeper.profiles.graph.artifact import HgtModel
from shopkeeper.profiles.graph.family import GraphFamily
from shopkeeper.profiles.graph.rows import GraphHoldout
from shopkeeper.profiles.graph.schema import Relation
from shopkeeper.profiles.graph.tables import NodeTable
from shopkeeper.stores.consents import ConsentStore

FAMILY = GraphFamily()
PARAMS = Hgt.Params(epochs=3, width=16, dims=16, windows=4)
ORDER = Relation("user", "order", "product")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("graph-family")
    world = filled(World(home), history(seed=2, customers=80))
    for user in range(80):
        world.user(f"u{user}", plan=("basic", "plus")[user % 2], email=f"u{user}@example.org")
    yield home
    world.close()


@pytest.fixture(scope="module")
def data(home: Path) -> TrainingData:
    return FAMILY.data(context(home), PARAMS, silent)


@pytest.fixture(scope="module")
def model(data: TrainingData) -> HgtModel:
    return Hgt(PARAMS, 3).fit(data.train, silent)


def test_the_training_and_the_holdout_have_no_moment_in_common(data: TrainingData) -> None:
    rows, holdout = data.train, data.holdout
    assert all((edges.time < rows.split.until).all() for edges in rows.graph.edges.values())
    assert holdout.window.moment == rows.split.until
    assert len(holdout.window) > 0
    assert data.facts["edges"][str(ORDER)] > len(rows.graph.edges[ORDER])


def test_it_is_measured_beside_popularity(data: TrainingData, model: HgtModel) -> None:
    measures = FAMILY.evaluate(model, data.holdout)
    assert {"auc", "recall@20", "naive_auc", "naive_recall@20", f"auc {ORDER}"} <= measures.keys()
    assert measures["auc"] > 0.6
    assert all(np.isfinite(value) for value in measures.values())
    assert measures["epochs"] == 3
    naive = {name: measures[f"naive_{name}"] for name in ("auc", "recall@20")}
    naive["recall@20"] = max(naive["recall@20"], measures["lately_recall@20"])
    verdict = "PROMOTE" if all(measures[name] >= least for name, least in naive.items()) else "HOLD"
    assert FAMILY.judge(measures, None).verdict == verdict


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"naive_auc": 0.99}, "HOLD"),
        ({"lately_recall@20": 0.6}, "HOLD"),
        ({"lately_auc": 0.99}, "PROMOTE"),
        ({"auc": 0.5}, "REJECT"),
        ({"recall@20": 0.1}, "REJECT"),
        ({"auc": float("nan")}, "REJECT"),
        ({}, "PROMOTE"),
    ],
)
def test_the_gate_asks_for_the_champion_and_for_popularity(change: dict[str, float], verdict: str) -> None:
    champion = {
        "auc": 0.8,
        "recall@20": 0.5,
        "naive_auc": 0.7,
        "naive_recall@20": 0.05,
        "lately_auc": 0.7,
        "lately_recall@20": 0.07,
    }
    assert FAMILY.judge({**champion, **change}, champion).verdict == verdict


def test_the_probe_is_finite_and_survives_json_and_the_disk(
    data: TrainingData, model: HgtModel, tmp_path: Path
) -> None:
    golden = json.loads(json.dumps(data.golden))
    said = FAMILY.probe(model, golden)
    assert np.isfinite(said).all()
    assert np.std(said) > 0
    model.save(tmp_path)
    np.testing.assert_allclose(FAMILY.probe(HgtModel.load(tmp_path), golden), said, atol=1e-6)
    assert json.loads((tmp_path / "summary.json").read_text())["edge_statistics"][str(ORDER)]["test_pos"] > 0


def test_a_version_holds_nobody(data: TrainingData, model: HgtModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    written = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"example.org" not in written
    assert not [user for user in range(80) if f'"u{user}"'.encode() in written]
    assert b"basic" in written, "what many have is learned"
    assert isinstance(model, ItemVectors)
    assert model.item_vectors.shape == (len(model.item_ids), model.dim)


def test_nothing_is_learned_of_who_does_not_agree(tmp_path: Path) -> None:
    world = filled(World(tmp_path))
    before = FAMILY.data(context(tmp_path), PARAMS, silent)
    row = world.vocabularies.users.row("u0")
    assert before.train.graph.edges[ORDER.reverse].degree[row] > 0
    ConsentStore(world.db, world.vocabularies, world.clock).change("u0", {"profiling": False}).result()
    after = FAMILY.data(context(tmp_path), PARAMS, silent)
    assert after.facts["refused"] == 1
    assert after.facts["dropped"]["refused"] > 0
    assert after.train.graph.edges[ORDER.reverse].degree[row] == 0
    world.close()


def test_a_share_of_the_log_is_drawn_by_its_seed(home: Path) -> None:
    def rows(**source: object) -> int:
        asked = replace(context(home), source={"kind": "shop", **source})
        return FAMILY.data(asked, PARAMS, silent).facts["edges"][str(ORDER)]

    whole = rows()
    half = rows(scope="sampled", sample_ratio=0.5, random_seed=7)
    assert 0.3 * whole < half < 0.7 * whole
    assert rows(scope="sampled", sample_ratio=0.5, random_seed=7) == half
    assert rows(sample_ratio=0.5) == whole, "the whole log was asked for"


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ({"kind": "file", "path": "x.csv"}, "own log"),
        ({"scope": "some"}, "full or sampled"),
        ({"scope": "sampled", "sample_ratio": 0}, "above 0"),
        ({"scope": "sampled", "sample_ratio": "much"}, "sample_ratio"),
        ({"scope": "sampled", "random_seed": -1}, "random_seed"),
    ],
)
def test_a_source_that_cannot_be_is_refused(home: Path, source: dict[str, object], word: str) -> None:
    with pytest.raises(Invalid, match=word):
        FAMILY.data(replace(context(home), source=source), PARAMS, silent)


def test_an_empty_shop_says_so(tmp_path: Path) -> None:
    world = World(tmp_path)
    with pytest.raises(Conflict, match="no events yet"):
        FAMILY.data(context(tmp_path), PARAMS, silent)
    world.close()


def test_a_shop_that_grew_is_measured_with_a_model_that_does_not_know_the_new_things(
    data: TrainingData, model: HgtModel
) -> None:
    """A node type and a relation that came later are not read, and there is no vector for them: zeros."""
    held: GraphHoldout = data.holdout
    kinds = {**held.graph.nodes, "app": 3}
    schema = type(held.graph.schema).of(kinds, [*held.graph.schema.forward, Relation("user", "use", "app")])
    grown = type(held.graph).of(schema, kinds, {})
    edges = {**grown.edges, **held.graph.edges}
    graph = replace(grown, edges=edges)
    tables, ids = {**held.tables, "app": NodeTable(3)}, {**held.ids, "app": ("x", "y", "z")}
    measures = FAMILY.evaluate(model, replace(held, graph=graph, tables=tables, ids=ids))
    assert measures["auc"] == FAMILY.evaluate(model, held)["auc"]


def test_without_torch_it_says_what_to_install(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in ("fitting", "hgt", "learner", "steps", "attending", "attention_torch"):
        monkeypatch.delitem(sys.modules, f"shopkeeper.profiles.graph.{name}", raising=False)
    with pytest.raises(Unavailable, match=r"shopkeeper\[deep\]"):
        Hgt(PARAMS, 3).fit(data.train, silent)
