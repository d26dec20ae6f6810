"""Encoders of a node type: h of layer 0 from attributes and, for what has one, from a learned vector found by id.

They are fitted on the nodes of the past only. A word counts when enough nodes have it (`LEAST`), so that nobody's name
or address ever stands in a vocabulary; a text of items (a product's name) is taken apart into its words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.profiles.graph.fields import AnyField, Number, Series, Several, Word, squeezed, words_of
from shopkeeper.profiles.graph.schema import USER
from shopkeeper.profiles.graph.tables import NodeTable
from shopkeeper.profiles.graph.weights import Floats

LEAST = 5
"""So many nodes must have a word before it is learned."""
MOST = 2000
SMALL = 0.05
"""The spread of learned numbers before training: an attribute begins by saying little."""
BINS = 8
_SKEWED = 2.0
_LARGEST = 1e90
"""Beyond it one value would make a mean or a spread infinite, and with it the whole field."""
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class TypeEncoder:
    """`learned[field][array]`, `start` (width,) of every node of the type, `id_vectors` float32 (len(ids), width) are
    added to it; who is not among `ids` has none. Users have none: `ids` is empty."""

    fields: tuple[AnyField, ...]
    learned: Mapping[str, Mapping[str, Floats]]
    start: Floats
    ids: tuple[str, ...] = ()
    id_vectors: Floats = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))

    @property
    def width(self) -> int:
        return len(self.start)

    @cached_property
    def _place(self) -> dict[str, int]:
        return {id: at for at, id in enumerate(self.ids)}

    def places(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """int64 (n,): where the learned vectors of nodes stand, -1: there is none."""
        return np.array([self._place.get(id, -1) for id in ids], dtype=np.int64)

    def __call__(self, ids: Sequence[str], table: NodeTable) -> Floats:
        """h of layer 0, float32 (n, width)."""
        h = np.tile(self.start, (table.n, 1))
        for each in self.fields:
            h += each.forward(self.learned[each.name], each.read(table), np)
        if len(self.ids):
            place = self.places(ids)
            h[place >= 0] += self.id_vectors[place[place >= 0]]
        return h.astype(np.float32, copy=False)


def fitted_fields(node_type: str, table: NodeTable) -> tuple[AnyField, ...]:
    """What can be learned of the attributes in a table of the past; an attribute that says nothing has no field."""
    found: list[AnyField | None] = [_number(name, values) for name, values in table.numbers.items()]
    for name, column in table.words.items():
        if _is_date(column):  # when something happens tells of what is to come, and today's age of nobody's past
            continue
        found.append(_text(name, column) if node_type != USER and _is_text(column) else _word(name, column))
    found += [_several(name, lists) for name, lists in table.lists.items()]
    found += [_series(name, series) for name, series in table.series.items()]
    return tuple(each for each in found if each is not None)


def started(fields: Iterable[AnyField], width: int, random: np.random.Generator) -> dict[str, dict[str, Floats]]:
    """Learned arrays of fields as they are before training: shifts and says are zero, others small."""
    arrays: dict[str, dict[str, Floats]] = {}
    for each in fields:
        mine = arrays[each.name] = {}
        for name, shape in each.shapes(width).items():
            scale = 0.0 if len(shape) == 1 and name != "slope" else SMALL
            scale = 1.0 / np.sqrt(shape[0]) if name in _MAPS else scale
            mine[name] = (scale * random.standard_normal(shape)).astype(np.float32)
    return arrays


_MAPS = ("first", "second", "third", "out")


def _number(name: str, values: NDArray[np.float64]) -> Number | None:
    known = np.clip(values[np.isfinite(values)], -_LARGEST, _LARGEST)
    if len(known) < LEAST or known.min() == known.max():
        return None
    spread = float(known.std())
    logarithm = bool(abs(((known - known.mean()) ** 3).mean()) > _SKEWED * spread**3)
    size = squeezed(known) if logarithm else known
    # Between two values, not on one: a number that is typed in again falls into the same bin.
    borders = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1], method="midpoint"))
    return Number(
        name=name,
        mean=float(size.mean()),
        spread=float(size.std()) or 1.0,
        borders=tuple(float(border) for border in borders),
        logarithm=logarithm,
    )


def _frequent(words: Iterable[str]) -> tuple[str, ...]:
    counts = Counter(words)
    kept = sorted((word for word, count in counts.items() if count >= LEAST), key=lambda word: (-counts[word], word))
    return tuple(kept[:MOST])


def _word(name: str, column: Sequence[str | None]) -> Word | None:
    known = _frequent(word for word in column if word)
    says = len(known) > 1 or (known and sum(word == known[0] for word in column) <= len(column) - LEAST)
    return Word(name=name, known=known) if says else None


def _is_date(column: Sequence[str | None]) -> bool:
    given = [word for word in column if word]
    return sum(bool(_DATE.match(word)) for word in given) > len(given) / 2


def _is_text(column: Sequence[str | None]) -> bool:
    """Most of what is given is of several words and given once or twice."""
    given = [word for word in column if word]
    return (
        len(given) >= LEAST and len(set(given)) > len(given) / 2 and sum(" " in word for word in given) > len(given) / 2
    )


def _text(name: str, column: Sequence[str | None]) -> Several | None:
    known = _frequent(word for text in column for word in words_of(text))
    return Several(name=name, known=known, split=True) if known else None


def _several(name: str, lists: Sequence[tuple[str, ...]]) -> Several | None:
    known = _frequent(word for words in lists for word in set(words))
    return Several(name=name, known=known) if known else None


def _series(name: str, series: Sequence[tuple[float, ...]]) -> Series | None:
    every = np.clip([value for values in series for value in values], -_LARGEST, _LARGEST)
    if sum(map(bool, series)) < LEAST or every.min() == every.max():
        return None
    return Series(name=name, mean=float(every.mean()), spread=float(every.std()))


def facts_of(encoders: Mapping[str, TypeEncoder]) -> dict[str, Any]:
    """How many fields, words and learned ids each node type has, for a version's summary."""
    return {
        node_type: {
            "fields": {each.name: type(each).__name__.lower() for each in encoder.fields},
            "ids": len(encoder.ids),
        }
        for node_type, encoder in encoders.items()
    }
