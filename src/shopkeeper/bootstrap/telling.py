"""Everybody who says that something has changed of which slates and features were made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.changes import Change, Changes
from shopkeeper.core.errors import NotFound
from shopkeeper.core.records import Version
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.operations.erasure import Erasure
from shopkeeper.operations.identities import Identities
from shopkeeper.profiles.rulebook import RuleBook
from shopkeeper.stores.catalog import Catalog
from shopkeeper.stores.stock import StockStore

_NO_SLATES = ("forecast",)
"""Tasks of models that no slate is made with."""


class OfUsers(Protocol):
    """A store that says of which users' rows it has changed something."""

    def subscribe(self, listener: Callable[[list[int]], None], /) -> None: ...


class Telling:
    """Says on the one path what it hears from the stores, the log and the registry.

    As a follower it comes after those whose state a slate reads.
    """

    name = "changes"

    def __init__(self, changes: Changes, registry: Registry, on_hand: Callable[[], NDArray[np.float32]]) -> None:
        self._tell, self._registry, self._on_hand = changes.tell, registry, on_hand
        registry.attach(self)

    def hear(
        self,
        *,
        users: Sequence[OfUsers],
        items: Catalog,
        stock: StockStore,
        rules: RuleBook,
        identities: Identities,
        erasure: Erasure,
    ) -> None:
        """From now on; after all that keep something of their own of what these say."""
        for one in users:
            one.subscribe(self.users)
        items.subscribe(self.items)
        stock.subscribe(self.stock)
        rules.subscribe(self.rules)
        identities.subscribe(self.moved)
        erasure.subscribe(self.user)

    def apply(self, batch: EventBatch) -> None:
        users = np.unique(batch.user)
        self.users(users[users >= 0].tolist())

    def users(self, rows: Iterable[int]) -> None:
        """Their events, records, consents or preferences."""
        if named := tuple(rows):
            self._tell(Change("user", rows=named))

    def moved(self, source: int, target: int) -> None:
        self.users((source, target))

    def user(self, row: int) -> None:
        self.users((row,))

    def items(self, rows: list[int]) -> None:
        """Their records: price, name, whether they are sold."""
        self._tell(Change("item", rows=tuple(rows)))

    def stock(self, rows: list[int]) -> None:
        """Pieces on hand: who shows what is sold out must hear of it; how many there are changes no slate."""
        on_hand = self._on_hand()
        if gone := tuple(row for row in rows if row < len(on_hand) and on_hand[row] <= 0):
            self._tell(Change("item", rows=gone))

    def rules(self) -> None:
        self._tell(Change("rules"))

    def everything(self) -> None:
        self._tell(Change("all"))

    # -- the registry's

    def prepare(self, version: Version) -> None:
        """Nothing to load."""

    def changed(self, model: str, scope: str) -> None:
        """Another champion, or none any more."""
        try:
            task = self._registry.model(model, scope).task
        except NotFound:
            task = ""
        if task not in _NO_SLATES:
            self._tell(Change("model", names=(model,)))


def forgets_with(clear: Callable[[], Any]) -> Callable[[Change], None]:
    """A listener for what is kept of profiles: of users and items it hears by itself."""

    def hear(change: Change) -> None:
        if change.kind in ("model", "rules", "features", "all"):
            clear()

    return hear
