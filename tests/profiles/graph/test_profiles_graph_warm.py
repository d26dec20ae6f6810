"""A training that begins where the champion ended: what is taken over, what begins anew, when there is nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fusion_world import context, filled, history
from profile_world import World

from shopkeeper.checks.graph import small_rows
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import TrainingData, silent
from shopkeeper.core.records import Gate
from shopkeeper.lifecycle.loading import write_golden
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.lifecycle.versions import Candidate
from shopkeeper.profiles.graph import fitting
from shopkeeper.profiles.graph.algorithm import Hgt
from shopkeeper.profiles.graph.artifact import HgtModel
from shopkeeper.profiles.graph.family import GraphFamily
from shopkeeper.profiles.graph.fields import Number, Several, Word
from shopkeeper.profiles.graph.hetero import HeteroGraph
from shopkeeper.profiles.graph.inference import embed_all
from shopkeeper.profiles.graph.parameters import Shape
from shopkeeper.profiles.graph.rows import GraphRows, inputs_of
from shopkeeper.profiles.graph.schema import USER, GraphSchema, Relation
from shopkeeper.profiles.graph.steps import ground_of, loss_of
from shopkeeper.profiles.graph.storing import ARRAYS
from shopkeeper.profiles.graph.tables import table_of
from shopkeeper.profiles.graph.warm import GENTLE, warmed
from shopkeeper.stores.artifacts import ArtifactStore, seal
from shopkeeper.stores.home import Home

FAMILY = GraphFamily()
QUICK = {"epochs": 2, "width": 16, "dims": 16, "windows": 3}
ORDER = Relation(USER, "order", "product")


def fitted(rows: GraphRows, seed: int = 1, **params) -> HgtModel:
    return Hgt(Hgt.Params(**{**QUICK, **params}), seed).fit(rows, silent)


@pytest.fixture(scope="module")
def champion() -> HgtModel:
    return fitted(small_rows()[0], epochs=4)


def begun(rows: GraphRows, seed: int = 9) -> HgtModel:
    """What a training of `rows` begins with, before its first step."""
    return learner(rows, seed).model(recent=32)


def learner(rows: GraphRows, seed: int = 9):
    plan = plan_of(**QUICK)
    past = rows.graph.before(rows.split.train_end)
    return fitting._learner(rows, past, plan, np.random.default_rng(seed), seed).eval()


def plan_of(**params) -> fitting.Plan:
    p = Hgt.Params(**params)
    return fitting.Plan(
        p.shape, 32, "full_graph", p.epochs, 3, 0, 0.01, 0.0, 0.2, 1.0, 3, 2048, 10, 0.0, 0.0, fitting.Parting()
    )


def vectors(model: HgtModel, rows: GraphRows) -> dict[str, np.ndarray]:
    return embed_all(model, rows.graph, inputs_of(model, rows.ids, rows.tables), rows.split.until)


def test_it_begins_where_the_champion_ended(champion: HgtModel) -> None:
    rows, _ = small_rows()
    first = vectors(begun(replace(rows, champion=champion)), rows)
    for name, array in vectors(champion, rows).items():
        np.testing.assert_allclose(first[name], array, atol=1e-5)
    assert np.abs(vectors(begun(rows), rows)[USER] - first[USER]).max() > 0.1, "a cold start is elsewhere"


def test_its_first_loss_is_the_champions_and_below_that_of_a_cold_start(champion: HgtModel) -> None:
    rows, _ = small_rows()
    ground = ground_of(rows.graph, rows.split.train_end, 3, layers=2, recent=32, users=2048, negatives=1.0)
    step = next(ground.steps(np.random.default_rng(0)))

    def loss(given: GraphRows, seed: int) -> float:
        with torch.no_grad():
            return float(loss_of(learner(given, seed), step, Hgt.Params().temperature))

    warm = replace(rows, champion=champion)
    assert loss(warm, 9) == pytest.approx(loss(warm, 10), abs=1e-5), "nothing of it was drawn"
    assert loss(warm, 9) < loss(rows, 9) - 0.1
    again = replace(rows, champion=begun(warm))
    assert loss(again, 11) == pytest.approx(loss(warm, 9), abs=1e-5)


def test_it_goes_on_from_what_was_saved(champion: HgtModel, tmp_path: Path) -> None:
    champion.save(tmp_path)
    loaded = HgtModel.load(tmp_path)
    assert loaded.shape == champion.shape == Shape(16, 16, 4, 2, False, True)
    rows, _ = small_rows()
    one = fitted(replace(rows, champion=loaded), seed=4, epochs=1)
    other = fitted(replace(rows, champion=champion), seed=4, epochs=1)
    np.testing.assert_allclose(one.item_vectors, other.item_vectors, atol=1e-6)


def test_one_seed_gives_one_model_and_it_learns_on(champion: HgtModel) -> None:
    rows = replace(small_rows()[0], champion=champion)
    one, other = fitted(rows, seed=4), fitted(rows, seed=4)
    np.testing.assert_allclose(one.item_vectors, other.item_vectors, atol=1e-6)
    cold = fitted(small_rows()[0], seed=4)
    assert one.summary["loss_history"][0] < cold.summary["loss_history"][0]
    assert one.summary["loss_history"][-1] < one.summary["loss_history"][0]


def test_its_steps_are_smaller_than_those_of_a_start(champion: HgtModel) -> None:
    rows = replace(small_rows()[0], champion=champion)
    before = vectors(champion, rows)["product"]
    gentle = np.abs(fitted(rows, epochs=1).item_vectors - before).mean()
    whole = np.abs(fitted(rows, epochs=1, learning_rate=0.01 / GENTLE).item_vectors - before).mean()
    assert 0 < gentle < whole


def test_new_items_words_and_relations_begin_as_usual(champion: HgtModel) -> None:
    """Sixty things become sixty-one, one of which is renamed: the others keep what was learned of them."""
    rows, _ = small_rows()
    view = Relation(USER, "view", "product")
    like = Relation(USER, "like", "product")
    edges = rows.graph.edges[ORDER.reverse]  # by user
    user, item, time = edges.target, edges.source, edges.time
    nodes = {**rows.graph.nodes, "app": 4}
    schema = GraphSchema.of(nodes, [*rows.graph.schema.forward, like, Relation(USER, "use", "app")])
    use = (user % 4).astype(np.int32)
    more = HeteroGraph.of(schema, nodes, {like: (user, item, time), Relation(USER, "use", "app"): (user, use, time)})
    graph = HeteroGraph(schema, nodes, {**more.edges, **rows.graph.edges})
    ids = {**rows.ids, "product": ("renamed", *rows.ids["product"][1:]), "app": ("a", "b", "c", "d")}
    goods = [{"price": 1.0 + at % 7, "name": f"Thing {at} of sort {at % 3}"} for at in range(60)]
    tables = {**rows.tables, "product": table_of(goods), "app": table_of([{}] * 4)}
    grown = GraphRows(graph, ids, tables, rows.split, champion=champion)
    first = begun(grown)
    old, new = champion.encoders["product"], first.encoders["product"]
    shared = [id for id in new.ids if id in old.ids]
    assert "renamed" in new.ids
    assert len(shared) >= 50
    np.testing.assert_array_equal(new.id_vectors[new.places(shared)], old.id_vectors[old.places(shared)])
    assert np.linalg.norm(new.id_vectors[new.places(["renamed"])]) > 0.1
    name = next(each for each in new.fields if each.name == "name")
    assert isinstance(name, Several)
    before = next(each for each in old.fields if each.name == "name")
    assert isinstance(before, Several)
    assert "sort" in name.known
    assert "kind" not in name.known, "what nobody has now is not kept"
    at, was = name.known.index("thing") + 1, before.known.index("thing") + 1
    for what in ("words", "say"):
        np.testing.assert_array_equal(new.learned["name"][what][at], old.learned["name"][what][was])
    for what in champion.learned:
        np.testing.assert_array_equal(first.learned[what], champion.learned[what])
    assert f"0.relation.{like}.attention" in first.learned
    assert str(view) in {str(r) for r in first.schema.relations}
    trained = fitted(grown, epochs=1)
    assert np.isfinite(trained.item_vectors).all()
    assert set(trained.heads) == {USER, "product", "app"}


def test_a_number_keeps_the_bins_that_were_learned(champion: HgtModel) -> None:
    rows, _ = small_rows()
    dearer = replace(rows.tables["product"], numbers={"price": rows.tables["product"].numbers["price"] * 3})
    first = begun(replace(rows, tables={**rows.tables, "product": dearer}, champion=champion)).encoders["product"]
    mine = next(each for each in first.fields if isinstance(each, Number))
    assert mine == next(each for each in champion.encoders["product"].fields if isinstance(each, Number))
    words = [str(number) for number in rows.tables["product"].numbers["price"].tolist()]
    spelled = replace(rows.tables["product"], numbers={}, words={**rows.tables["product"].words, "price": words})
    first = begun(replace(rows, tables={**rows.tables, "product": spelled}, champion=champion)).encoders["product"]
    assert isinstance(next(each for each in first.fields if each.name == "price"), Word), "it is another attribute now"


def test_what_is_new_is_turned_into_the_champions_directions(champion: HgtModel) -> None:
    """Directions of a decomposition are arbitrary: of things turned in space the new one lands where it was."""
    old = champion.encoders["product"]
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((16, 16)))[0]
    ids = ("new", *old.ids[1:])
    new = replace(old, ids=ids, id_vectors=(old.id_vectors @ turn).astype(np.float32))
    made = warmed({"product": new}, champion)["product"]
    np.testing.assert_allclose(made.id_vectors, old.id_vectors, atol=1e-4)
    strangers = replace(new, ids=tuple(f"other {at}" for at in range(len(ids))))
    np.testing.assert_array_equal(warmed({"product": strangers}, champion)["product"].id_vectors, new.id_vectors)


@pytest.mark.parametrize(
    ("params", "word"),
    [({"width": 32}, "width 16, not 32"), ({"layers": 1, "dims": 8}, r"dims 16, not 8; layers 2, not 1")],
)
def test_a_champion_of_another_shape_is_refused(champion: HgtModel, params: dict, word: str) -> None:
    with pytest.raises(Invalid, match=word) as caught:
        fitted(replace(small_rows()[0], champion=champion), **params)
    assert (caught.value.code, caught.value.field) == ("other_shape", "warm_start")


@dataclass(frozen=True)
class Shop:
    home: Path
    world: World

    def data(self, model: str, **params) -> TrainingData:
        asked = replace(context(self.home), model=model)
        return FAMILY.data(asked, Hgt.Params(**{**QUICK, "warm_start": True, **params}), silent)

    @property
    def registry(self) -> Registry:
        return Registry(self.world.db, ArtifactStore(Home(self.home).artifacts), self.world.clock)

    def publish(self, name: str, model: HgtModel, folder: Path) -> None:
        folder.mkdir()
        model.save(folder)
        golden = {"items": {}, "moment": 1}
        write_golden(folder, golden, FAMILY.probe(model, golden))
        gate = Gate(verdict="PROMOTE", reasons=["as the test wants it"])
        made = Candidate(model=name, scope="all", family="graph", algorithm="hgt", files=seal(folder, {}), gate=gate)
        self.registry.promote(name, self.registry.register(folder, made, by="test").version, force=True)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Each test has a model of its own name in it."""
    home = tmp_path_factory.mktemp("graph-warm")
    world = filled(World(home), history(seed=2, customers=80))
    yield Shop(home, world)
    world.close()


