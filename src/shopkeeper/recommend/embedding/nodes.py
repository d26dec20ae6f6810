"""Users and items of a graph by their vectors: what is recalled for whom, by id. Users stand in it, so that rows which
name nobody but a user can be answered; an erasure finds their ids in its files."""

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
    chance_of,
    fitting,
    id_of,
    ids_in,
    load_parts,
    nearest,
    placed,
    save_parts,
    top_k,
    unit,
    vector_of,
    write_vectors,
)

_INDEX = "outer"
_QUICK = 1 << 20
"""Numbers that are looked at in a fraction of a millisecond."""
_NOBODY = np.empty(0, dtype=np.int32)


@dataclass(frozen=True)
class NodeEmbedding:
    """`users` and `inner`, of length 1, and `outer`, float32 (n, d): the inner product of a user's and an item's outer
    vector is high where they are linked, or stand beside each other on walks. User u is linked with the items
    `linked[start[u] : start[u + 1]]`; these are recalled only where `repeats`. `accounts`: users are items too, and
    nobody is recalled for himself. Rows `{user_id, top_k}` -> ids of items, never of the user."""

    user_ids: tuple[str, ...]
    users: Vectors
    item_ids: tuple[str, ...]
    inner: Vectors
    outer: Vectors
    start: NDArray[np.int64]
    linked: NDArray[np.int32]
    repeats: bool = False
    accounts: bool = False
    losses: tuple[float, ...] = ()
    feature_names: tuple[str, ...] = ("user_id", "top_k")
    output: ClassVar[str] = "list"

    @property
    def loop_rows(self) -> int:
        """Of a large graph rows are answered by a thread: nobody else waits for them."""
        return 4 if self.outer.size <= _QUICK else 0

    def recall(self, user_id: str, top_k: int) -> tuple[list[str], list[float]]:
        """Ids of the items that go best with the user, and how well, between 0 and 1; both empty for an unknown one."""
        return self.near(user_id, top_k, repeats=self.repeats)

    def near(self, user_id: str, k: int, *, repeats: bool) -> tuple[list[str], list[float]]:
        """As `recall`, with or without what the user is linked with already."""
        at = self._user.get(user_id)
        if at is None:
            return [], []
        left_out = _NOBODY if repeats else self.linked[self.start[at] : self.start[at + 1]]
        if self.accounts and (own := self._item.get(user_id)) is not None:
            left_out = np.append(left_out, np.int32(own))
        found, logits = nearest(self._beside, self.users[at], k, left_out)
        return [self.item_ids[each] for each in found], chance_of(np.array(logits, dtype=np.float32)).tolist()

    def similar(self, users: Sequence[str], items: Sequence[str]) -> NDArray[np.float32]:
        """(n,) inner products of pairs; 0 where one of the two is unknown."""
        found = np.zeros(len(users), dtype=np.float32)
        for row, (user, item) in enumerate(zip(users, items, strict=True)):
            a, b = self._user.get(user), self._item.get(item)
            if a is not None and b is not None:
                found[row] = self.users[a] @ self.outer[b]
        return found

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]:
        """For each row ids of items; [] for a user that the graph does not know. Raises Invalid."""
        return [self.recall(id_of(row, "user_id"), top_k(row))[0] for row in rows]

    def user_embedding(self, features: Mapping[str, Any], history: Sequence[str] | None = None) -> list[float]:
        """Of the user that the features name, else of whoever took the `history`; zeros for nothing that is known."""
        at = self._user.get(str(features.get("user_id"))) if "user_id" in features else None
        if at is not None:
            found: list[float] = self.users[at].tolist()
            return found
        taken = ids_in(features.get("history", []), "history") if history is None else list(history)
        items = placed(self._item, taken)
        told: list[float] = unit(self.inner[items].sum(axis=0)).tolist()
        return told

    def item_embedding(self, features: Mapping[str, Any]) -> list[float]:
        """The outer vector, which goes with those of users. Raises Invalid without `item_id`, NotFound for an item that
        is not in the graph."""
        return vector_of(self._item, self.outer, features, "node2vec")

    @cached_property
    def item_vectors(self) -> Vectors:
        """Of length 1, from both: for whoever has one table only."""
        return unit(self.inner + self.outer)

    @cached_property
    def _beside(self) -> VectorIndex:
        """Over the outer vectors; saved with them."""
        return VectorIndex.build(self.outer, queries=self.users)

    @cached_property
    def _user(self) -> Mapping[str, int]:
        return {name: at for at, name in enumerate(self.user_ids)}

    @cached_property
    def _item(self) -> Mapping[str, int]:
        return {name: at for at, name in enumerate(self.item_ids)}

    def save(self, folder: Path) -> None:
        arrays: dict[str, NDArray[Any]] = {
            "users": self.users,
            "inner": self.inner,
            "outer": self.outer,
            "start": self.start,
            "linked": self.linked,
        }
        facts = {
            "user_ids": self.user_ids,
            "item_ids": self.item_ids,
            "repeats": self.repeats,
            "accounts": self.accounts,
            "losses": self.losses,
        }
        save_parts(folder, arrays, facts)
        self._beside.save(folder, _INDEX)

    @classmethod
    def load(cls, folder: Path) -> NodeEmbedding:
        """Raises Invalid when the files do not fit together."""
        arrays, facts = load_parts(folder)
        users, items = tuple(facts["user_ids"]), tuple(facts["item_ids"])
        start, linked = arrays["start"].astype(np.int64), arrays["linked"].astype(np.int32)
        if len(start) != len(users) + 1 or start[-1] != len(linked) or linked.max(initial=-1) >= len(items):
            raise Invalid("the links do not fit the users; train the model again", code="bad_artifact")
        inner, outer = (fitting(items, arrays[name], "items") for name in ("inner", "outer"))
        made = cls(
            users,
            fitting(users, arrays["users"], "users"),
            items,
            inner,
            outer,
            start,
            linked,
            bool(facts["repeats"]),
            bool(facts["accounts"]),
            tuple(facts["losses"]),
        )
        made.__dict__["_beside"] = VectorIndex.load(folder, outer, _INDEX)
        return made

    def save_legacy(self, folder: Path) -> LegacyMeta:
        """`node2vec_vectors.json`, id -> vector, users and items; and `node2vec_meta.json`."""
        others = [at for at, name in enumerate(self.user_ids) if name not in self._item]
        ids = [*self.item_ids, *(self.user_ids[at] for at in others)]
        write_vectors(folder / "node2vec_vectors.json", ids, np.concatenate([self.item_vectors, self.users[others]]))
        return LegacyMeta(feature_columns=list(self.feature_names))
