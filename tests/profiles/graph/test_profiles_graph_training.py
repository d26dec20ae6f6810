"""Trainings in all modes, and what goes wrong in them."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from shopkeeper.checks.graph import ITEMS, NOW, USERS, small_graph, small_rows
from shopkeeper.core.clock import DAY
from shopkeeper.core.errors import Cancelled, Conflict, Invalid
from shopkeeper.core.protocols import silent
from shopkeeper.profiles.graph.algorithm import Hgt
from shopkeeper.profiles.graph.artifact import HgtModel
from shopkeeper.profiles.graph.family import GraphFamily
from shopkeeper.profiles.graph.hetero import HeteroGraph
from shopkeeper.profiles.graph.rows import GraphRows
from shopkeeper.profiles.graph.schema import GraphSchema, Relation
from shopkeeper.profiles.graph.starting import spectral, takers
from shopkeeper.profiles.graph.steps import ground_of
from shopkeeper.profiles.graph.storing import ARRAYS, FACTS
from shopkeeper.profiles.graph.tables import NodeTable

QUICK = {"epochs": 2, "width": 16, "dims": 16, "windows": 3}


def fitted(rows: GraphRows | None = None, seed: int = 1, **params) -> HgtModel:
    return Hgt(Hgt.Params(**{**QUICK, **params}), seed).fit(rows or small_rows()[0], silent)


@pytest.mark.parametrize("mode", ["sampled", "metis_sampling"])
def test_every_mode_learns(mode: str) -> None:
    model = fitted(training_mode=mode, epochs=6, batch_size=64, metis_num_parts=2)
    found = GraphFamily().evaluate(model, small_rows()[1])
    assert found["auc"] > max(0.6, found["naive_auc"])
    assert model.summary["sampling_stats"]["mode"] == mode


def test_one_part_can_be_trained_on_alone_and_everybody_still_has_a_vector() -> None:
    model = fitted(training_mode="metis_sampling", metis_num_parts=3, metis_partition_id=2, metis_seed=4)
    said = model.summary["sampling_stats"]
    assert said["trained"] == [2]
    assert sum(said["nodes"]) == sum(small_graph().nodes.values())
    assert model.item_vectors.shape == (ITEMS, model.dim)


@pytest.mark.parametrize("mode", ["full_graph", "sampled"])
def test_no_step_reads_an_edge_as_young_as_its_targets(mode: str) -> None:
    rows, _ = small_rows()
    fanout = 5 if mode == "sampled" else None
    how = {"layers": 2, "recent": 32, "users": 40, "negatives": 1.0, "fanout": fanout}
    ground = ground_of(rows.graph, rows.split.train_end, 4, **how)
    steps = list(ground.steps(np.random.default_rng(0)))
    assert len(steps) == ground.count() > 1
    for step in steps:
        for relation, block in step.blocks.edges.items():
            moments = step.blocks.moments[relation.target][block.target]
            source = step.nodes[relation.source][block.source]
            target = step.nodes[relation.target][block.target]
            edges = rows.graph.edges[relation]
            for j in range(0, len(block), 37):
                mine = slice(edges.indptr[target[j]], edges.indptr[target[j] + 1])
                times = edges.time[mine][edges.source[mine] == source[j]]
                assert times.min() < moments[j]
        assert {len(choice.right) == len(choice.rows) > 0 for choice in step.choices.values()} == {True}


def test_a_loss_that_is_no_number_ends_the_training_with_the_reason() -> None:
    rows, _ = small_rows()
    odd = replace(rows.tables["product"], numbers={"price": np.where(np.arange(ITEMS) % 7, 3.0, 1e300)})
    rows = replace(rows, tables={**rows.tables, "product": odd})
    model = fitted(rows)
    assert [each.name for each in model.encoders["product"].fields] == ["price", "name"], "it is read"
    assert np.isfinite(model.item_vectors).all(), "what is far away alone does no harm"
    with pytest.raises(Invalid, match=r"not a number any more.*nothing was published.*learning_rate") as caught:
        fitted(epochs=40, learning_rate=1.0, temperature=1e-42)
    assert caught.value.code == "diverged"


def test_without_anything_new_in_the_windows_it_says_so() -> None:
    rows, _ = small_rows()
    edges = {relation: found.before(NOW - 10_000 * DAY) for relation, found in rows.graph.edges.items()}
    with pytest.raises(Conflict, match="nothing to learn"):
        fitted(replace(rows, graph=replace(rows.graph, edges=edges)))


def test_without_a_validation_the_last_epoch_is_kept() -> None:
    rows, _ = small_rows()
    model = fitted(replace(rows, split=replace(rows.split, until=rows.split.train_end)), val_ratio=0.0)
    assert model.summary["best_epoch"] == QUICK["epochs"]
    assert model.summary["val_metrics"] == {}


def test_the_last_epochs_and_only_they_learn_from_the_links_that_tell_when_to_stop() -> None:
    rows, holdout = small_rows()
    newest = rows.split.train_end + (rows.split.until - rows.split.train_end) // 2
    shorter = replace(rows, graph=rows.graph.before(newest))
    for finish, same in ((0, True), (2, False)):
        one, other = (fitted(given, epochs=1, finish=finish) for given in (rows, shorter))
        equal = [np.array_equal(array, other.learned[name]) for name, array in one.learned.items()]
        assert all(equal) == same, finish
        assert one.reference == rows.split.until == holdout.window.moment
    one, other = fitted(finish=0), fitted(finish=2)
    assert one.summary["val"] == other.summary["val"], "measured before the last epochs"


def test_the_last_epochs_tell_how_they_go_and_can_be_cancelled() -> None:
    told: list[str] = []

    def report(step: int, of: int, metrics: object = None, *, message: str = "", epoch: bool = False) -> None:
        del metrics, epoch
        assert 0 <= step <= of
        told.append(message)
        if message.startswith("the newest links, step 2"):
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        Hgt(Hgt.Params(**{**QUICK, "epochs": 1, "finish": 2}), 1).fit(small_rows()[0], report)
    assert told[-1].startswith("the newest links, step 2 of ")


def test_the_summary_says_what_was_trained_on() -> None:
    rows, _ = small_rows()
    said = fitted(replace(rows, test_links={"user / order / product": 12})).summary
    assert len(said["loss_history"]) == 2
    assert said["node_counts"] == {"user": USERS, "product": ITEMS, "category": 6}
    links = said["edge_statistics"]["user / order / product"]
    assert links["test_pos"] == links["test_neg"] == 12
    assert links["train_pos"] > links["val_pos"] > 0
    assert set(said["val_metrics"]["user / order / product"]) == {"auc", "pos_mean", "neg_mean"}
    # of a relation that has no links there is nothing to say, and JSON has no NaN
    assert said["val_metrics"]["user / view / product"]["auc"] is None
    assert said["duration_seconds"] > 0


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({"train_ratio": 0.9, "val_ratio": 0.1}, "less than 1"),
        ({"width": 10}, "multiple"),
        ({"metis_num_parts": 3, "metis_partition_id": 3}, "metis_partition_id"),
        ({"epochs": 0}, "epochs"),
        ({"negative_ratio": 6}, "negative_ratio"),
        ({"training_mode": "all"}, "training_mode"),
    ],
)
def test_parameters_out_of_bounds_are_refused(params: dict, word: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=word):
        msgspec.convert(params, Hgt.Params)


def test_the_start_ranks_what_like_minded_users_took() -> None:
    graph = small_graph()
    places = spectral(takers(graph, "product"), 8, 0)
    assert places.shape == (ITEMS, 8)
    assert abs(places.std() - 0.2) < 0.01
    unit = places / np.maximum(np.linalg.norm(places, axis=1, keepdims=True), 1e-9)
    alike = unit @ unit.T
    taste = np.arange(ITEMS) % 3
    same = (taste[:, None] == taste) & ~np.eye(ITEMS, dtype=bool)
    assert alike[same].mean() > alike[taste[:, None] != taste].mean() + 0.2
    assert not spectral(takers(graph.before(0), "product"), 8, 0).any()


@pytest.mark.parametrize("broken", ["missing", "empty", "torn", "cut", "shape", "nan", "facts"])
def test_a_folder_that_is_not_whole_is_refused(tmp_path, broken: str) -> None:
    rows, _ = small_rows()
    HgtModel.untrained(rows.graph.schema, rows.tables, rows.ids).save(tmp_path)
    HgtModel.load(tmp_path)
    with np.load(tmp_path / ARRAYS) as stored:
        arrays = {name: stored[name] for name in stored.files}
    name = "0/user / order / product/key_w"
    match broken:
        case "missing":
            (tmp_path / ARRAYS).unlink()
        case "empty":
            (tmp_path / ARRAYS).write_bytes(b"")
        case "torn":
            (tmp_path / ARRAYS).write_bytes((tmp_path / ARRAYS).read_bytes()[:-200])
        case "cut":
            del arrays[name]
        case "shape":
            arrays[name] = arrays[name][:, :-1]
        case "nan":
            arrays[name][0, 0] = np.nan
        case "facts":
            (tmp_path / FACTS).write_text("{}")
    if broken in ("cut", "shape", "nan"):
        np.savez(tmp_path / ARRAYS, **arrays)
    with pytest.raises(Invalid) as caught:
        HgtModel.load(tmp_path)
    assert caught.value.code == "bad_artifact"


@pytest.mark.parametrize("mode", ["full_graph", "sampled"])
def test_two_kinds_of_items_are_learned_together_and_measured_apart(mode: str) -> None:
    rows, _ = small_rows()
    use, random, n = Relation("user", "use", "app"), np.random.default_rng(3), 600
    user = random.integers(0, USERS, n).astype(np.int32)
    app = ((user % 2) + 2 * random.integers(0, 5, n)).astype(np.int32)
    time = NOW - random.integers(1, 120 * DAY, n)
    nodes = {**rows.graph.nodes, "app": 10}
    schema = GraphSchema.of(nodes, [*rows.graph.schema.forward, use])
    more = HeteroGraph.of(schema, nodes, {use: (user, app, time)}).before(rows.split.until)
    graph = HeteroGraph(schema, nodes, {**more.edges, **rows.graph.edges})
    ids, tables = {**rows.ids, "app": tuple(f"A{at}" for at in range(10))}, {**rows.tables, "app": NodeTable(10)}
    model = fitted(GraphRows(graph, ids, tables, rows.split), training_mode=mode, epochs=3)
    assert model.item_ids == rows.ids["product"] + ids["app"]
    assert set(model.heads) == {"user", "product", "app"}
    said = model.summary["val_metrics"]
    assert said["user / use / app"]["auc"] is not None
    assert said["user / order / product"]["auc"] is not None
