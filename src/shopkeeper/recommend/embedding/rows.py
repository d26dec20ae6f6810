"""What a training of this family gets, and what its model is measured on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Metrics
from shopkeeper.recommend.embedding.edges import Edges
from shopkeeper.recommend.embedding.reading import ItemText
from shopkeeper.recommend.embedding.sequences import Sequences
from shopkeeper.recommend.orders import Orders
from shopkeeper.recommend.recall.holdout import UserCase

_SHARE = 0.2
_LEAST = 10


@dataclass(frozen=True)
class EmbeddingRows:
    """One of: sequences (with `items`: sentences, and the items whose texts they are), or edges."""

    sequences: Sequences | None = None
    items: tuple[ItemText, ...] = ()
    edges: Edges | None = None

    def the_sequences(self) -> Sequences:
        """Raises Invalid where these rows have none."""
        if self.sequences is None:
            raise Invalid("these rows hold no sequences", code="no_data")
        return self.sequences

    def the_edges(self) -> Edges:
        """Raises Invalid where these rows have none."""
        if self.edges is None:
            raise Invalid("these rows hold no edges", code="no_data")
        return self.edges


@dataclass(frozen=True)
class LinkHoldout:
    """Links (n,) that were kept back, by id; `others` (n,) an item drawn for each that its user has no link with."""

    users: tuple[str, ...]
    items: tuple[str, ...]
    others: tuple[str, ...]
    naive: Metrics


def last_out(sequences: Sequences, seed: int, most: int) -> tuple[Sequences, tuple[UserCase, ...]]:
    """(sequences without the last id of a fifth of them, these as cases), drawn by seed. Raises Invalid (`too_few`)
    where fewer than ten have two ids."""
    return _out(sequences, seed, most, lambda _a, b, _random: b - 1, whole=False)


def word_out(sequences: Sequences, seed: int, most: int) -> tuple[Sequences, tuple[UserCase, ...]]:
    """The same for sentences: a word at any place is out, and the sentence with it."""
    return _out(sequences, seed, most, lambda a, b, random: int(random.integers(a, b)), whole=True)


def as_orders(sequences: Sequences) -> Orders:
    """As purchases, a user for each sequence, one a day: what plain baselines learn from."""
    user = np.repeat(np.arange(len(sequences), dtype=np.int32), np.diff(sequences.bounds))
    time = np.arange(len(user), dtype=np.int64)
    return Orders(user, sequences.tokens, time, sequences.ids)


def _out(
    sequences: Sequences, seed: int, most: int, choose: Callable[[int, int, np.random.Generator], int], *, whole: bool
) -> tuple[Sequences, tuple[UserCase, ...]]:
    """`choose` says which of the places a ... b - 1 is out; `whole`: the others are not learned from either."""
    random = np.random.default_rng(seed)
    sizes = np.diff(sequences.bounds)
    able = np.flatnonzero(sizes > 1)
    if len(able) < _LEAST:
        raise Invalid(
            f"{len(able)} sequences have two ids or more; {_LEAST} at least are needed to learn from some and measure "
            "on others",
            code="too_few",
        )
    drawn = np.sort(random.choice(able, min(max(int(len(able) * _SHARE), 1), most), replace=False))
    kept = np.ones(len(sequences.tokens), dtype=np.bool_)
    cases = []
    for number in drawn.tolist():
        a, b = int(sequences.bounds[number]), int(sequences.bounds[number + 1])
        at = choose(a, b, random)
        kept[a:b] &= not whole
        kept[at] = False
        rest = np.delete(sequences.tokens[a:b], at - a)[::-1]
        _, first = np.unique(rest, return_index=True)
        items = rest[np.sort(first)].astype(np.int32)
        taken = sequences.tokens[at : at + 1].astype(np.int32)
        cases.append(UserCase(number, items, np.zeros(len(items)), taken))
    return _without(sequences, kept), tuple(cases)


def _without(sequences: Sequences, kept: NDArray[np.bool_]) -> Sequences:
    bounds = np.concatenate([[0], np.cumsum(kept)])[sequences.bounds].astype(np.int64)
    return replace(sequences, tokens=sequences.tokens[kept], bounds=bounds, moments=sequences.moments[kept])
