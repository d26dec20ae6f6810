"""A matcher as it serves: two towers that make vectors of length 1, and words that are compared exactly; in numpy.

towers.npz  matcher.json  documents.json  documents.npz (both: where the documents have names)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from zipfile import BadZipFile

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from shopkeeper.core.errors import Invalid
from shopkeeper.recommend.matching.lexical import Lexicon, of_pairs
from shopkeeper.recommend.matching.pairs import Columns, Side
from shopkeeper.recommend.matching.text import TERMS, Floats, Reader, Said

Arrays = dict[str, NDArray[Any]]
_TOWERS, _ABOUT, _IDS, _DOCS = "towers.npz", "matcher.json", "documents.json", "documents.npz"


class About(msgspec.Struct, kw_only=True, frozen=True):
    """`shared`: one tower makes both vectors. `best_epoch`: whose state serves, 0: what it began with."""

    query: Columns
    doc: Columns
    buckets: int
    characters: int
    usual_length: float
    shared: bool
    best_epoch: int = 0


@dataclass(frozen=True)
class Ready:
    """Queries or documents as the towers take them: weighed features (n, buckets), standardised numbers (n, k), and the
    texts as they were read."""

    bags: csr_matrix
    numbers: Floats
    said: Said

    def take(self, rows: NDArray[np.int64]) -> Ready:
        return Ready(self.bags[rows], self.numbers[rows], self.said.take(rows))


class Reading:
    """How texts and numbers become what towers take. `arrays`: of the training's texts `bag_idf` float32 (buckets,) and
    `term_idf` (TERMS,), and mean and spread of each side's numbers. Threads may share it."""

    def __init__(self, about: About, arrays: Arrays) -> None:
        self._arrays = arrays
        self._reader = Reader(about.characters)
        self.lexicon = Lexicon(arrays["term_idf"], about.usual_length)

    def ready(self, side: Side, name: str) -> Ready:
        """`name`: `query` or `doc`."""
        said = self._reader.read(side.texts)
        mean, spread = self._arrays[f"{name}_mean"], self._arrays[f"{name}_spread"]
        numbers = np.where(np.isnan(side.values), 0, (side.values - mean) / spread).astype(np.float32)
        return Ready(bags_of(said, self._arrays["bag_idf"]), numbers, said)


class Words:
    """How the words of pairs agree: (query rows, document rows) -> (pairs, measures)."""

    def __init__(self, lexicon: Lexicon, left: Ready, right: Ready) -> None:
        self._queries = lexicon.queries(left.said, left.bags)
        self._docs = lexicon.documents(right.said, right.bags)

    def __call__(self, query: NDArray[np.int64], doc: NDArray[np.int64]) -> Floats:
        return of_pairs(self._queries, self._docs, query, doc)


class Towers:
    """`arrays` are those of `Reading` and what `net.py` has learned, named there. Nothing changes while it serves."""

    def __init__(self, about: About, arrays: Arrays, reading: Reading | None = None) -> None:
        self.about, self.arrays = about, arrays
        self.reading = Reading(about, arrays) if reading is None else reading
        self.size = int(arrays["query_out_bias"].shape[0])
        self.word_weights: Floats = arrays["word_weights"]
        self._table: Floats = arrays["table"].astype(np.float32)

    @property
    def compares_words(self) -> bool:
        return bool(self.word_weights.any())

    def ready(self, side: Side, name: str) -> Ready:
        return self.reading.ready(side, name)

    def vectors(self, ready: Ready, name: str) -> Floats:
        """float32 (n, d) of length 1: what `net.Tower` does."""
        part = "query" if self.about.shared else name
        arrays = self.arrays
        first = np.asarray(ready.bags @ self._table, dtype=np.float32) * arrays[f"{part}_gain"]
        if ready.numbers.shape[1]:
            first = first + ready.numbers @ arrays[f"{part}_numbers"]
        hidden = np.maximum(first + arrays[f"{part}_first_bias"], 0)
        hidden = np.maximum(hidden @ arrays[f"{part}_second"] + arrays[f"{part}_second_bias"], 0)
        out = hidden @ arrays[f"{part}_out"] + arrays[f"{part}_out_bias"] + first @ arrays[f"{part}_past"]
        found: Floats = (out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-6)).astype(np.float32)
        return found

    def logits(self, left: Ready, right: Ready, query: NDArray[Any], doc: NDArray[Any]) -> Floats:
        """(n,) of query row and document row; `query`, `doc` (n,)."""
        cosine = (self.vectors(left, "query")[query] * self.vectors(right, "doc")[doc]).sum(axis=1)
        found = cosine * self.arrays["scale"] + self.arrays["offset"]
        if self.compares_words:
            found = found + Words(self.reading.lexicon, left, right)(query, doc) @ self.word_weights
        return np.asarray(found, dtype=np.float32)


