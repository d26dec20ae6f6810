"""Kept slates of a shop: where they are kept, and everybody who says that something they were made of has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.bootstrap.furnishing import GRAPH_DATA
from shopkeeper.core.batch import EventBatch
from shopkeeper.core.changes import Change, Changes
from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import NotFound
from shopkeeper.core.records import RecRequest, Version
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.recommend.service import RecommendService
from shopkeeper.recommend.shown import Log
from shopkeeper.recommend.slates import Front
from shopkeeper.recommend.slates.shared import SharedSlates
from shopkeeper.settings import MIB, Settings
from shopkeeper.stores.meta import Meta
from shopkeeper.stores.redis import Shared
from shopkeeper.stores.slates import most_asked
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import UserVocabulary, Vocabularies

_NO_SLATES = ("forecast",)
"""Tasks of models that no slate is made with."""


def shared_level(settings: Settings, meta: Meta, clock: Clock) -> Shared | None:
    """What processes of one shop share; None where no Redis is set. Raises Unavailable, Invalid.

    Rows are others once the shop's data was replaced by other data: that has keys of its own.
    """
    if settings.redis_url is None:
        return None
    shop, data = meta.get("shop.id") or "shop", meta.get(GRAPH_DATA) or "data"
    return Shared(settings.redis_url, prefix=(settings.redis_namespace, shop, data), clock=clock)


def slate_front(
    settings: Settings,
    recommend: RecommendService,
    *,
    vocab: Vocabularies,
    clock: Clock,
    log: Log,
    changes: Changes,
    shared: Shared | None,
) -> Front:
    level = None if shared is None else SharedSlates(shared, users=vocab.users, clock=clock, changes=changes)
    most = settings.slate_cache_mb * MIB
    front = Front(recommend.make, users=vocab.users, clock=clock, log=log, most=most, shared=level)
    changes.subscribe(front.hear)
    return front


def asked_before(db: Database, users: UserVocabulary, n: int) -> list[RecRequest]:
    """What the log of slates knows to have been asked most often: plain requests, as it knows no contexts."""
    if not n:
        return []
    with db.read() as connection:
        found = most_asked(connection, n)
    requests = []
    for row, user_id, scenario, number in found:
        id = user_id if row is None else users.id(row)
        if id and number and not (row is not None and users.is_anonymous(row)):
            requests.append(RecRequest(user_id=id, scenario=scenario, n_recommendations=number))
    return requests


class Telling:
    """Says on the one path what it hears from the stores, the log and the registry.

    As a follower it comes after those whose state a slate reads.
    """

    name = "changes"

    def __init__(self, changes: Changes, registry: Registry, on_hand: Callable[[], NDArray[np.float32]]) -> None:
        self._tell, self._registry, self._on_hand = changes.tell, registry, on_hand
        registry.attach(self)

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
