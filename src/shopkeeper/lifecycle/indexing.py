"""An index over the vectors of a version's items: built where it is trained, saved with it, there when it serves.

A model may keep one of its own (`IndexedVectors`). For any other with vectors of items it is made here, once they are
too many to look at each.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.core.protocols import IndexedVectors, ItemVectors
from shopkeeper.learning.vector_index import EXACT_UP_TO, VectorIndex

log = logging.getLogger(__name__)
NAME = "item_index"
RECALL = "index_recall"


def build(model: Any, folder: Path) -> None:
    """Leaves an index beside the model's files, where it needs one."""
    if isinstance(model, IndexedVectors) or not isinstance(model, ItemVectors) or len(model.item_ids) <= EXACT_UP_TO:
        return
    index = VectorIndex.build(np.asarray(model.item_vectors), exact=EXACT_UP_TO)
    if index.facts.kind != "exact":
        index.save(folder, NAME)


def index_of(model: Any, folder: Path) -> VectorIndex | None:
    """The model's own, or the one beside it; None: every item is looked at."""
    if isinstance(model, IndexedVectors):
        found = model.index
        return found if isinstance(found, VectorIndex) else None
    if not isinstance(model, ItemVectors) or not (folder / f"{NAME}.json").exists():
        return None
    try:
        return VectorIndex.load(folder, np.asarray(model.item_vectors), NAME)
    except ShopkeeperError as error:
        log.error("%s is searched without its index: %s", "/".join(folder.parts[-3:]), error.message)
        return None


def measures_of(index: VectorIndex | None) -> dict[str, float]:
    """The share of the nearest that an approximate index finds."""
    return {} if index is None or index.facts.kind == "exact" else {RECALL: index.facts.recall}
