"""The catalogue as it would be with items that only a supposed event names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shopkeeper.stores.catalog import Catalog


class SupposedShelf:
    """A copy with more items at its end, each as an event makes it: active, named by its id, without category and
    price. `items` are (id, kind)."""

    def __init__(self, shelf: Catalog, items: Sequence[tuple[str, str]]) -> None:
        n, ids, kinds = len(shelf), [id for id, _ in items], [kind for _, kind in items]
        self.moves, self.version = shelf.moves, shelf.version
        self.ids = [*shelf.ids[:n], *ids]
        self.names = [*shelf.names[:n], *ids]
        self.category: list[str | None] = [*shelf.category[:n], *([None] * len(ids))]
        self.kind = [*shelf.kind[:n], *kinds]
        self.price = np.concatenate([shelf.price[:n], np.full(len(ids), np.nan, dtype=np.float32)])
        self.active = np.concatenate([shelf.active[:n], np.ones(len(ids), dtype=np.bool_)])
        sold = np.array([kind == "product" for kind in kinds], dtype=np.bool_)
        self._sellable = np.concatenate([shelf.sellable()[:n], sold])

    def sellable(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return self._sellable

    def __len__(self) -> int:
        return len(self._sellable)
