"""What tower models learn from: stretches of what a user took, each with the items before it.

A stretch has up to SPAN places next to each other; each of them is to be foretold from the items before it. So the
items before are looked up once for all places of a stretch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.recall.training import RecallData

Items = NDArray[np.int64]
SPAN = 16
_VALIDATED = 0.05
_MOST_VALIDATED, _FEWEST_VALIDATED = 1000, 20


@dataclass(frozen=True)
class Stretches:
    """b stretches. Column j of `items` (b, history + SPAN) is the place `history` - j before the stretch's first one;
    0 where `present` is not. `wanted` (b, SPAN) says which of the last SPAN columns are to be foretold. `user` (b,)."""

    items: Items
    present: NDArray[np.bool_]
    wanted: NDArray[np.bool_]
    user: Items


@dataclass(frozen=True)
class Sequences:
    """What each of u users took, oldest first, one user after another: item and moment (n,), `start` (u + 1,). `rows`
    (u,): which of the users of `sequences_of` they are."""

    item: Items
    moment: NDArray[np.int64]
    start: Items
    rows: Items
    last_only: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    def counts(self, n_items: int) -> NDArray[np.int64]:
        """How often each item is to be foretold."""
        item = self.item[self.start[1:] - 1] if self.last_only else self.item
        return np.bincount(item, minlength=n_items)

    def apart(self, history: int, seed: int) -> tuple[Sequences, Stretches | None]:
        """Those to learn from, and the last item of a twentieth of the users, who have more than one; None: too few
        users for that. Of users whose last item alone is to be foretold nothing is left to learn from."""
        size = np.diff(self.start)
        can = np.flatnonzero(size > (0 if self.last_only else 1))
        n = min(int(len(can) * _VALIDATED), _MOST_VALIDATED)
        if n < _FEWEST_VALIDATED:
            return self, None
        chosen = np.sort(np.random.default_rng(seed).choice(can, n, replace=False))
        held = _cut(self, chosen, size[chosen] - 1, size[chosen], history)
        left = size.copy()
        left[chosen] = 0 if self.last_only else size[chosen] - 1
        where = np.arange(len(self.item)) - np.repeat(self.start[:-1], size) < np.repeat(left, size)
        users = left > 0
        start = np.concatenate([[0], np.cumsum(left[users])])
        return Sequences(self.item[where], self.moment[where], start, self.rows[users], self.last_only), held

    def epoch(self, history: int, size: int, random: np.random.Generator) -> Iterator[Stretches]:
        """All places once, in steps of `size` stretches. What one moment holds is put in a drawn order."""
        user = np.repeat(np.arange(len(self)), np.diff(self.start))
        order = np.lexsort((random.random(len(self.item)), self.moment, user))
        mixed = Sequences(self.item[order], self.moment, self.start, self.rows, self.last_only)
        length = np.diff(self.start)
        if self.last_only:
            user, begin, end = np.arange(len(self)), length - 1, length
        else:
            offset = random.integers(0, SPAN, len(self))
            parts = (length + offset + SPAN - 1) // SPAN
            user = np.repeat(np.arange(len(self)), parts)
            number = np.arange(len(user)) - np.repeat(np.cumsum(parts) - parts, parts)
            begin = np.maximum(number * SPAN - offset[user], 0)
            end = np.minimum((number + 1) * SPAN - offset[user], length[user])
        mixture = random.permutation(len(user))
        for at in range(0, len(user), size):
            some = mixture[at : at + size]
            yield _cut(mixed, user[some], begin[some], end[some], history)

    def steps(self, size: int) -> int:
        """About how many an epoch has."""
        parts = len(self) if self.last_only else int((np.diff(self.start) / SPAN + 1).sum())
        return max(1, parts // size)


def sequences_of(data: RecallData, kept: Items) -> tuple[Sequences, Items]:
    """Of the users who took one of the items `kept` (sorted rows), whose places there they hold, and these users' rows.
    An item stands once, at its last purchase, as a history holds it."""
    pairs = data.orders.pairs()
    place = np.full(data.orders.n_items, -1, dtype=np.int64)
    place[kept] = np.arange(len(kept))
    where = np.flatnonzero(place[pairs.item] >= 0)
    where = where[np.argsort(pairs.user[where], kind="stable")]
    users, begin = np.unique(pairs.user[where], return_index=True)
    start = np.append(begin, len(where)).astype(np.int64)
    made = Sequences(place[pairs.item[where]], pairs.time[where], start, np.arange(len(users)), data.last_only)
    return made, users.astype(np.int64)


def _cut(sequences: Sequences, user: Items, begin: Items, end: Items, history: int) -> Stretches:
    """The places from `begin` to before `end` of these users, at most SPAN."""
    place = begin[:, None] + np.arange(-history, SPAN)
    present = (place >= 0) & (place < end[:, None])
    flat = np.where(present, sequences.start[user][:, None] + place, 0)
    return Stretches(np.where(present, sequences.item[flat], 0), present, present[:, history:], sequences.rows[user])
