"""A stranger's package whose models answer in every form that the wire knows: number, vector, object, list, or no rows.

`served(home)` opens a shop with one model of each, registered and promoted without a training.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from api_server import Running, serving

from shopkeeper.core.errors import Invalid
from shopkeeper.core.ids import ulid
from shopkeeper.core.protocols import Params
from shopkeeper.core.records import Gate, Version
from shopkeeper.lifecycle.loading import write_golden
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.lifecycle.versions import Candidate
from shopkeeper.stores.artifacts import seal

ENTRY_POINTS = """\
[shopkeeper.algorithms]
wire_number = wiretoys:NumberTrainer
wire_vector = wiretoys:VectorTrainer
wire_tasks = wiretoys:TasksTrainer
wire_ids = wiretoys:IdsTrainer
wire_dumb = wiretoys:DumbTrainer
wire_broken = wiretoys:BrokenTrainer
wire_sample = wiretoys:SampleTrainer
wire_slow = wiretoys:SlowTrainer
wire_towers = wiretoys:TowersTrainer
wire_history = wiretoys:HistoryTrainer
wire_query = wiretoys:QueryTrainer
wire_walks = wiretoys:WalksTrainer

[shopkeeper.families]
wire = wiretoys:WireFamily
"""
GOLDEN = [{"price": 1.0, "age": 2.0, "ctr": 3.0}]


class Number:
    """price + 10 * age + 100 * ctr: which column a number went into can be read from the answer."""

    feature_names: tuple[str, ...] = ("price", "age", "ctr")
    load_s: ClassVar[float] = 0.0

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def _sum(self, row: dict[str, Any]) -> float:
        for name in self.feature_names:
            value = row.get(name, 0.0)
            if not isinstance(value, bool | int | float):
                raise Invalid(f"{name} is {value!r}, expected a number", code="not_a_number", field=name)
        return self.weight * (row.get("price", 0.0) + 10 * row.get("age", 0.0) + 100 * row.get("ctr", 0.0))

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]:
        return [self._sum(row) for row in rows]

    def save(self, folder: Path) -> None:
        (folder / "weight.json").write_text(json.dumps(self.weight))

    @classmethod
    def load(cls, folder: Path) -> Any:
        time.sleep(cls.load_s)
        return cls(json.loads((folder / "weight.json").read_text()))


class Vector(Number):
    output = "vector"
    output_size = 3

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]:
        return [[self._sum(row), 0.5, -1.0] for row in rows]


class Tasks(Number):
    output = "object"
    output_names = ("ctr", "watch_time", "gmv")

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]:
        return [{"ctr": self._sum(row), "watch_time": 2.0, "gmv": 3.0} for row in rows]


class Ids(Number):
    """Neighbours of `user_id`: the `top_k` next numbers; an unknown user has none."""

    output = "list"
    feature_names: tuple[str, ...] = ()

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]:
        return [self._near(row.get("user_id", "u0"), max(1, min(row.get("top_k", 20), 500))) for row in rows]

    def _near(self, user: str, most: int) -> list[str]:
        return [f"u{int(user[1:]) + step}" for step in range(1, most + 1)] if user[1:].isdigit() else []


class Dumb(Number):
    """Takes no rows."""

    score_rows = None  # type: ignore[assignment]


class Broken(Number):
    """NaN for a price of 13, an error that nobody foresaw for 14, one number too few for 15."""

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]:
        price = rows[0].get("price")
        if price == 14:
            raise ZeroDivisionError("secret_inside")
        return [float("nan") if price == 13 else 1.0 for _ in rows[price == 15 :]]


class Sample(Number):
    """The features of the sample data."""

    feature_names: tuple[str, ...] = (
        "item_ctr", "item_cvr", "item_price", "user_age", "user_gender", "cross_age_x_ctr", "cross_gender_x_price"
    )  # fmt: skip

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]:
        return [self.weight * sum(row.get(name, 0.0) for name in self.feature_names) for row in rows]


class Slow(Number):
    """Takes as many seconds as the first row's price."""

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]:
        time.sleep(rows[0].get("price", 0.0))
        return super().score_rows(rows)


class Towers(Number):
    """Users and items in one space, asked by their features; two items have vectors."""

    item_ids = ("i1", "i2")

    @property
    def item_vectors(self) -> Any:
        return np.array([[3.0, 0.0], [0.0, 4.0]], dtype=np.float32)

    def user_embedding(self, features: Any, history: Any = None) -> list[float]:
        return [self._sum(dict(features)), float(len(history or ()))]

    def item_embedding(self, features: Any) -> list[float]:
        return [-self._sum(dict(features)), 0.5]


