"""What is said of users and items, as weighted tokens whose vectors a net adds up.

A number lies between two knots and counts for both by its nearness, so that numbers are told apart as finely as codes
are, and one that training never saw lies between those that it did. A text is a token of its own, several of them where
`|` or a list parts them; texts that differ in nearly every row count by their words. What is rare shares one token.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.recommend.spelling import shown, spelled
from shopkeeper.recommend.wording import words

MOST_FIELDS, MOST_TOKENS = 64, 5000
_KNOTS = 16
_FEW_NUMBERS = 32
_MOST_WORDS = 64
_LONGEST, _LONGEST_TEXT = 100, 4000
_FEWEST_WORDY = 20


class Trait(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A number's `knots` have the tokens from `first` on. `tokens` of texts or words; `other`: that of the rest."""

    name: str
    kind: Literal["number", "text", "words"]
    first: int = 0
    knots: list[float] = []
    tokens: dict[str, int] = {}
    other: int | None = None


@dataclass(frozen=True)
class Bag:
    """Tokens of n rows, one after another: those of row i stand at start[i] : start[i + 1]."""

    start: NDArray[np.int64]
    token: NDArray[np.int64]
    weight: NDArray[np.float32]

    def take(self, rows: NDArray[np.int64]) -> Bag:
        """Of these rows, in this order."""
        size = self.start[rows + 1] - self.start[rows]
        start = np.concatenate([[0], np.cumsum(size)])
        where = np.arange(int(start[-1])) + np.repeat(self.start[rows] - start[:-1], size)
        return Bag(start, self.token[where], self.weight[where])

    def sums(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, d) of vectors (tokens, d)."""
        found = np.zeros((len(self.start) - 1, vectors.shape[1]), dtype=np.float32)
        row = np.repeat(np.arange(len(found)), np.diff(self.start))
        np.add.at(found, row, vectors[self.token] * self.weight[:, None])
        return found


class Traits:
    """Safe to share between threads."""

    def __init__(self, traits: Sequence[Trait] = ()) -> None:
        self.traits = tuple(traits)
        self.names = tuple(trait.name for trait in self.traits)
        self._by_name = {trait.name: trait for trait in self.traits}

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return sum(len(each.knots) + len(each.tokens) + (each.other is not None) for each in self.traits)

    @classmethod
    def fitted(cls, rows: Iterable[Mapping[str, Any]], *, least: int) -> Traits:
        """Of the training rows. What less than `least` of them have is no token of its own; a name that tells no two
        rows apart is left out."""
        told: dict[str, list[Any]] = {}
        n = 0
        for row in rows:
            n += 1
            for name, value in row.items():
                if _known(value):
                    told.setdefault(name, []).append(value)
        common = sorted(told, key=lambda name: (-len(told[name]), name))[:MOST_FIELDS]
        found, first = list[Trait](), 0
        for name in sorted(common):
            trait = _fitted(name, told[name], n, least, first)
            if trait is not None:
                found.append(trait)
                first += len(trait.knots) + len(trait.tokens) + (trait.other is not None)
        return cls(found)

    def bag(self, rows: Sequence[Mapping[str, Any]], *, strict: bool = True) -> Bag:
        """Names that training did not know and what is missing count for nothing. Raises Invalid (`not_a_number`,
        `not_a_text`) with the row's place and the name; unless `strict` what cannot be read counts as missing."""
        tokens, weights, start = list[int](), list[float](), [0]
        for at, row in enumerate(rows):
            for name, value in row.items():
                trait = self._by_name.get(name)
                if trait is None or value is None:
                    continue
                try:
                    found = _tokens(trait, value, at)
                except Invalid:
                    if strict:
                        raise
                    continue
                tokens += [token for token, _ in found]
                weights += [weight for _, weight in found]
            start.append(len(tokens))
        return Bag(
            np.array(start, dtype=np.int64), np.array(tokens, dtype=np.int64), np.array(weights, dtype=np.float32)
        )


