"""Words by their vectors, and through them queries and items: near in meaning, whatever the words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import LegacyMeta
from shopkeeper.learning.vector_index import VectorIndex
from shopkeeper.recommend.embedding.artifact import (
    Vectors,
    fitting,
    ids_in,
    load_parts,
    placed,
    save_parts,
    unit,
    write_vectors,
)
from shopkeeper.recommend.embedding.items import ItemEmbedding
from shopkeeper.recommend.embedding.reading import said_of, words_of

_TOLD = ("text", "query", "name", "title")


@dataclass(frozen=True)
class TextEmbedding:
    """`word_vectors` float32 (v, d), of length 1; `rarity` float32 (v,), what a word counts. A text has the weighted
    sum of its words as vector, of length 1, and zeros where it has no word that is known. `item_vectors` of the items
    that were read, by their texts; words themselves where no item was. Rows `{text}` -> a vector."""

    words: tuple[str, ...]
    word_vectors: Vectors
    rarity: NDArray[np.float32]
    item_ids: tuple[str, ...]
    item_vectors: Vectors
    losses: tuple[float, ...] = ()
    feature_names: tuple[str, ...] = ("text",)
    output: ClassVar[str] = "vector"

    @property
    def output_size(self) -> int:
        return int(self.word_vectors.shape[1])

    def of(self, words: Sequence[str]) -> Vectors:
        """(d,)"""
        at = placed(self._word, words)
        return unit(self.rarity[at] @ self.word_vectors[at])

    def query_embedding(self, features: Mapping[str, Any]) -> list[float]:
        """Of the `text` (or query, name, title). Raises Invalid where there is none."""
        text = next((features[name] for name in _TOLD if features.get(name) is not None), None)
        if not isinstance(text, str):
            raise Invalid(f"give a text by one of: {', '.join(_TOLD)}", code="bad_row", field="text")
        found: list[float] = self.of(words_of(text)).tolist()
        return found

    def item_embedding(self, features: Mapping[str, Any]) -> list[float]:
        """By name, category and other texts of any item, also of one that nobody has seen; or by the `item_id` of one
        that was read. Raises Invalid where there is neither."""
        name = features.get("item_id")
        if name is not None and (at := self._item.get(str(name))) is not None:
            found: list[float] = self.item_vectors[at].tolist()
            return found
        rest = {key: value for key, value in features.items() if key not in ("item_id", "name", "category")}
        text = said_of(features.get("name"), features.get("category"), rest)
        if not text:
            raise Invalid("an item needs a text such as its name", code="bad_row", field="name")
        told: list[float] = self.of(words_of(text)).tolist()
        return told

    def user_embedding(self, features: Mapping[str, Any], history: Sequence[str] | None = None) -> list[float]:
        """Of whoever took the `history`; zeros for nothing that is known."""
        taken = ids_in(features.get("history", []), "history") if history is None else list(history)
        items = placed(self._item, taken)
        found: list[float] = unit(self.item_vectors[items].sum(axis=0)).tolist()
        return found

    @property
    def among_words(self) -> ItemEmbedding:
        """Words as items: which goes with those that are there."""
        return ItemEmbedding(self.words, self.word_vectors, self.word_vectors)

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]:
        return [self.query_embedding(row) for row in rows]

    @cached_property
    def index(self) -> VectorIndex:
        """Over the item vectors; saved with them."""
        return VectorIndex.build(self.item_vectors)

    @cached_property
    def _word(self) -> Mapping[str, int]:
        return {word: at for at, word in enumerate(self.words)}

    @cached_property
    def _item(self) -> Mapping[str, int]:
        return {name: at for at, name in enumerate(self.item_ids)}

    def save(self, folder: Path) -> None:
        arrays = {"words": self.word_vectors, "rarity": self.rarity, "items": self.item_vectors}
        save_parts(folder, arrays, {"words": self.words, "item_ids": self.item_ids, "losses": self.losses})
        self.index.save(folder)

    @classmethod
    def load(cls, folder: Path) -> TextEmbedding:
        """Raises Invalid when the files do not fit together."""
        arrays, facts = load_parts(folder)
        words, items = tuple(facts["words"]), tuple(facts["item_ids"])
        vectors, rarity = fitting(items, arrays["items"], "items"), arrays["rarity"].astype(np.float32)
        if rarity.shape != (len(words),) or not np.isfinite(rarity).all():
            raise Invalid("the weights do not fit the words; train the model again", code="bad_artifact")
        made = cls(words, fitting(words, arrays["words"], "words"), rarity, items, vectors, tuple(facts["losses"]))
        made.__dict__["index"] = VectorIndex.load(folder, vectors)
        return made

    def save_legacy(self, folder: Path) -> LegacyMeta:
        """`word2vec_vectors.json`: word -> vector."""
        write_vectors(folder / "word2vec_vectors.json", self.words, self.word_vectors)
        return LegacyMeta(feature_columns=list(self.feature_names))
