"""Sequences of items or words, as skip-gram reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.embedding.skipgram import Chunk


@dataclass(frozen=True)
class Sequences:
    """`tokens` int32: places in `ids`; sequence i is `tokens[bounds[i] : bounds[i + 1]]`. `moments` int64 as `tokens`,
    rising within a sequence: what has the same moment has no order."""

    tokens: NDArray[np.int32]
    bounds: NDArray[np.int64]
    moments: NDArray[np.int64]
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @classmethod
    def of(cls, texts: Iterable[Sequence[str]]) -> Sequences:
        """Of lists of ids, each in its order."""
        place: dict[str, int] = {}
        rows = [[place.setdefault(name, len(place)) for name in text] for text in texts]
        sizes = np.array([len(row) for row in rows], dtype=np.int64)
        tokens = np.array([each for row in rows for each in row], dtype=np.int32)
        bounds = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        return cls(tokens, bounds, np.arange(len(tokens), dtype=np.int64), tuple(place))

    def often(self, min_count: int) -> tuple[Sequences, NDArray[np.int64]]:
        """Without the items that occur less often; and the places of those that stay."""
        counts = np.bincount(self.tokens, minlength=len(self.ids))
        kept = np.flatnonzero(counts >= min_count)
        place = np.full(len(self.ids), -1, dtype=np.int32)
        place[kept] = np.arange(len(kept))
        stays = place[self.tokens] >= 0
        bounds = np.concatenate([[0], np.cumsum(stays)])[self.bounds].astype(np.int64)
        ids = tuple(self.ids[at] for at in kept)
        return Sequences(place[self.tokens[stays]], bounds, self.moments[stays], ids), kept


@dataclass(frozen=True)
class SequenceCorpus:
    """Sequences in another order each epoch; within one moment too."""

    sequences: Sequences
    seed: int

    @property
    def n(self) -> int:
        return len(self.sequences.ids)

    def counts(self) -> NDArray[np.int64]:
        """Zero for all where no sequence has two items."""
        if not len(self.sequences.tokens) or np.diff(self.sequences.bounds).max() < 2:
            return np.zeros(self.n, dtype=np.int64)
        return np.bincount(self.sequences.tokens, minlength=self.n).astype(np.int64)

    def tokens(self) -> int:
        return len(self.sequences.tokens)

    def chunks(self, epoch: int, most: int) -> Iterator[Chunk]:
        random = np.random.default_rng((self.seed, epoch))
        here = self.sequences
        sizes = np.diff(here.bounds)
        order = random.permutation(len(here))
        order = order[sizes[order] > 1]
        # The order of the tokens: by sequence as drawn, by moment, and by lot within one.
        number = np.repeat(np.arange(len(here)), sizes)
        inside = np.lexsort((random.random(len(here.tokens)), here.moments, number))
        tokens = here.tokens[inside]
        ends = np.cumsum(sizes[order])
        first = 0
        while first < len(order):
            before = int(ends[first - 1]) if first else 0
            last = max(int(np.searchsorted(ends, before + most, side="right")), first + 1)
            chosen = order[first:last]
            bounds = np.concatenate([[0], np.cumsum(sizes[chosen])]).astype(np.int64)
            places = np.arange(bounds[-1]) + np.repeat(here.bounds[chosen] - bounds[:-1], sizes[chosen])
            yield tokens[places], bounds, first
            first = last
