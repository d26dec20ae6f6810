"""Encoders of single attributes: numbers (their size, and bins), words, several words at once, series of numbers.

What a field knows of the world (bounds, vocabularies) is fitted on the past and stands in its record; its learned
numbers are arrays beside it, named by `shapes`. `forward` is written once, for numpy and for torch alike: `xp` is the
module whose arrays it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.profiles.graph.tables import NodeTable

Arrays: TypeAlias = Mapping[str, NDArray[Any]]
Learned: TypeAlias = Mapping[str, Any]
"""Arrays of numpy or of torch."""

SERIES = 15
"""So many of a series' newest numbers are read: as far as three convolutions of three, each twice as wide, can see."""
CHANNELS = 8
_FAR = 5.0
_MOST_WORDS = 24


class Field(Protocol):
    """Of one attribute `name`."""

    name: str

    def shapes(self, width: int) -> dict[str, tuple[int, ...]]:
        """Of its learned arrays."""
        ...

    def read(self, table: NodeTable) -> dict[str, NDArray[Any]]:
        """What `forward` needs of the nodes of a table, arrays whose first axis is the nodes."""
        ...

    def forward(self, learned: Learned, given: Learned, xp: Any) -> Any:
        """Its share of h, (n, width); of a node whose attribute is not known, what was learned for that."""
        ...


class Number(msgspec.Struct, frozen=True, tag="number", kw_only=True):
    """A number: its distance from the mean in spreads (at most 5), and the bin of equal shares that it falls in. Bin 0
    is for those who have none. `logarithm`: the sizes differ so much that their logarithms are taken."""

    name: str
    mean: float
    spread: float
    borders: tuple[float, ...]
    logarithm: bool = False

    def shapes(self, width: int) -> dict[str, tuple[int, ...]]:
        return {"slope": (width,), "bins": (len(self.borders) + 2, width)}

    def read(self, table: NodeTable) -> dict[str, NDArray[Any]]:
        values = table.numbers.get(self.name, np.full(table.n, np.nan))
        known = np.isfinite(values)
        values = np.where(known, values, 0.0)
        size = squeezed(values) if self.logarithm else values
        far = np.where(known, np.clip((size - self.mean) / self.spread, -_FAR, _FAR), 0.0)
        bins = np.where(known, np.searchsorted(np.array(self.borders), values, side="right") + 1, 0)
        return {"size": far.astype(np.float32)[:, None], "bin": bins.astype(np.int64)}

    def forward(self, learned: Learned, given: Learned, xp: Any) -> Any:  # noqa: ARG002
        return given["size"] * learned["slope"] + learned["bins"][given["bin"]]


class Word(msgspec.Struct, frozen=True, tag="word", kw_only=True):
    """One word of a vocabulary; row 0 is for those who have none, or one that was too rare to be learned."""

    name: str
    known: tuple[str, ...]

    def shapes(self, width: int) -> dict[str, tuple[int, ...]]:
        return {"words": (len(self.known) + 1, width)}

    def read(self, table: NodeTable) -> dict[str, NDArray[Any]]:
        place = _places(self.known)
        words = table.words.get(self.name) or [None] * table.n
        return {"word": np.array([place.get(word or "", 0) for word in words], dtype=np.int64)}

    def forward(self, learned: Learned, given: Learned, xp: Any) -> Any:  # noqa: ARG002
        return learned["words"][given["word"]]


class Several(msgspec.Struct, frozen=True, tag="several", kw_only=True):
    """Several words at once, pooled by attention: each word has a vector and a say of its own. `split`: the attribute
    is a text, its words are taken apart. None, or none that is known: nothing."""

    name: str
    known: tuple[str, ...]
    split: bool = False

    def shapes(self, width: int) -> dict[str, tuple[int, ...]]:
        return {"words": (len(self.known) + 1, width), "say": (len(self.known) + 1,)}

    def read(self, table: NodeTable) -> dict[str, NDArray[Any]]:
        place = _places(self.known)
        found = [[place[word] for word in words if word in place][:_MOST_WORDS] for words in self._of(table)]
        padded = np.zeros((table.n, max(map(len, found), default=0) or 1), dtype=np.int64)
        for row, places in enumerate(found):
            padded[row, : len(places)] = places
        return {"words": padded, "has": (padded > 0).astype(np.float32)}

    def _of(self, table: NodeTable) -> Iterable[Iterable[str]]:
        if self.split:
            return (words_of(text) for text in table.words.get(self.name) or [None] * table.n)
        return table.lists.get(self.name) or [()] * table.n

    def forward(self, learned: Learned, given: Learned, xp: Any) -> Any:
        weight = xp.exp(xp.clip(learned["say"][given["words"]], -_FAR, _FAR)) * given["has"]
        share = weight / (weight.sum(1)[:, None] + 1e-9)
        return (share[:, :, None] * learned["words"][given["words"]]).sum(1)


class Series(msgspec.Struct, frozen=True, tag="series", kw_only=True):
    """A series of numbers, read by a temporal convolution network of three layers: dilations 1, 2 and 4, taken at the
    newest number only, where they are convolutions of stride two. An empty series: nothing."""

    name: str
    mean: float
    spread: float

    def shapes(self, width: int) -> dict[str, tuple[int, ...]]:
        return {
            "first": (6, CHANNELS),
            "first_shift": (CHANNELS,),
            "second": (3 * CHANNELS, CHANNELS),
            "second_shift": (CHANNELS,),
            "third": (3 * CHANNELS, CHANNELS),
            "third_shift": (CHANNELS,),
            "out": (CHANNELS, width),
        }

    def read(self, table: NodeTable) -> dict[str, NDArray[Any]]:
        series = table.series.get(self.name) or [()] * table.n
        given = np.zeros((table.n, SERIES, 2), dtype=np.float32)
        for row, values in enumerate(series):
            newest = np.array(values[-SERIES:], dtype=np.float64)
            if len(newest):
                given[row, -len(newest) :, 0] = np.clip((newest - self.mean) / self.spread, -_FAR, _FAR)
                given[row, -len(newest) :, 1] = 1.0
        return {"series": given, "has": given[:, -1:, 1]}

    def forward(self, learned: Learned, given: Learned, xp: Any) -> Any:
        h = given["series"]
        for layer in ("first", "second", "third"):
            seen = xp.concatenate((h[:, 0:-2:2], h[:, 1:-1:2], h[:, 2::2]), 2)
            h = xp.clip(seen @ learned[layer] + learned[f"{layer}_shift"], 0.0, None)
        return (h[:, 0] @ learned["out"]) * given["has"]


AnyField: TypeAlias = Number | Word | Several | Series


def squeezed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logarithm of 1 + size, with the sign kept."""
    return np.asarray(np.sign(values) * np.log1p(np.abs(values)))


def words_of(text: str | None) -> Sequence[str]:
    """The words of a text in lower case, each once, in order; what is shorter than two letters is none."""
    if text is None:
        return ()
    cleaned = "".join(sign if sign.isalnum() else " " for sign in text.lower())
    return tuple(dict.fromkeys(word for word in cleaned.split() if len(word) > 1))


def _places(known: Sequence[str]) -> dict[str, int]:
    return {word: at + 1 for at, word in enumerate(known)}


__all__ = ["SERIES", "AnyField", "Field", "Number", "Series", "Several", "Word", "squeezed", "words_of"]
