"""Item vectors that another model has published."""

from __future__ import annotations

import numpy as np

from shopkeeper.core.clock import StoppedClock
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import ItemVectors, TrainingContext
from shopkeeper.lifecycle.addresses import parse_address
from shopkeeper.lifecycle.loading import load_model
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.profiles.fusion.model import ItemSpace
from shopkeeper.stores.artifacts import ArtifactStore
from shopkeeper.stores.home import Home
from shopkeeper.stores.sql import open_database


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
    if not isinstance(model, ItemVectors):
        raise Invalid(
            f"model {name!r} ({version.algorithm}) has no vectors of items; leave space empty to learn them here",
            code="no_vectors",
            field="space",
        )
    vectors = np.asarray(model.item_vectors, dtype=np.float32)
    if vectors.shape[:1] != (len(model.item_ids),) or vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise Invalid(f"the item vectors of {name!r} do not fit its items", code="bad_vectors", field="space")
    return ItemSpace(tuple(model.item_ids), vectors)
