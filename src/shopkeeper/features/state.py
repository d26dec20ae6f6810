"""The state of all online features: one follower of the log that hands every event to the accumulators.

Used on one thread. Methods that take `now` see everything up to and including it; an `Ask` sees what is before its
time. Users' windows are exact for any moment; item windows and purchases are those of the newest event applied.
"""

from __future__ import annotations

import copy
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar, cast
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import DAY
from shopkeeper.core.errors import Unavailable
from shopkeeper.features.arrivals import MICRO, arrivals
from shopkeeper.features.base import Accumulator, Feature, Forking, Merging
from shopkeeper.features.columns import UserColumns
from shopkeeper.features.copurchase import CoPurchases
from shopkeeper.features.history import UserHistories
from shopkeeper.features.item_facts import ItemFacts
from shopkeeper.features.item_windows import ItemWindows
from shopkeeper.features.kinds import EventKinds, TypeNames
from shopkeeper.features.past import WINDOWS, Past, Window
from shopkeeper.features.purchases import Purchases
from shopkeeper.features.registry import registered
from shopkeeper.features.tiles import SLOTS, Tiles
from shopkeeper.telemetry import metrics

_LOGGER = logging.getLogger(__name__)
A = TypeVar("A", bound=Accumulator)
B = TypeVar("B")

# In the order in which they are applied: co-purchases pair what arrives with what the histories hold already, and tiles
# take up what these will not hold any more.
BUILT_IN: tuple[type[Accumulator], ...] = (CoPurchases, Tiles, UserHistories, Purchases, ItemWindows, ItemFacts)
_FOREVER = np.iinfo(np.int64).max


class RecentEvent(NamedTuple):
    """`time` in us, `item` a row or -1, `quantity` in pieces, `value` in currency."""

    time: int
    type: str
    item: int
    quantity: float
    value: float


