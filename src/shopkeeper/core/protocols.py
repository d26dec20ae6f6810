"""The contracts between rooms: follower, algorithm, model, family, source, feature.

What trains (`Trainer`) and what serves (`Model`) are two objects. A *family* says where training rows come from, how a
model is measured and when it may be promoted. Implementations live in the rooms they serve and are found by entry point
(`plugins.py`); `lifecycle` knows only what stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeAlias, runtime_checkable

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.records import Gate, Progress, Version

Metrics: TypeAlias = dict[str, float]


class Report(Protocol):
    """Live progress of a running job. Raises Cancelled when the job was asked to stop."""

    def __call__(
        self, step: int, of: int, metrics: Mapping[str, float] | None = None, *, message: str = "", epoch: bool = False
    ) -> None: ...


def silent(
    step: int, of: int, metrics: Mapping[str, float] | None = None, *, message: str = "", epoch: bool = False
) -> None:
    """A report that nobody reads: tests and notebooks."""


class Follower(Protocol):
    """Whoever keeps state derived from the log. `apply` is called in log order, never twice for one event."""

    name: str

    def apply(self, batch: EventBatch) -> None: ...


class Params(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Base of every algorithm's parameters. Bounds and help are `Annotated[..., msgspec.Meta(ge=, le=, description=)]`.

    `plugins.params_schema` turns a subclass into the JSON schema that the API and the console's form show.
    """


@runtime_checkable
class Model(Protocol):
    """What serves. Safe to share between threads; has no fit().

    `save` writes data only (json, npz without objects, safetensors, onnx, parquet; never pickle) into an existing
    folder; the classmethod `load` reads it back and gives the same answers.
    """

    feature_names: tuple[str, ...]

    def save(self, folder: Path) -> None: ...

    @classmethod
    def load(cls, folder: Path) -> Model: ...


class Trainer(Protocol):
    """What trains: one file, one entry point in `shopkeeper.algorithms`. Capabilities are facts on the class.

    A class whose `fit` imports a library that a shop may lack says so in `needs`: {library: what to do about it}.
    """

    name: ClassVar[str]
    family: ClassVar[str]
    description: ClassVar[str]
    tags: ClassVar[tuple[str, ...]]
    knows_new_users: ClassVar[bool]
    knows_new_items: ClassVar[bool]
    Params: ClassVar[type[Params]]
    model: ClassVar[type[Model]]

    def __init__(self, params: Any, seed: int) -> None: ...

    def fit(self, data: Any, report: Report) -> Model: ...


@runtime_checkable
class Continuing(Protocol):
    """A trainer that can go on from what a version has learned."""

    def continue_from(self, model: Any) -> None:
        """The next `fit` begins with it. Raises Invalid (`cannot_continue`)."""
        ...


@dataclass(frozen=True)
class TrainingContext:
    """What a family may use to find its rows, inside a job's child process. `sql_url` is opened read-only there.

    `source` is the request's `{kind, path, ...}`; kind `shop` means the shop's own log. `now` is shop time in
    microseconds; `zone` the shop's time zone; `model` and `scope` the name being trained.
    """

    home: Path
    sql_url: str
    source: Mapping[str, Any]
    now: int
    zone: str
    seed: int
    model: str
    scope: str = "all"


@dataclass(frozen=True)
class TrainingData:
    """`train` is what fit() gets; `holdout` the untouched rows on which candidate and champion are both measured.

    `golden` is a small input (JSON-able) with which every load of the version is compared, see `Family.probe`.
    `facts` describes the data in the manifest: rows, from, to, fingerprint (SHA-256 of the rows used).
    """

    train: Any
    holdout: Any
    golden: Any
    facts: dict[str, Any] = field(default_factory=dict)


class Family(Protocol):
    """How models of one kind get rows, are measured, judged, and probed. Entry-point group `shopkeeper.families`."""

    name: ClassVar[str]

    def data(self, context: TrainingContext, params: Any, report: Report) -> TrainingData: ...

    def evaluate(self, model: Any, holdout: Any) -> Metrics:
        """Measures on the untouched rows, the naive baseline's beside them (keys `naive_...`)."""
        ...

    def judge(self, candidate: Metrics, champion: Metrics | None) -> Gate: ...

    def probe(self, model: Any, golden: Any) -> list[float]:
        """Outputs on the golden input; finite, and equal after save and load."""
        ...


@runtime_checkable
class Labelled(Family, Protocol):
    """A family whose models tell the probability of something that then happened or not: they can be stacked."""

    def told_and_true(self, model: Any, holdout: Any) -> tuple[Sequence[float], Sequence[float]]:
        """Probability (n,) and outcome 0 or 1 (n,) of the untouched rows."""
        ...


@runtime_checkable
class RowScorer(Protocol):
    """A model that `POST /predictions/{model}` can serve: rows of named numbers in, one output a row out.

    What an output is stands on the class: `output` = `number` (when it says nothing), `vector`, `object` or `list`,
    with `output_size` and `output_names` beside it (lifecycle/outputs.py). Not members: a model may leave them out.
    """

    feature_names: tuple[str, ...]

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]:
        """Missing features take the training default. Raises Invalid on a non-numeric value."""
        ...


