"""What a user's score, segments and top items would be after some events, none of which is stored.

The events are tried on forks of the derived state, so the answer is what would be told if they were sent now.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import VectorSpace
from shopkeeper.core.records import Event, RecItem, Record
from shopkeeper.features.state import FeatureState
from shopkeeper.operations.supposed_shelf import SupposedShelf
from shopkeeper.profiles.service import ProfileService
from shopkeeper.profiles.supposing import Standing
from shopkeeper.recommend.service import RecommendService
from shopkeeper.stores.catalog import Catalog
from shopkeeper.stores.rehearsal import rehearse
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import Vocabularies

MOST_EVENTS = 20


class Side(Record, kw_only=True):
    """`score` and `probability` are the final ones of `scores`, which are a profile's."""

    score: float
    probability: float
    scores: dict[str, Any]
    segments: list[str]
    top_items: list[RecItem]


class Change(Record, kw_only=True):
    """After minus before: `score` in logits; segments that are entered and left; items that come in and drop out."""

    score: float
    probability: float
    entered: list[str]
    left: list[str]
    items_in: list[str]
    items_out: list[str]


class Supposed(Record, kw_only=True):
    """`accepted` events would be new; `duplicates` are in the log already, or come twice, and change nothing."""

    user_id: str
    before: Side
    after: Side
    change: Change
    accepted: int
    duplicates: int


class AfterEvents(Protocol):
    """Who can say where a user would be in the vector space: the graph."""

    @property
    def space(self) -> VectorSpace: ...

    def vector_after(self, row: int, events: EventBatch) -> NDArray[np.float32] | None: ...


class WhatIf:
    """Used on the thread of the derived state. `graph` None: the shop has no vector space."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        vocab: Vocabularies,
        *,
        features: FeatureState,
        catalog: Catalog,
        profiles: ProfileService,
        recommend: RecommendService,
        graph: AfterEvents | None = None,
    ) -> None:
        self._db = db
        self._clock = clock
        self._vocab = vocab
        self._features = features
        self._catalog = catalog
        self._profiles = profiles
        self._recommend = recommend
        self._graph = graph

    def ask(self, user_id: str, events: Sequence[Event], *, n: int = 10, scenario: str = "home") -> Supposed:
        """Nothing is stored, and no other user is looked at.

        Raises NotFound (user), Refused (no consent to profiling), Invalid (an event that the log would refuse, or of
        somebody else; scenario).
        """
        before = _side(self._profiles.standing(user_id), self._recommend.top(user_id, n, scenario))
        row = self._vocab.users.row(user_id)
        assert row is not None  # who has a standing has a row
        own = [self._own(user_id, row, number, event) for number, event in enumerate(events)]
        rehearsal = rehearse(self._db, self._vocab, self._clock, own)
        fork = self._features.fork(row, rehearsal.types)
        fork.apply(rehearsal.batch)
        shelf = SupposedShelf(self._catalog, rehearsal.items) if rehearsal.items else self._catalog
        standing = self._profiles.supposed(user_id, fork, shelf)
        slates = self._recommend.supposing(fork, shelf, self._space(row, rehearsal.batch))
        after = _side(standing, slates.top(user_id, n, scenario))
        return Supposed(
            user_id=user_id,
            before=before,
            after=after,
            change=_change(before, after),
            accepted=len(rehearsal.batch),
            duplicates=rehearsal.duplicates,
        )

    def _own(self, user_id: str, row: int, number: int, event: Event) -> Event:
        """The event as one of the user's. Raises Invalid for one that names somebody else."""
        if event.user_id is not None and self._vocab.users.row(event.user_id) != row:
            raise Invalid(
                f"events[{number}] is of user {event.user_id[:128]!r}, expected {user_id!r}: leave user_id out",
                code="other_user",
                field=f"events[{number}].user_id",
            )
        return msgspec.structs.replace(event, user_id=user_id)

    def _space(self, row: int, events: EventBatch) -> VectorSpace | None:
        """The user has the vector of after the events; those that name what the shop has not met do not move it yet."""
        if self._graph is None or self._graph.space.version is None:
            return None
        known = events.item < len(self._catalog)
        known &= (events.other < len(self._vocab.users)) & (events.type < len(self._vocab.event_types))
        return _Moved(self._graph.space, row, self._graph.vector_after(row, events.take(known)))


class _Moved:
    """A vector space in which one user has another vector."""

    def __init__(self, space: VectorSpace, row: int, vector: NDArray[np.float32] | None) -> None:
        self.name = space.name
        self._space = space
        self._row = row
        self._vector = vector

    @property
    def version(self) -> str | None:
        return self._space.version

    def user_vector(self, row: int) -> NDArray[np.float32] | None:
        return self._vector if row == self._row else self._space.user_vector(row)

    def items(self) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        return self._space.items()


def _side(standing: Standing, top_items: list[RecItem]) -> Side:
    scores = standing.scores
    return Side(
        score=scores["final_score"],
        probability=scores["probability"],
        scores=scores,
        segments=standing.segments,
        top_items=top_items,
    )


def _change(before: Side, after: Side) -> Change:
    shown, would = ([item.item_id for item in side.top_items] for side in (before, after))
    return Change(
        score=after.score - before.score,
        probability=after.probability - before.probability,
        entered=sorted(set(after.segments) - set(before.segments)),
        left=sorted(set(before.segments) - set(after.segments)),
        items_in=[id for id in would if id not in shown],
        items_out=[id for id in shown if id not in would],
    )