class Matcher:
    """`item_ids` with `item_vectors` float32 (m, d): the documents that have names."""

    output: ClassVar[str] = "vector"

    def __init__(self, towers: Towers, doc_ids: tuple[str, ...] = (), doc_vectors: Floats | None = None) -> None:
        self.towers = towers
        self.query_columns, self.doc_columns = towers.about.query, towers.about.doc
        self.feature_names = self.query_columns.names
        self.output_size = towers.size
        self.item_ids = doc_ids
        self.item_vectors: Floats = np.zeros((0, towers.size), dtype=np.float32) if doc_vectors is None else doc_vectors

    def query_vectors(self, queries: Side) -> Floats:
        """float32 (n, d) of length 1."""
        return self.towers.vectors(self.towers.ready(queries, "query"), "query")

    def doc_vectors(self, docs: Side) -> Floats:
        """Of documents, known or not."""
        return self.towers.vectors(self.towers.ready(docs, "doc"), "doc")

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]:
        """The vector of each row's query. Raises Invalid for what is no text or no number."""
        vectors: list[Any] = self.query_vectors(self.query_columns.read(rows)).tolist()
        return vectors

    def query_embedding(self, features: Mapping[str, Any]) -> list[float]:
        vector: list[float] = self.query_vectors(self.query_columns.read([features]))[0].tolist()
        return vector

    def item_embedding(self, features: Mapping[str, Any]) -> list[float]:
        """Of a document by its columns."""
        vector: list[float] = self.doc_vectors(self.doc_columns.read([features]))[0].tolist()
        return vector

    def match(self, queries: Side, docs: Side, query: NDArray[Any], doc: NDArray[Any]) -> Floats:
        """Probability (n,) that query row and document row go together; `query`, `doc` (n,)."""
        towers = self.towers
        return chance(towers.logits(towers.ready(queries, "query"), towers.ready(docs, "doc"), query, doc))

    def match_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[float]:
        """The same for rows that hold the columns of both sides."""
        both = np.arange(len(rows))
        said: list[float] = self.match(self.query_columns.read(rows), self.doc_columns.read(rows), both, both).tolist()
        return said

    def shelf(self, docs: Side) -> Shelf:
        """Documents that many queries will be held against."""
        return Shelf(self.towers, docs)

    def save(self, folder: Path) -> None:
        arrays = self.towers.arrays
        rest = arrays["term_idf"].max(initial=0)
        known = np.flatnonzero(arrays["term_idf"] != rest)
        kept = {**arrays, "term_idf": arrays["term_idf"][known], "terms": known.astype(np.int32), "term_rest": rest}
        np.savez(folder / _TOWERS, **kept)
        (folder / _ABOUT).write_bytes(msgspec.json.encode(self.towers.about))
        if self.item_ids:
            (folder / _IDS).write_bytes(msgspec.json.encode(self.item_ids))
            np.savez(folder / _DOCS, vectors=self.item_vectors)

    @classmethod
    def load(cls, folder: Path) -> Matcher:
        """Raises Invalid when the files do not fit together."""
        ids: tuple[str, ...] = ()
        vectors: Floats | None = None
        try:
            about = msgspec.json.decode((folder / _ABOUT).read_bytes(), type=About)
            with np.load(folder / _TOWERS, allow_pickle=False) as kept:
                arrays: Arrays = {name: kept[name] for name in kept.files}
            term_idf = np.full(TERMS, arrays.pop("term_rest"), dtype=np.float32)
            term_idf[arrays.pop("terms")] = arrays["term_idf"]
            arrays["term_idf"] = term_idf
            if (folder / _IDS).exists():
                ids = msgspec.json.decode((folder / _IDS).read_bytes(), type=tuple[str, ...])
                with np.load(folder / _DOCS, allow_pickle=False) as kept:
                    vectors = kept["vectors"].astype(np.float32)
            model = cls(Towers(about, arrays), ids, vectors)
        except (KeyError, EOFError, BadZipFile, ValueError, IndexError, msgspec.DecodeError) as error:
            raise Invalid(f"the matcher cannot be read ({error}); train it again", code="bad_artifact") from error
        if model.item_vectors.shape != (len(ids), model.output_size) or not np.isfinite(model.item_vectors).all():
            raise Invalid("the vectors do not fit their documents; train the model again", code="bad_artifact")
        return model


class Shelf:
    """Documents made ready once."""

    def __init__(self, towers: Towers, docs: Side) -> None:
        self._towers = towers
        ready = towers.ready(docs, "doc")
        self.vectors = towers.vectors(ready, "doc")
        self._words: list[tuple[int, float, csr_matrix]] = []
        if towers.compares_words:
            said = towers.reading.lexicon.documents(ready.said, ready.bags)
            weights = towers.word_weights.tolist()
            self._words = [(at, weights[at], one.T.tocsr()) for at, one in enumerate(said) if weights[at]]

    def __len__(self) -> int:
        return len(self.vectors)

    def logits(self, queries: Side) -> Floats:
        """(n queries, m documents)."""
        towers = self._towers
        left = towers.ready(queries, "query")
        found = towers.vectors(left, "query") @ self.vectors.T * towers.arrays["scale"] + towers.arrays["offset"]
        if self._words:
            asked = towers.reading.lexicon.queries(left.said, left.bags)
            for at, weight, documents in self._words:
                found += np.float32(weight) * (asked[at] @ documents).toarray()
        return np.asarray(found, dtype=np.float32)

    def chances(self, queries: Side) -> Floats:
        """Probability (n queries, m documents) that they go together."""
        return chance(self.logits(queries))


def bags_of(said: Said, idf: Floats) -> csr_matrix:
    """(n, buckets) features weighed by kind and rarity, rows of length 1 (or empty)."""
    buckets = len(idf)
    place = (said.feature % np.uint32(buckets)).astype(np.int32)
    weight = said.weight * idf[place]
    row = np.repeat(np.arange(len(said)), np.diff(said.start))
    length = np.sqrt(np.bincount(row, weights=weight.astype(np.float64) ** 2, minlength=len(said)))
    weight = (weight / np.maximum(length, 1e-9)[row]).astype(np.float32)
    return csr_matrix((weight, place, said.start), shape=(len(said), buckets))


def chance(logits: Floats) -> Floats:
    found: Floats = (1 / (1 + np.exp(-np.clip(logits, -30, 30)))).astype(np.float32)
    return found