def test_a_shop_begins_with_its_champion(shop: Shop, tmp_path: Path) -> None:
    cold = shop.data("one")
    assert cold.train.champion is None
    assert cold.facts["warm_start"] == "as usual: one has no champion yet"
    first = fitted(cold.train)
    assert first.summary["warm_start"] == "as usual: one has no champion yet"
    shop.publish("one", first, tmp_path / "made")
    warm = shop.data("one")
    assert warm.facts["warm_start"] == "one/1"
    model = fitted(warm.train, epochs=1)
    assert json.loads(json.dumps(model.summary))["warm_start"] == "one/1"
    assert model.summary["loss_history"][0] < first.summary["loss_history"][0]
    plain = shop.data("one", warm_start=False)
    assert plain.train.champion is None
    assert "warm_start" not in plain.facts
    with pytest.raises(Invalid, match="width 16, not 32"):
        shop.data("one", width=32)


def test_a_champion_that_saw_what_is_to_be_measured_on_is_not_begun_with(shop: Shop, tmp_path: Path) -> None:
    shop.publish("saw", fitted(shop.data("saw").train), tmp_path / "made")
    later = shop.data("saw", train_ratio=0.5)
    assert later.train.champion is None
    assert later.facts["warm_start"].startswith("as usual: saw/1 has learned from days up to 20")