def readable(said: Mapping[int, Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
    """Records of a shop hold anything: without what is neither a text, a number nor a list of texts."""
    kept = {row: {name: value for name, value in told.items() if _known(value)} for row, told in said.items()}
    return {row: told for row, told in kept.items() if told}


def usual(rows: Iterable[Mapping[str, Any]], *, least: int) -> dict[str, Any]:
    """The most frequent value of each name, where at least so many rows have it; of several the one written first."""
    counts: dict[str, Counter[Any]] = {}
    for row in rows:
        for name, value in row.items():
            counts.setdefault(name, Counter())[tuple(value) if isinstance(value, list) else value] += 1
    found = {name: min(count.items(), key=lambda one: (-one[1], str(one[0])))[0] for name, count in counts.items()}
    common = {name: value for name, value in sorted(found.items()) if counts[name][value] >= least}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in common.items()}


def _known(value: Any) -> bool:
    if isinstance(value, bool | str):
        return value != ""
    if isinstance(value, int | float):
        return abs(value) < _LARGEST
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(one, str) for one in value)


_LARGEST = 1e30
_SPLIT = "|"


def _fitted(name: str, values: list[Any], n: int, least: int, first: int) -> Trait | None:
    if all(isinstance(value, bool | int | float) for value in values):
        knots = np.unique(np.array(values, dtype=np.float64))
        if len(knots) > _FEW_NUMBERS:
            knots = np.unique(np.quantile(np.array(values, dtype=np.float64), np.linspace(0, 1, _KNOTS)))
        return Trait(name=name, kind="number", first=first, knots=knots.tolist()) if len(knots) > 1 else None
    whole = [_parts(value) for value in values]
    differing = len({tuple(parts) for parts in whole})
    wordy = len(values) >= _FEWEST_WORDY and 2 * differing > len(values) and any(" " in one for p in whole for one in p)
    kind: Literal["words", "text"] = "words" if wordy else "text"
    counts = Counter(
        one for value, parts in zip(values, whole, strict=True) for one in (_words(value) if wordy else parts)
    )
    kept = sorted((one for one, count in counts.items() if count >= least), key=lambda one: (-counts[one], one))
    kept = kept[:MOST_TOKENS]
    if not kept or (len(counts) == 1 and counts[kept[0]] == n):
        return None
    tokens = {one: first + at for at, one in enumerate(kept)}
    return Trait(name=name, kind=kind, tokens=tokens, other=None if wordy else first + len(kept))


def _tokens(trait: Trait, value: Any, row: int) -> list[tuple[int, float]]:
    if trait.kind == "number":
        return _between(trait, _number(value, trait.name, row))
    try:
        if not isinstance(value, str | bool | int | float) and not (
            isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
        ):
            raise ValueError
        given = _words(value) if trait.kind == "words" else _parts(value)
    except ValueError:
        raise Invalid(
            f"row {row}: {trait.name} is {shown(value)}, expected a text or a list of texts",
            code="not_a_text",
            field=f"data[{row}].{trait.name}",
        ) from None
    found = [token for one in given if (token := trait.tokens.get(one, trait.other)) is not None]
    return [(token, len(found) ** -0.5) for token in found]


def _between(trait: Trait, value: float) -> list[tuple[int, float]]:
    knots = trait.knots
    if value <= knots[0]:
        return [(trait.first, 1.0)]
    if value >= knots[-1]:
        return [(trait.first + len(knots) - 1, 1.0)]
    above = int(np.searchsorted(knots, value, side="right"))
    share = (value - knots[above - 1]) / (knots[above] - knots[above - 1])
    return (
        [(trait.first + above - 1, 1 - share), (trait.first + above, share)]
        if share
        else [(trait.first + above - 1, 1.0)]
    )


def _number(value: Any, name: str, row: int) -> float:
    if isinstance(value, bool | int | float | str | np.floating | np.integer):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = float("nan")
        if isfinite(number):
            return number
    raise Invalid(
        f"row {row}: {name} is {shown(value)}, expected a finite number",
        code="not_a_number",
        field=f"data[{row}].{name}",
    )


def _parts(value: Any) -> list[str]:
    """The texts of a value, in small letters, each once."""
    given = value if isinstance(value, list | tuple) else spelled(value)[:_LONGEST_TEXT].split(_SPLIT)
    found = (one.strip().casefold()[:_LONGEST] for one in given[:_MOST_WORDS])
    return list(dict.fromkeys(one for one in found if one))


def _words(value: Any) -> list[str]:
    text = " ".join(value) if isinstance(value, list | tuple) else spelled(value)
    return list(dict.fromkeys(words(text[:_LONGEST_TEXT])))[:_MOST_WORDS]
