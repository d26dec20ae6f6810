"""Texts as hashed features: words, pairs of neighbouring words, pieces of words, and the shape of what is said.

Where words are not written apart (Chinese, Japanese, Korean, Thai, Indian letters) a character is a word, so that its
pairs are pairs of characters; both may stand mixed in one text. Nothing is fitted here: a word that no training has
seen has its features, too, and words that look alike share pieces.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint32]
Floats = NDArray[np.float32]

TERMS = 1 << 20
"""Places of the terms that two texts are compared by, word for word."""
_APART = r"\u0900-\u0fff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_TOKEN = re.compile(rf"[{_APART}]|[^\W_{_APART}]+")
_ACCENT = re.compile(r"[\u0300-\u036f]")
PIECES = (3, 4)
_LONGEST_WORD = 40
_WORD, _PAIR, _PIECE, _SHAPE = 1.0, 0.6, 1.0, 1.0
"""What a feature of each kind counts before its rarity; the pieces of a word share theirs."""
_KEPT_WORDS = 200_000
_READ_AT_ONCE = 5000
"""Texts; while they are read they take twenty times the memory that they have in the end."""
_MULTIPLIER = np.uint32(0x9E3779B1)


class _Word(NamedTuple):
    own: int
    stem: int
    pieces: Hashes
    shape: int
    """0: a plain word."""


@dataclass(frozen=True)
class Said:
    """n texts. The features of text i are at [start[i], start[i + 1]) of `feature` and `weight`; its terms, each as
    often as it comes, at [term_start[i], ...) of `term` (below TERMS)."""

    start: NDArray[np.int64]
    feature: Hashes
    weight: Floats
    term_start: NDArray[np.int64]
    term: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.start) - 1

    def take(self, rows: NDArray[np.int64]) -> Said:
        one, start = _taken(self.start, rows)
        other, term_start = _taken(self.term_start, rows)
        return Said(start, self.feature[one], self.weight[one], term_start, self.term[other])


class Reader:
    """Reads the first `characters` of a text. Words are kept, so that the next text with them is read sooner."""

    def __init__(self, characters: int) -> None:
        self._characters = characters
        self._words: dict[str, _Word] = {}

    def read(self, texts: Sequence[str]) -> Said:
        if len(texts) <= _READ_AT_ONCE:
            return self._read(texts)
        return _joined([self._read(texts[at : at + _READ_AT_ONCE]) for at in range(0, len(texts), _READ_AT_ONCE)])

    def _read(self, texts: Sequence[str]) -> Said:
        words, sizes = list[_Word](), list[int]()
        for text in texts:
            before = len(words)
            words.extend(map(self._word, tokens(text[: self._characters])))
            sizes.append(len(words) - before)
        size = np.array(sizes, dtype=np.int64)
        text_of = np.repeat(np.arange(len(texts)), size)
        own = np.array([word.own for word in words], dtype=np.uint32)
        stems = np.array([word.stem for word in words], dtype=np.uint32)
        shapes = np.array([word.shape for word in words], dtype=np.uint32)
        pieces = np.concatenate([_NO_HASHES, *(word.pieces for word in words)])
        many = np.array([len(word.pieces) for word in words], dtype=np.int64)
        near = np.flatnonzero(text_of[:-1] == text_of[1:]) if len(words) else _NOWHERE
        said = np.flatnonzero(shapes)
        parts = (
            (text_of, own, _WORD),
            (text_of[near], _mixed(own[near], own[near + 1]), _PAIR),
            (np.repeat(text_of, many), pieces, np.repeat(_PIECE / np.sqrt(np.maximum(many, 1)), many)),
            (text_of[said], shapes[said], _SHAPE),
        )
        whose = np.concatenate([each for each, _, _ in parts]).astype(np.uint64)
        what = np.concatenate([each for _, each, _ in parts]).astype(np.uint64)
        weight = np.concatenate([np.broadcast_to(counts, len(each)) for each, _, counts in parts])
        both, first = np.unique(whose << np.uint64(32) | what, return_index=True)
        # Where words are not written apart, a pair is nearer to a word than its characters are.
        apart = many == 0
        near = near[apart[near] & apart[near + 1]]
        term = np.concatenate([stems, _mixed(stems[near], stems[near + 1])]) % np.uint32(TERMS)
        term_text = np.concatenate([text_of, text_of[near]])
        return Said(
            _starts((both >> np.uint64(32)).astype(np.int64), len(texts)),
            both.astype(np.uint32),
            weight[first].astype(np.float32),
            _starts(term_text, len(texts)),
            term[np.argsort(term_text, kind="stable")].astype(np.int32),
        )

    def _word(self, token: str) -> _Word:
        found = self._words.get(token)
        if found is None:
            if len(self._words) >= _KEPT_WORDS:
                self._words.clear()
            found = self._words[token] = _word_of(token)
        return found


def tokens(text: str) -> Iterator[str]:
    """Words without accents, in the letters that they were written in; single characters where nothing parts words."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", _ACCENT.sub("", unicodedata.normalize("NFKD", text)))
    for found in _TOKEN.finditer(text):
        yield found[0][:_LONGEST_WORD]