@runtime_checkable
class ItemVectors(Protocol):
    """A model with a learned vector for each of its items; another may build on them (algorithm fusion, `space`)."""

    @property
    def item_ids(self) -> Sequence[str]: ...

    @property
    def item_vectors(self) -> NDArray[np.float32]:
        """float32 (items, d), in the order of `item_ids`."""
        ...


@runtime_checkable
class DatedVectors(ItemVectors, Protocol):
    """Item vectors of which is known up to when they have learned."""

    @property
    def reference(self) -> int | None:
        """Nothing of what came after this moment (us) stands in them; None: it is not known."""
        ...


@runtime_checkable
class EmbedsUsers(Protocol):
    """A model that gives a user's vector from what is told of the user: door `POST /user_embedding`."""

    def user_embedding(self, features: Mapping[str, Any], history: Sequence[str] | None = None) -> list[float]:
        """`features` by name, missing ones take the training default, or count for nothing; `history`: items taken,
        newest last, unknown ones count for nothing; None: the model reads no history. Raises Invalid for a value that
        cannot be read."""
        ...


@runtime_checkable
class EmbedsItems(Protocol):
    """A model that gives an item's vector from what is told of the item: door `POST /item_embedding`."""

    def item_embedding(self, features: Mapping[str, Any]) -> list[float]:
        """As `user_embedding`; the higher the inner product of the two, the better they go together."""
        ...


@runtime_checkable
class EmbedsQueries(Protocol):
    """A model that gives the vector of a query: door `POST /query_embedding`."""

    def query_embedding(self, features: Mapping[str, Any]) -> list[float]:
        """As `user_embedding`; the higher the cosine to a document's vector, the better the two match."""
        ...


@runtime_checkable
class Recalls(Protocol):
    """A model that names items for a user it has learned: door `POST /recall`."""

    def recall(self, user_id: str, top_k: int) -> tuple[list[str], list[float]]:
        """Ids of items (never of users), best first, and their scores; both empty for a user it does not know."""
        ...


@runtime_checkable
class IndexedVectors(ItemVectors, Protocol):
    """Item vectors whose model keeps an index over them (`learning.vector_index`), saved with the version."""

    @property
    def index(self) -> Any:
        """Rows are places in `item_ids`; its `facts` tell kind, metric and measured recall."""
        ...


class VectorSpace(Protocol):
    """Vectors of users and items of one version, together, in the shop's rows; kept up to date while the shop runs. The
    higher the inner product, the better a user and an item go together. Read on the thread of the derived state.
    """

    name: str

    @property
    def version(self) -> str | None:
        """`hgt/3`; None while nothing is published."""
        ...

    def user_vector(self, row: int) -> NDArray[np.float32] | None:
        """float32 (d,), as of the newest event; None for a user without a place in the space."""
        ...

    def items(self) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Item rows int32 (m,) and their vectors float32 (m, d); both empty while nothing is published."""
        ...


class LegacyMeta(msgspec.Struct, kw_only=True):
    """`feature_columns` in the model's order; `scaler` {column: {mean, std}} where the model wants scaled values; what
    else is to stand in the file of facts is `more`."""

    feature_columns: list[str]
    scaler: dict[str, dict[str, float]] | None = None
    more: dict[str, Any] = msgspec.field(default_factory=dict)


@runtime_checkable
class LegacyFiles(Protocol):
    """A model that can also be written as an older serving system reads it (`lifecycle/legacy.py`)."""

    def save_legacy(self, folder: Path) -> LegacyMeta:
        """Write the model's own file. Raises Invalid when such a file cannot say what this model does."""
        ...


class Served(Protocol):
    """One loaded version."""

    @property
    def version(self) -> Version: ...

    @property
    def model(self) -> Any: ...


class Models(Protocol):
    """Where versions come from: `lifecycle.serving.Serving`."""

    def peek(self, model: str, ref: str = "champion", scope: str = "all") -> Served | None:
        """The version in memory, or None; never waits."""
        ...


@dataclass(frozen=True)
class JobContext:
    """What a job's function gets in its child process. `workdir` is the job's own folder; what it leaves there stays.

    The returned dict (JSON-able) becomes the job's result and is handed to the kind's `finish` hook in the parent,
    which alone may write SQL. `emit` sends a message that the parent's `message` hook receives, in order.
    """

    job_id: str
    params: Mapping[str, Any]
    home: Path
    workdir: Path
    sql_url: str
    now: int
    zone: str
    report: Report
    emit: Callable[[dict[str, Any]], None]


JobFunction: TypeAlias = Callable[[JobContext], dict[str, Any]]
"""A job kind: entry-point group `shopkeeper.jobs`, name = kind."""

__all__ = [
    "Continuing",
    "DatedVectors",
    "EmbedsItems",
    "EmbedsQueries",
    "EmbedsUsers",
    "Family",
    "Follower",
    "IndexedVectors",
    "ItemVectors",
    "JobContext",
    "JobFunction",
    "Labelled",
    "LegacyFiles",
    "LegacyMeta",
    "Metrics",
    "Model",
    "Models",
    "Params",
    "Progress",
    "Recalls",
    "Report",
    "RowScorer",
    "Served",
    "Trainer",
    "TrainingContext",
    "TrainingData",
    "VectorSpace",
    "silent",
]