def test_a_champion_without_learned_numbers_is_not_begun_with(shop: Shop, tmp_path: Path) -> None:
    model = replace(fitted(shop.data("old").train), shape=None, learned={})
    shop.publish("old", model, tmp_path / "made")
    told = shop.data("old")
    assert told.train.champion is None
    assert told.facts["warm_start"] == "as usual: old/1 does not hold what a training could go on with"


def test_a_champion_that_cannot_be_read_is_not_begun_with(shop: Shop, tmp_path: Path) -> None:
    shop.publish("torn", fitted(shop.data("torn").train), tmp_path / "made")
    file = shop.registry.folder(shop.registry.version("torn")) / ARRAYS
    file.chmod(0o644)
    file.write_bytes(b"broken")
    told = shop.data("torn")
    assert told.train.champion is None
    assert told.facts["warm_start"].startswith("as usual: the champion cannot be read: ")


def test_what_is_kept_is_small_and_holds_nobody(champion: HgtModel, tmp_path: Path) -> None:
    champion.save(tmp_path)
    with np.load(tmp_path / ARRAYS) as stored:
        kept = {name: stored[name] for name in stored.files if name.startswith("learned/")}
    assert sum(array.nbytes for array in kept.values()) < 200_000
    assert not [name for name, array in kept.items() if small_rows()[0].graph.nodes[USER] in array.shape]