def stem(word: str) -> str:
    """An English word without its ending, so that `painted` and `paintings` are one: plain and quick, not exact."""
    if word.endswith(("ss", "us")):
        return word
    for ending, least in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= least:
            word = word[: len(word) - len(ending)]
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word[-1] in "ey" else word


_ENDINGS = (
    ("ations", 3), ("ation", 3), ("ings", 3), ("ing", 3), ("ies", 2), ("ied", 2), ("ers", 3), ("ed", 3), ("er", 3),
    ("es", 3), ("s", 3), ("ly", 4),
)  # fmt: skip


def _word_of(token: str) -> _Word:
    word = token.casefold()
    if _apart(word):
        return _Word(_hash("w", word), _hash("t", word), _NO_HASHES, 0)
    framed = f"<{word}>"
    pieces = {framed[at : at + size] for size in PIECES for at in range(len(framed) - size + 1)}
    shape = _shape(token)
    return _Word(
        _hash("w", word),
        _hash("t", stem(word)),
        np.array(sorted(_hash("p", piece) for piece in pieces), dtype=np.uint32),
        _hash("s", shape) if shape else 0,
    )


def _apart(word: str) -> bool:
    return len(word) == 1 and bool(re.match(f"[{_APART}]", word))


def _shape(token: str) -> str:
    """What kind of answer a word may be: a year, a number, a name."""
    if token.isdigit():
        return "year" if len(token) == 4 and token[0] in "12" else f"digits{min(len(token), 5)}"
    if any(sign.isdigit() for sign in token):
        return "mixed"
    if token[0].isupper():
        return "capitals" if len(token) > 1 and token.isupper() else "name"
    return ""


def _hash(kind: str, text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass"), ord(kind)) or 1


def _mixed(one: Hashes, other: Hashes) -> Hashes:
    """A hash of two in their order."""
    with np.errstate(over="ignore"):
        found = (one * _MULTIPLIER) ^ (other + np.uint32(0x7F4A7C15) + (one >> np.uint32(7)))
        mixed: Hashes = (found ^ (found >> np.uint32(15))) * _MULTIPLIER
    return mixed


def _taken(start: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(places of the rows' parts, where each begins among them)."""
    size = np.diff(start)[rows]
    begin = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
    return np.arange(begin[-1]) + np.repeat(start[:-1][rows] - begin[:-1], size), begin


def _joined(parts: Sequence[Said]) -> Said:
    """The texts of all parts, one after another."""

    def starts(name: str) -> NDArray[np.int64]:
        sizes = np.concatenate([np.diff(getattr(part, name)) for part in parts])
        return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)

    return Said(
        starts("start"),
        np.concatenate([part.feature for part in parts]),
        np.concatenate([part.weight for part in parts]),
        starts("term_start"),
        np.concatenate([part.term for part in parts]),
    )


def _starts(text: NDArray[np.int64], texts: int) -> NDArray[np.int64]:
    """(texts + 1,) where each text's part begins, from the text of each entry."""
    return np.concatenate([[0], np.cumsum(np.bincount(text, minlength=texts))]).astype(np.int64)


_NO_HASHES = np.empty(0, dtype=np.uint32)
_NOWHERE = np.empty(0, dtype=np.int64)
