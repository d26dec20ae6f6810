"""Item vectors that one model has published and others build on: fusion, and forecasts of what has hardly sold yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import StoppedClock, rfc3339
from shopkeeper.core.errors import Conflict, Invalid
from shopkeeper.core.protocols import DatedVectors, ItemVectors, TrainingContext
from shopkeeper.lifecycle.addresses import parse_address
from shopkeeper.lifecycle.loading import load_model
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.stores.artifacts import ArtifactStore
from shopkeeper.stores.home import Home
from shopkeeper.stores.sql import open_database


@dataclass(frozen=True)
class ItemSpace:
    """The learned vectors of items, float32 (items, d), by item id. `version` that published them (`hgt/3`), empty: the
    model that holds them. `until` (us): nothing of what came later stands in them; None: nobody said."""

    item_ids: tuple[str, ...]
    vectors: NDArray[np.float32]
    version: str = ""
    until: int | None = None

    @cached_property
    def place(self) -> Mapping[str, int]:
        """Row of each id."""
        return {name: row for row, name in enumerate(self.item_ids)}

    def nearest(self, item_id: str, most: int, among: Sequence[str] | None = None) -> tuple[str, ...]:
        """At most so many of all items, or of `among`, nearest first: those with a cosine above 0. None for an item
        without a vector."""
        names = self.item_ids if among is None else [name for name in among if name in self.place]
        if item_id not in self.place or not len(names):
            return ()
        vectors = self.vectors if among is None else self.vectors[[self.place[name] for name in names]]
        mine = self.vectors[self.place[item_id]].astype(np.float64)
        length = np.linalg.norm(vectors, axis=1) * np.linalg.norm(mine)
        cosine = np.where(length > 0, vectors @ mine / np.where(length > 0, length, 1.0), -1.0)
        order = np.argsort(-cosine, kind="stable")[:most]
        return tuple(names[row] for row in order if cosine[row] > 0)

    def check_before(self, moment: int, what: str) -> None:
        """Raises Conflict (`space_saw_holdout`) when it has learned from days after `moment` (us), on which `what` is
        to be measured."""
        if self.until is not None and self.until > moment:
            raise Conflict(
                f"the item vectors of {self.version} have learned from days up to {rfc3339(self.until)}, and {what} is "
                f"measured on what came after {rfc3339(moment)}: it would be told what it is to foretell; take a "
                "version that ends earlier, or leave space empty",
                code="space_saw_holdout",
            )


def published_vectors(context: TrainingContext, address: str) -> ItemSpace:
    """Of `model` (its champion), `model@ref` or `model/ref`, of this shop. Raises NotFound when there is none,
    Unavailable when it cannot be loaded, Invalid when it has no vectors of items."""
    name, ref = parse_address(address)
    db = open_database(context.sql_url, read_only=True)
    try:
        registry = Registry(db, ArtifactStore(Home(context.home).artifacts), StoppedClock(context.now))
        version = registry.version(name, ref)
        model, _ = load_model(version.algorithm, registry.folder(version), version.files)
    finally:
        db.close()
    return space_of(model, f"{name}/{version.version}", version.algorithm)


def space_of(model: Any, version: str, algorithm: str = "") -> ItemSpace:
    """The vectors of a loaded model. Raises Invalid (`no_vectors`, `bad_vectors`)."""
    if not isinstance(model, ItemVectors):
        of = f" ({algorithm})" if algorithm else ""
        raise Invalid(
            f"model {version.partition('/')[0]!r}{of} has no vectors of items; leave space empty to learn them here",
            code="no_vectors",
            field="space",
        )
    vectors = np.asarray(model.item_vectors, dtype=np.float32)
    if vectors.shape[:1] != (len(model.item_ids),) or vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise Invalid(f"the item vectors of {version} do not fit its items", code="bad_vectors", field="space")
    until = model.reference if isinstance(model, DatedVectors) else None
    return ItemSpace(tuple(model.item_ids), vectors, version, until)
