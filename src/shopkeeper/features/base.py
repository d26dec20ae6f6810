"""The contract of a feature and of what it reads.

An `Accumulator` is what events write: one `apply` for the bulk import, the live event and the replay. A `Feature` is
what a request reads from it at a moment. A file of this room holds both, or names the accumulator it shares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from shopkeeper.features.arrivals import Arrivals
from shopkeeper.features.kinds import EventKinds

if TYPE_CHECKING:
    from shopkeeper.features.past import Past
    from shopkeeper.features.rings import Series
    from shopkeeper.features.state import FeatureState

GROUPS = ("temporal", "behavioral", "contextual", "aggregated")
SUBJECTS = ("user", "item", "pair", "context")
Reading: TypeAlias = "float | NDArray[np.float32]"
T = TypeVar("T")


class Accumulator(Protocol):
    """State that events write. The order in which events arrive must not matter in the end, nor how they are batched.

    `apply` gets every event once. Reading must not change what later reads see.
    """

    def __init__(self, kinds: EventKinds, /) -> None: ...

    def apply(self, events: Arrivals, state: FeatureState, /) -> None: ...


@runtime_checkable
class Merging(Protocol):
    """An accumulator that can join two users, and forget one. One that cannot is out of date until the next start."""

    def merge(self, source: int, target: int, events: Arrivals, state: FeatureState, /) -> Iterator[None] | None:
        """What was of the user `source` is of `target` from now on, as if its events had named `target`.

        `events` are all that both had, in log order, as they were applied. What takes longer than a moment is given
        back as an iterator and run in pieces, between requests.
        """
        ...

    def forget(self, user: int, state: FeatureState, /) -> None:
        """Nothing is kept of this user any more; what is counted by item may stay until the next start."""
        ...


@runtime_checkable
class Forking(Protocol):
    """An accumulator of which a cheap second one can be had; one that is no such thing is copied whole."""

    def fork(self, user: int, kinds: EventKinds, /) -> Accumulator:
        """One that says the same, to which events of this user alone are given. They do not show here. It may read
        what is kept here, so it is used at once, on the same thread, while this one takes no events."""
        ...


class ByItem:
    """An accumulator that keeps nothing by user: merging and forgetting users changes nothing in it."""

    def merge(self, _source: int, _target: int, _events: Arrivals, _state: FeatureState, /) -> None:
        """Nothing to do."""

    def forget(self, _user: int, _state: FeatureState, /) -> None:
        """Nothing to do."""


@dataclass
class Ask:
    """One question: what is known just before `time` about a user and n candidate items.

    Events with time < `time` are seen (strictly), so a training row never sees the event that it is to predict; a live
    request, which may see an event of this very microsecond, asks by `Ask.live`. `user` -1: nobody known.
    """

    user: int
    time: int
    items: NDArray[np.int32]
    state: FeatureState
    context: Mapping[str, Any] = field(default_factory=dict)
    _read: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def live(
        cls,
        user: int,
        now: int,
        items: NDArray[np.int32],
        state: FeatureState,
        context: Mapping[str, Any] | None = None,
    ) -> Ask:
        """Asked at `now`, seeing everything up to and including `now`."""
        return cls(user, now + 1, items, state, context or {})

    @cached_property
    def past(self) -> Past:
        """The user's events before `time`, read once for all features of this ask."""
        from shopkeeper.features.history import UserHistories

        return self.state.part(UserHistories).past(self.user, self.time)

    def recent(self, window: str) -> Series:
        """The user's tiles before `time` in one of `rings.SPANS`, read once for all features of this ask."""
        found: Series | None = self._read.get(window)
        if found is None:
            from shopkeeper.features.tiles import Tiles

            found = self._read[window] = self.state.part(Tiles).series(self.user, self.time, window, self.state)
        return found

    def know(self, window: str, series: Series) -> None:
        """What `recent` gives was read together with that of others."""
        self._read[window] = series

    def once(self, read: Callable[[Ask], T]) -> T:
        """What `read` makes of this ask, never None; worked out once for all features that share it."""
        found: T | None = self._read.get(read)
        if found is None:
            found = self._read[read] = read(self)
        return found

    def gather(self, values: NDArray[Any], default: float) -> NDArray[np.float32]:
        """`values[items]` as float32, `default` where an item lies outside of `values` (never named by an event)."""
        if self.inside(len(values)):
            return values[self.items].astype(np.float32)
        found = (self.items >= 0) & (self.items < len(values))
        result = np.full(len(self.items), default, dtype=np.float32)
        result[found] = values[self.items[found]]
        return result

    def inside(self, size: int) -> bool:
        """Do all items lie in a table of `size` rows?"""
        low, high = self._range
        return low >= 0 and high < size

    @cached_property
    def _range(self) -> tuple[int, int]:
        return (int(self.items.min()), int(self.items.max())) if len(self.items) else (0, -1)


class Feature(Protocol):
    """One number about a user, an item, a pair of both, or the moment.

    `read` gives a float (of user, context) or float32 (n,) in the order of `ask.items` (of item, pair), always finite;
    `default` is the answer for a user or an item that no event has named. A change of meaning raises `version`.
    """

    name: str
    group: str
    of: str
    unit: str
    default: float
    version: int
    help: str
    needs: ClassVar[tuple[type[Accumulator], ...]]

    def read(self, ask: Ask) -> Reading: ...


def grown(values: NDArray[Any], size: int, fill: float = 0) -> NDArray[Any]:
    """`values` with room for `size` entries: the same array when it fits, else a copy of at least double the length."""
    if size <= len(values):
        return values
    larger = np.full(max(size, 2 * len(values), 16), fill, dtype=values.dtype)
    larger[: len(values)] = values
    return larger
