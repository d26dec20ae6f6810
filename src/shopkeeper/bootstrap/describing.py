"""What the records of items tell suggestions, kept up with the catalogue."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import Clock
from shopkeeper.recommend.asking import Told
from shopkeeper.recommend.content import ContentIndex
from shopkeeper.stores.catalog import Catalog


def told_of_items(catalog: Catalog, clock: Clock) -> Told:
    """Records are made by the wall clock, suggestions by that of the shop: an item is as old here as it is there."""
    index = ContentIndex(catalog)
    catalog.subscribe(index.touch)

    def made() -> NDArray[np.int64]:
        moved: NDArray[np.int64] = catalog.born - (clock.wall() - clock.now())
        return moved

    return Told(index, made)