class History(Towers):
    """A user by what was taken: the length of the history and of its newest id."""

    item_embedding = None  # type: ignore[assignment]

    def user_embedding(self, _features: Any, history: Any = None) -> list[float]:
        taken = list(history or ())
        return [float(len(taken)), float(len(taken[-1]) if taken else 0)]


class Query(Number):
    def query_embedding(self, features: Any) -> list[float]:
        text = features.get("query", "")
        return [float(len(text)), float("nan") if text == "broken" else 1.0]


class Walks(Number):
    def recall(self, user_id: str, top_k: int) -> tuple[list[str], list[float]]:
        known = user_id[1:].isdigit()
        return [f"i{n}" for n in range(top_k)] if known else [], [1.0 / (n + 1) for n in range(top_k)] if known else []


class NumberTrainer:
    name, family = "wire_number", "wire"
    description, tags = "a toy", ("toy",)
    knows_new_users = knows_new_items = True
    Params = Params
    model: Any = Number


class VectorTrainer(NumberTrainer):
    name, model = "wire_vector", Vector


class TasksTrainer(NumberTrainer):
    name, model = "wire_tasks", Tasks


class IdsTrainer(NumberTrainer):
    name, model = "wire_ids", Ids


class DumbTrainer(NumberTrainer):
    name, model = "wire_dumb", Dumb


class BrokenTrainer(NumberTrainer):
    name, model = "wire_broken", Broken


class SampleTrainer(NumberTrainer):
    name, model = "wire_sample", Sample


class SlowTrainer(NumberTrainer):
    name, model = "wire_slow", Slow


class TowersTrainer(NumberTrainer):
    name, model = "wire_towers", Towers


class HistoryTrainer(NumberTrainer):
    name, model = "wire_history", History


class QueryTrainer(NumberTrainer):
    name, model = "wire_query", Query


class WalksTrainer(NumberTrainer):
    name, model = "wire_walks", Walks


class WireFamily:
    name = "wire"

    def probe(self, model: Any, golden: Any) -> list[float]:
        assert golden == GOLDEN
        return [model.weight]


MODELS = {
    "xgb": "wire_number",
    "user_tower": "wire_vector",
    "mmoe": "wire_tasks",
    "graph_recall": "wire_ids",
    "dumb": "wire_dumb",
    "broken": "wire_broken",
    "slow": "wire_slow",
}


VECTORS = {"two_tower": "wire_towers", "youtube_dnn": "wire_history", "dssm": "wire_query", "node2vec": "wire_walks"}


def install(site: Path) -> None:
    """Leaves the metadata that an installer would leave."""
    info = site / "wiretoys-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: wiretoys\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)


def add_version(
    registry: Registry, folder: Path, model: str, weight: float = 1.0, feature_names: list[str] | None = None
) -> Version:
    """Registers a version, of the kind number where MODELS does not say; the gate lets it through."""
    trainer: Any = globals()[f"{(MODELS | VECTORS).get(model, 'wire_number').removeprefix('wire_').title()}Trainer"]
    made = folder / f"made-{ulid()}"
    made.mkdir(parents=True)
    one = trainer.model(weight)
    one.save(made)
    write_golden(made, GOLDEN, [weight])
    candidate = Candidate(
        model=model,
        scope="all",
        family="wire",
        algorithm=trainer.name,
        files=seal(made, {}),
        feature_names=feature_names or list(one.feature_names),
        metrics={},
        gate=Gate(verdict="PROMOTE", reasons=["a test wants it"]),
    )
    return registry.register(made, candidate, by="test")


@contextmanager
def installed(site: Path) -> Iterator[None]:
    """The package is there, and gone for the tests of others."""
    install(site)
    sys.path.insert(0, str(site))
    try:
        yield
    finally:
        sys.path.remove(str(site))


@contextmanager
def served(folder: Path, models: Iterable[str] = MODELS, **changes: Any) -> Iterator[Running]:
    """A shop with one promoted version of every model of MODELS, and a second one of xgb that is not."""
    with installed(folder / "site"), serving(folder / "home", **changes) as running:
        registry = running.shop.registry
        for model in models:
            registry.promote(model, add_version(registry, running.shop.home.path / "made", model).version)
        if "xgb" in models:
            add_version(registry, running.shop.home.path / "made", "xgb", 2.0)
        yield running
