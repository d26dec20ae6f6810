"""Item vectors that another model has published."""

from __future__ import annotations

from typing import Any

import numpy as np

from shopkeeper.core.clock import StoppedClock, rfc3339
from shopkeeper.core.errors import Conflict, Invalid
from shopkeeper.core.protocols import DatedVectors, ItemVectors, TrainingContext
from shopkeeper.lifecycle.addresses import parse_address
from shopkeeper.lifecycle.loading import load_model
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.profiles.fusion.blocks import Cutoffs
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
    until = model.reference if isinstance(model, DatedVectors) else None
    return ItemSpace(tuple(model.item_ids), vectors, f"{name}/{version.version}", until)


def look_ahead(space: ItemSpace | None, at: Cutoffs) -> dict[str, Any]:
    """What the manifest says of the space: which, up to when it has learned, and how many of the training months begin
    before that: of these it knows more than it could have then.

    Raises Conflict when it has learned from the days on which the fusion is to be measured.
    """
    if space is None:
        return {}
    if space.until is not None and space.until > at.holdout:
        raise Conflict(
            f"the item vectors of {space.version} have learned from days up to {rfc3339(space.until)}, and this fusion "
            f"is measured on what came after {rfc3339(at.holdout)}: it would be told what it is to foretell; take a "
            "version that ends earlier, or leave space empty",
            code="space_saw_holdout",
        )
    ahead = None if space.until is None else sum(cutoff < space.until for cutoff in at.training)
    until = None if space.until is None else rfc3339(space.until)
    return {"space_version": space.version, "space_until": until, "space_ahead_of": ahead}