class FeatureState:
    """Follows the log. `types` is the vocabulary of event types; `features` add accumulators to the built-in ones.
    `slots`: of so many users at most tiles are kept.

    `out_of_date` names accumulators that could not join or forget a user: they go on, and are right after a restart.
    """

    name = "features"

    def __init__(
        self, zone: ZoneInfo, types: TypeNames, *, features: Iterable[Feature] | None = None, slots: int = SLOTS
    ) -> None:
        self.zone = zone
        self.kinds = EventKinds(types)
        self.version = 0
        wanted = registered().values() if features is None else features
        kinds = dict.fromkeys([*BUILT_IN, *(need for feature in wanted for need in feature.needs)])
        self._parts: dict[type[Accumulator], Accumulator] = {kind: kind(self.kinds) for kind in kinds}
        self.part(Tiles).slots = slots
        self.out_of_date: set[str] = set()
        self._columns: UserColumns | None = None
        self._columns_version = -1

    def apply(self, batch: EventBatch) -> None:
        """Takes events, each once. Late ones are welcome: the end is the same in every order."""
        if not len(batch):
            return
        events = arrivals(batch, self.kinds)
        for part in self._parts.values():
            part.apply(events, self)
        self.version += 1

    def merge(self, source: int, target: int, events: EventBatch) -> Iterator[None]:
        """Two user rows turn out to be one person: all that was of `source` is of `target` from now on.

        `events` are all events of both that this state has taken, in log order, with the rows that they came with. The
        state is then what it would be, had they all named `target`. What takes long (pairs of very many orders) is left
        to the iterator: run it to its end, at once or between requests.
        """
        if not len(events):
            return iter(())
        taken = arrivals(events, self.kinds)
        rest = [self._ask(part, lambda one: one.merge(source, target, taken, self)) for part in self._parts.values()]
        self.version += 1
        return itertools.chain.from_iterable(pieces for pieces in rest if pieces is not None)

    def forget(self, user: int) -> None:
        """What is kept by user is gone at once; counts of items and of pairs of items may stay until the next start."""
        for part in self._parts.values():
            self._ask(part, lambda one: one.forget(user, self))
        self.version += 1

    def fork(self, user: int, types: TypeNames | None = None) -> FeatureState:
        """A second state that says the same, on which events of one user can be tried: they do not show in this one.

        It reads what is kept here: use it at once, on the same thread. `types`: the event types of this one and more.
        """
        forked = copy.copy(self)
        forked.kinds = self.kinds if types is None else self.kinds.fork(types)
        forked._parts = {kind: self._forked(part, user, forked.kinds) for kind, part in self._parts.items()}
        forked.out_of_date = set(self.out_of_date)
        forked._columns = None
        return forked

    def part(self, kind: type[A]) -> A:
        """The accumulator of a kind. Raises Unavailable when this state was built without it."""
        found = self._parts.get(kind)
        if found is None:
            raise Unavailable(
                f"this feature state does not keep {kind.__name__}; build it with the feature that needs it"
            )
        return cast(A, found)

    @property
    def n_users(self) -> int:
        """One more than the highest user row that an event has named."""
        return len(self.part(UserHistories))

    @property
    def n_items(self) -> int:
        """One more than the highest item row that an event has named."""
        return self.part(ItemFacts).size

    def past(self, user: int, now: int | None = None) -> Past:
        """The user's events up to `now`; None: all."""
        return self.part(UserHistories).past(user, _FOREVER if now is None else now + 1)

    def user_items(self, user: int) -> NDArray[np.int32]:
        """Distinct items that the user ever ordered, the most recent first."""
        basket = self.part(Purchases).of(user)
        return basket.items[np.argsort(-basket.last, kind="stable")]

    def user_recent(self, user: int, n: int) -> list[RecentEvent]:
        """The user's last n events, newest first."""
        past = self.past(user)
        where = range(len(past.times) - 1, max(-1, len(past.times) - 1 - n), -1)
        return [
            RecentEvent(
                time=int(past.times[i]),
                type=self.kinds.name(int(past.rows["type"][i])),
                item=int(past.rows["item"][i]),
                quantity=int(past.rows["quantity"][i]) / MICRO,
                value=int(past.rows["value"][i]) / MICRO,
            )
            for i in where
        ]

    def user_window(self, user: int, now: int, days: float | None) -> Window:
        """What the user did in the last `days` up to `now`; None: ever. Exact to the event."""
        return self.past(user, now).window(None if days is None else int(days * DAY))

    def user_windows(self, user: int, now: int) -> dict[str, Any]:
        """`{"1h": {counts {type: n}, events, orders, lines, distinct_items, pieces, spend, returned}, "24h", "7d",
        "30d", "all", "recency": {last_event, last_order, first_event (us or None), days_since_event,
        days_since_order, tenure_days (or None)}}`. Amounts in currency."""
        past = self.past(user, now)
        result: dict[str, Any] = {}
        for name, span in WINDOWS.items():
            window = past.window(span)._asdict()
            window["distinct_items"] = window.pop("items")
            result[name] = {"counts": past.counts(span), **window}
        result["recency"] = _recency(past, now)
        return result

    def event_counts(self, user: int) -> dict[str, int]:
        """All events of the user by type, most frequent first."""
        return self.past(user).counts(None)

    def item_popularity(self, now: int, days: int | None = 30) -> NDArray[np.float32]:
        """Order lines of each item (n_items,) in the last `days` (1 to 30), to the tile; None: all time."""
        if days is None:
            return self.part(ItemFacts).lines[: self.n_items].astype(np.float32)
        sales = self.part(ItemWindows).sales(days, now + 1)
        result = np.zeros(self.n_items, dtype=np.float32)
        size = min(self.n_items, len(sales))
        result[:size] = sales[:size]
        return result

    def columns(self, now: int, users: int | None = None) -> UserColumns:
        """All users' windows as columns, see `UserColumns`. Kept until the next event or another `now`."""
        users = self.n_users if users is None else users
        kept, version = self._columns, self._columns_version
        same = kept is not None and version == self.version and kept.users == users
        if kept is None or not same or kept.now != now:
            flat = kept.flat if kept is not None and same else None
            kept = self._columns = UserColumns(
                self.part(UserHistories), self.kinds, now, np.arange(users, dtype=np.int64), flat
            )
            self._columns_version = self.version
        return kept

    def columns_of(self, rows: NDArray[np.int64], now: int | NDArray[np.int64]) -> UserColumns:
        """The windows of some users, each at its own `now` where that is an array."""
        return UserColumns(self.part(UserHistories), self.kinds, now, rows, None)

    def user_columns(self, now: int, users: int | None = None) -> dict[str, NDArray[Any]]:
        """Columns (users,) for rules over everybody: `events_, orders_, lines_, distinct_items_, pieces_, spend_,
        returned_` x `1h, 24h, 7d, 30d, all`, and `days_since_event, days_since_order, tenure_days` (NaN: never)."""
        return self.columns(now, users).all()

    def realtime(self, user: int, now: int, context: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The features of one user in four groups, see `realtime.realtime`."""
        from shopkeeper.features.realtime import realtime

        return realtime(self, user, now, context)

    def _forked(self, part: Accumulator, user: int, kinds: EventKinds) -> Accumulator:
        if isinstance(part, Forking):
            return part.fork(user, kinds)
        return copy.deepcopy(part, {id(self.kinds): kinds})

    def _ask(self, part: Accumulator, change: Callable[[Merging], B]) -> B | None:
        """What an accumulator makes of a change; None, and it is out of date, when it cannot."""
        try:
            if not isinstance(part, Merging):
                raise TypeError(
                    f"{type(part).__name__} has no merge and forget: see Merging and ByItem, features/base.py"
                )
            return change(part)
        except Exception:  # an edge: a shop's own accumulator must not stop the others
            name = type(part).__name__
            if name not in self.out_of_date:
                self.out_of_date.add(name)
                metrics.accumulator_out_of_date.labels(name).set(1)
                _LOGGER.exception("accumulator %s is out of date until the next start", name)
            return None


def _recency(past: Past, now: int) -> dict[str, int | float | None]:
    def known(time: int) -> int | None:
        return time if time >= 0 else None

    def days(time: int) -> float | None:
        return (now - time) / DAY if time >= 0 else None

    return {
        "first_event": known(past.first_time),
        "last_event": known(past.last_time),
        "last_order": known(past.last_order),
        "tenure_days": days(past.first_time),
        "days_since_event": days(past.last_time),
        "days_since_order": days(past.last_order),
    }
