"""Checks for every algorithm of the family `graph`. A shop's own passes them as the built-in one does.

Each check is given a trainer class. The graph is made here: 90 users of three tastes, each of which has 20 products in
two categories; users call others of their own taste; the test begins where the training's graph ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.checks.artifacts import differing_in_threads, saved_and_loaded
from shopkeeper.core.clock import DAY
from shopkeeper.core.errors import Cancelled
from shopkeeper.core.protocols import Trainer, silent
from shopkeeper.profiles.graph.artifact import HgtModel
from shopkeeper.profiles.graph.hetero import NO_TIME, HeteroGraph
from shopkeeper.profiles.graph.inference import embed_all
from shopkeeper.profiles.graph.measures import measure, naive
from shopkeeper.profiles.graph.rows import GraphHoldout, GraphRows, inputs_of
from shopkeeper.profiles.graph.schema import CATEGORY, USER, GraphSchema, Relation
from shopkeeper.profiles.graph.tables import NodeTable, table_of
from shopkeeper.profiles.graph.targets import split_at, window

USERS, ITEMS, TASTES, DAYS = 90, 60, 3, 120
NOW = 20_000 * DAY
ORDER, CALL = Relation(USER, "order", "product"), Relation(USER, "call", USER)
IN = Relation("product", "in", CATEGORY)


def small_graph(seed: int = 5) -> HeteroGraph:
    """The last user has no edge, the last product was never taken, and nobody ever does `view`."""
    random = np.random.default_rng(seed)
    n = 1200
    user = random.integers(0, USERS - 1, n)
    item = (random.integers(0, ITEMS // TASTES, n) * TASTES + user % TASTES) % ITEMS
    item = np.where(random.random(n) < 0.1, random.integers(0, ITEMS, n), item) % (ITEMS - 1)
    caller = random.integers(0, USERS - 1, 300)
    called = (caller + TASTES * random.integers(1, 20, 300)) % (USERS - 1)
    product = np.arange(ITEMS)
    forward = {
        ORDER: (user, item, NOW - random.integers(1, DAYS * DAY, n)),
        CALL: (caller, called, NOW - random.integers(1, DAYS * DAY, 300)),
        IN: (product, product % (2 * TASTES), np.full(ITEMS, NO_TIME)),
    }
    schema = GraphSchema.of((USER, "product", CATEGORY), [*forward, Relation(USER, "view", "product")])
    ends = {
        relation: (source.astype(np.int32), target.astype(np.int32), time.astype(np.int64))
        for relation, (source, target, time) in forward.items()
    }
    return HeteroGraph.of(schema, {USER: USERS, "product": ITEMS, CATEGORY: 2 * TASTES}, ends)


def small_rows(seed: int = 5) -> tuple[GraphRows, GraphHoldout]:
    """What a training gets, and the untouched rest."""
    graph = small_graph(seed)
    split = split_at(graph, 0.8, 0.1)
    known, later = graph.before(split.until), window(graph, split.until, split.end)
    ids = {
        "product": tuple(f"I{at}" for at in range(ITEMS)),
        CATEGORY: tuple(f"C{at}" for at in range(2 * TASTES)),
    }
    people = [
        {"age": 20.0 + at % 40, "plan": f"plan {at % TASTES}", "likes": ["a", "b"][: at % 3]} for at in range(USERS)
    ]
    goods = [{"price": 1.0 + at % 7, "name": f"Thing {at} of kind {at % TASTES}"} for at in range(ITEMS)]
    tables = {USER: table_of(people), "product": table_of(goods), CATEGORY: NodeTable(2 * TASTES)}
    return GraphRows(known, ids, tables, split), GraphHoldout(known, ids, tables, later, naive(known, later))


def states_its_facts(trainer: type[Trainer]) -> None:
    """The class says what it is; each parameter has a default and help."""
    assert trainer.family == "graph"
    assert trainer.description
    trainer.Params()
    fields = msgspec.json.schema(trainer.Params)["$defs"][trainer.Params.__name__]["properties"]
    assert all("default" in field and field.get("description") for field in fields.values()), fields


def foresees_links(trainer: type[Trainer]) -> None:
    """New links that it never saw it tells from pairs that never came better than popularity does, and than chance."""
    model, holdout = _fitted(trainer), small_rows()[1]
    found = measure(_embedded(model, holdout), holdout.graph, holdout.window)
    assert found["auc"] > max(0.6, holdout.naive["naive_auc"] + 0.05), found
    assert found["recall@20"] > holdout.naive["naive_recall@20"], found


def everybody_has_a_vector(trainer: type[Trainer]) -> None:
    """Users, items, those without any edge and those without any attribute: finite vectors of `dim` numbers."""
    model, holdout = _fitted(trainer), small_rows()[1]
    bare = {name: NodeTable(table.n) for name, table in holdout.tables.items()}
    for tables in (holdout.tables, bare):
        vectors = _embedded(model, replace(holdout, tables=tables))
        assert vectors[USER].shape == (USERS, model.dim)
        assert vectors["product"].shape == (ITEMS, model.dim)
        assert all(np.isfinite(array).all() for array in vectors.values())
    empty = HeteroGraph.of(model.schema, holdout.graph.nodes, {})
    assert np.isfinite(_embedded(model, replace(holdout, graph=empty))[USER]).all()


def users_stand_nowhere(trainer: type[Trainer]) -> None:
    """A version holds no vector, id or edge of a user: it is the same size for any number of them."""
    model = _fitted(trainer)
    assert USER not in {name for name, encoder in model.encoders.items() if len(encoder.ids)}
    assert not any(
        len(array) == USERS for learned in model.encoders[USER].learned.values() for array in learned.values()
    )


def publishes_vectors_of_its_items(trainer: type[Trainer]) -> None:
    """One finite vector for each item, as of the last moment that the training read."""
    model, (rows, holdout) = _fitted(trainer), small_rows()
    assert sorted(model.item_ids) == sorted(rows.ids["product"])
    assert model.item_vectors.shape == (len(model.item_ids), model.dim)
    assert model.reference == rows.split.until
    np.testing.assert_allclose(model.item_vectors, _embedded(model, holdout)["product"], atol=1e-5)


def loads_what_it_saved(trainer: type[Trainer]) -> None:
    """The same answers after save and load, from plain data files."""
    model = _fitted(trainer)
    loaded = cast(HgtModel, saved_and_loaded(model))
    assert loaded.summary == model.summary
    _same(model, loaded)


def same_seed_same_model(trainer: type[Trainer]) -> None:
    """Two fits with one seed give the same answers."""
    _same(_fit(trainer, brief=True), _fit(trainer, brief=True))


def tells_how_it_goes(trainer: type[Trainer]) -> None:
    """A finite loss for every epoch, in its reports and in its summary."""
    told: list[float] = []

    def report(step: int, of: int, metrics: Any = None, *, message: str = "", epoch: bool = False) -> None:
        del step, of, message
        if epoch:
            told.append(metrics["loss"])

    model = cast(HgtModel, trainer(_params(trainer, brief=True), 11).fit(small_rows()[0], report))
    assert told == list(model.summary["loss_history"])
    assert np.isfinite(told).all()


def stops_when_asked(trainer: type[Trainer]) -> None:
    """What the report raises ends the training, in the middle of it."""
    told: list[int] = []

    def report(step: int, of: int, metrics: Any = None, *, message: str = "", epoch: bool = False) -> None:
        del of, metrics, message
        if epoch:
            told.append(step)
        if len(told) == 2:
            raise Cancelled("enough")

    try:
        trainer(trainer.Params(), 11).fit(small_rows()[0], report)
    except Cancelled:
        return
    raise AssertionError(f"it went on after {len(told)} epochs")


def answers_many_threads(trainer: type[Trainer]) -> None:
    """Inputs and vectors at the same time from several threads are what one thread gives."""
    model, (rows, _) = _fitted(trainer), small_rows()
    parts = [np.arange(at, ITEMS, 4) for at in range(4)] * 4

    def inputs(part: NDArray[np.int64]) -> NDArray[np.float32]:
        return model.inputs("product", [rows.ids["product"][at] for at in part], rows.tables["product"].take(part))

    assert not differing_in_threads(inputs, parts)


CHECKS: tuple[Callable[[type[Trainer]], None], ...] = (
    states_its_facts,
    foresees_links,
    everybody_has_a_vector,
    users_stand_nowhere,
    publishes_vectors_of_its_items,
    loads_what_it_saved,
    same_seed_same_model,
    tells_how_it_goes,
    stops_when_asked,
    answers_many_threads,
)


@cache
def _fitted(trainer: type[Trainer]) -> HgtModel:
    return _fit(trainer)


def _fit(trainer: type[Trainer], *, brief: bool = False) -> HgtModel:
    return cast(HgtModel, trainer(_params(trainer, brief=brief), 11).fit(small_rows()[0], silent))


def _params(trainer: type[Trainer], *, brief: bool) -> Any:
    """Defaults; brief ones where it does not count how good the model is."""
    return trainer.Params(**getattr(trainer, "brief", {})) if brief else trainer.Params()


def _embedded(model: HgtModel, holdout: GraphHoldout) -> dict[str, NDArray[np.float32]]:
    return embed_all(model, holdout.graph, inputs_of(model, holdout.ids, holdout.tables), holdout.window.moment)


def _same(one: HgtModel, other: HgtModel) -> None:
    holdout = small_rows()[1]
    assert one.item_ids == other.item_ids
    np.testing.assert_allclose(one.item_vectors, other.item_vectors, atol=1e-5)
    mine, others = _embedded(one, holdout), _embedded(other, holdout)
    assert mine.keys() == others.keys()
    for name, array in mine.items():
        np.testing.assert_allclose(array, others[name], atol=1e-5)
