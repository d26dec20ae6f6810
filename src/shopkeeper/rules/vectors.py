"""Columns that are more than one array: texts and maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.rules.tree import Node

_FEW_HITS = 3
"""Up to so many words with the answer yes, comparing codes beats looking the answers up."""
_MANY_WORDS = 4096

Numbers: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TextColumn:
    """`codes` int32[n] into `words`; -1 is missing. What a rule asks of a text is asked once for each word.

    `answers` keeps what was asked, by the node that asked; slices of the column share it.
    """

    codes: NDArray[np.int32]
    words: tuple[str, ...]
    answers: dict[Node, NDArray[Any]] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, texts: Sequence[str | None]) -> TextColumn:
        places: dict[str, int] = {}
        codes = [-1 if text is None else places.setdefault(text, len(places)) for text in texts]
        return cls(np.array(codes, dtype=np.int32), tuple(places))

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: slice) -> TextColumn:
        return TextColumn(self.codes[rows], self.words, self.answers)

    def each(self, node: Node, ask: Callable[[str], bool]) -> Bools:
        """bool[n]: the answer for the row's word, False where it is missing."""
        answers = self._asked(node, ask, False, np.bool_)
        hits = np.flatnonzero(answers) if len(answers) <= _MANY_WORDS else None
        if hits is None or len(hits) > _FEW_HITS:
            return answers[self.codes]
        found = np.zeros(len(self.codes), dtype=np.bool_)
        for hit in hits:
            found |= self.codes == hit
        return found

    def numbers(self, node: Node, ask: Callable[[str], float]) -> Numbers:
        """float64[n]: the number for the row's word, NaN where it is missing."""
        return self._asked(node, ask, np.nan, np.float64)[self.codes]

    def _asked(self, node: Node, ask: Callable[[str], Any], missing: Any, dtype: type[np.generic]) -> NDArray[Any]:
        answers = self.answers.get(node)
        if answers is None:
            # The code of a missing text, -1, reads the last place.
            answers = self.answers[node] = np.array([*map(ask, self.words), missing], dtype=dtype)
        return answers

    def to_list(self) -> list[str | None]:
        return [None if code < 0 else self.words[code] for code in self.codes.tolist()]


@dataclass(frozen=True, slots=True)
class MapColumn:
    """Key -> float64[n]; NaN where a row does not have the key."""

    keys: Mapping[str, Numbers]
    n: int

    @classmethod
    def of(cls, maps: Sequence[Mapping[str, Any]]) -> MapColumn:
        keys = dict.fromkeys(key for entry in maps for key in entry)
        return cls({key: np.array([m.get(key, np.nan) for m in maps], dtype=np.float64) for key in keys}, len(maps))

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, rows: slice) -> MapColumn:
        start, stop, _ = rows.indices(self.n)
        return MapColumn({key: column[rows] for key, column in self.keys.items()}, stop - start)

    def size(self) -> Numbers:
        """float64[n]: how many keys each row has."""
        total = np.zeros(self.n)
        for column in self.keys.values():
            total += column == column
        return total
