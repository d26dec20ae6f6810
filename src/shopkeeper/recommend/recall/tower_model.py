"""Towers as they serve, in numpy: a user's vector by what was taken and what is said of the user; items beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self
from zipfile import BadZipFile

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.recommend.recall.traits import Trait, Traits

Floats = NDArray[np.float32]
Items = NDArray[np.int32]
_ARRAYS = "towers.npz"
_FACTS = "towers.json"
_HISTORY, _USER, _ITEM = "history_item_ids", "user_features", "item_features"


@dataclass(frozen=True)
class Towers:
    """Recall by the inner product of the user's vector with those of items.

    `arrays` by name, float32: `seen` (n, d) what an item taken adds to the user's side, `recency` (p, length) how much
    the k-th newest item counts in each of p means, `user_traits` (tokens, d), the layers `user0` (inputs, w), `user0_b`
    (w,) ... of the user's tower, and `vectors` (n, out) of items. A score is a share of a softmax over all items of
    inner product / `temperature`. `reference` (us): nothing of what came after it was learned.
    """

    item_ids: tuple[str, ...]
    arrays: Mapping[str, Floats]
    user_traits: Traits
    item_traits: Traits
    temperature: float = 1.0
    reference: int | None = None
    half_life_days: float | None = None
    output: ClassVar[str] = "vector"
    unit: ClassVar[bool] = False
    """Whether vectors have length 1."""
    loop_rows: ClassVar[int] = 16
    """A vector takes a tenth of a millisecond, less than a hand-over to a thread."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.user_traits.names, *self.item_traits.names)))

    @property
    def output_size(self) -> int:
        return int(self.arrays["vectors"].shape[1])

    @property
    def length(self) -> int:
        """How many of the newest items are read."""
        return int(self.arrays["recency"].shape[1])

    @property
    def item_vectors(self) -> Floats:
        return self.arrays["vectors"]

    # -- as a recall model

    def scores(self, items: Items, weights: Floats) -> Floats:
        """(n_items,) the probability that an item comes next after `items`, the newest first; 0 for everything when
        nothing was taken. The order counts, the weights do not."""
        return self.scores_for({}, items, weights)

    def scores_for(self, features: Mapping[str, Any], items: Items, weights: Floats) -> Floats:
        """The same for somebody of whom `features` are known, too. Raises Invalid for one that cannot be read."""
        del weights
        if not len(self.item_ids) or (not len(items) and not set(features) & set(self.user_traits.names)):
            return np.zeros(len(self.item_ids), dtype=np.float32)
        logit = self.item_vectors @ self._users([features], [items])[0] / np.float32(self.temperature)
        raised = np.exp(logit - logit.max())
        found: Floats = raised / raised.sum()
        return found

    def because(self, items: Items, weights: Floats, wanted: Items) -> Items:
        """The item taken whose vector is most like the wanted one's, where the cosine is above 0; of those read."""
        del weights
        if not len(items) or not len(wanted):
            return np.full(len(wanted), -1, dtype=np.int32)
        read = items[: self.length]
        like = self._directions[wanted] @ self._directions[read].T
        like[wanted[:, None] == read[None, :]] = 0
        voter = like.argmax(axis=1)
        return np.where(like[np.arange(len(wanted)), voter] > 0, voter, -1).astype(np.int32)

    # -- as towers

    def user_embedding(self, features: Mapping[str, Any], history: Sequence[str] | None = None) -> list[float]:
        """`history`: items taken, the newest last; those that it does not know count for nothing."""
        found: list[float] = self._users([features], [self._places(history or ())])[0].tolist()
        return found

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]:
        """A vector for each row `{user_features, history_item_ids}`; what has neither is taken for a user's features.

        Raises Invalid for a row that cannot be read.
        """
        features, histories = [], []
        for at, row in enumerate(rows):
            features.append(_features(row, _USER, at))
            histories.append(self._places(_history(row, at)))
        return self._users(features, histories).tolist() if rows else []

    # -- on the disk

    def save(self, folder: Path) -> None:
        np.savez(folder / _ARRAYS, allow_pickle=False, **self.arrays)
        facts = {
            "item_ids": list(self.item_ids),
            "temperature": self.temperature,
            "reference": self.reference,
            "user_traits": msgspec.to_builtins(self.user_traits.traits),
            "item_traits": msgspec.to_builtins(self.item_traits.traits),
        }
        (folder / _FACTS).write_text(json.dumps(facts), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Raises Invalid when the files do not fit together."""
        try:
            facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
            with np.load(folder / _ARRAYS, allow_pickle=False) as found:
                arrays = {name: found[name].astype(np.float32) for name in found.files}
            user, item = (
                Traits(msgspec.convert(facts[name], tuple[Trait, ...])) for name in ("user_traits", "item_traits")
            )
            loaded = cls(tuple(facts["item_ids"]), arrays, user, item, facts["temperature"], facts["reference"])
            loaded._check()
        except (OSError, KeyError, ValueError, BadZipFile, msgspec.ValidationError) as error:
            raise Invalid(f"the towers cannot be read ({error}); train the model again", code="bad_artifact") from error
        return loaded

    # -- inside

    def _users(self, features: Sequence[Mapping[str, Any]], histories: Sequence[Items]) -> Floats:
        """(m, out); a history holds places of items, the newest first."""
        arrays = self.arrays
        seen, recency = arrays["seen"], arrays["recency"]
        pools, length = recency.shape
        width = seen.shape[1]
        given = np.zeros((len(features), (pools + 1) * width + 1), dtype=np.float32)
        for row, items in zip(given, histories, strict=True):
            read = items[:length]
            if len(read):
                weight = recency[:, : len(read)]
                row[: pools * width] = (weight @ seen[read] / weight.sum(axis=1, keepdims=True)).ravel()
                row[-1] = len(read) / length
        given[:, pools * width : -1] = self.user_traits.bag(features).sums(arrays["user_traits"])
        return self._through("user", given)

    def _through(self, tower: str, x: Floats) -> Floats:
        arrays, at = self.arrays, 0
        while f"{tower}{at}" in arrays:
            x = (np.maximum(x, 0) if at else x) @ arrays[f"{tower}{at}"] + arrays[f"{tower}{at}_b"]
            at += 1
        if self.unit:
            x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)
        return x.astype(np.float32)

    def _places(self, history: Sequence[str]) -> Items:
        """The newest first."""
        known = [self._place[one] for one in history if one in self._place]
        return np.array(known[: -self.length - 1 : -1], dtype=np.int32)

    @cached_property
    def _place(self) -> dict[str, int]:
        return {id: at for at, id in enumerate(self.item_ids)}

    @cached_property
    def _directions(self) -> Floats:
        vectors = self.item_vectors
        found: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return found

    def _check(self) -> None:
        """Raises ValueError."""
        arrays, n = self.arrays, len(self.item_ids)
        if not {"seen", "recency", "user_traits", "vectors", "user0"} <= set(arrays):
            raise ValueError("layers are missing")
        width = arrays["seen"].shape[-1]
        inputs = (len(arrays["recency"]) + 1) * width + 1
        fits = (
            arrays["seen"].shape == (n, width)
            and len(arrays["vectors"]) == n
            and arrays["user_traits"].shape == (self.user_traits.size, width)
            and len(arrays["user0"]) == inputs
        )
        if not fits or not all(np.isfinite(each).all() for each in arrays.values()):
            raise ValueError("the layers do not fit their item ids")
        self._users([{}], [np.zeros(min(n, 1), dtype=np.int32)])  # what the first question needs is there before


class YoutubeModel(Towers):
    """`vectors` are those of the output layer that was trained."""


@dataclass(frozen=True)
class TwoTowerModel(Towers):
    """Both sides have length 1. Beside `arrays` of Towers: `item_traits` (tokens, d) and the layers `item0` ... of the
    item's tower, so that an item nobody has taken has a vector by what is said of it."""

    unit: ClassVar[bool] = True

    def item_embedding(self, features: Mapping[str, Any]) -> list[float]:
        """Of an item it knows, by `item_id`, the vector that it has learned; else by what is said of the item."""
        if (at := self._place.get(str(features.get("item_id", "")))) is not None:
            known: list[float] = self.item_vectors[at].tolist()
            return known
        found: list[float] = self._items([features])[0].tolist()
        return found

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]:
        """As users; a row `{item_features}` as an item, and so is one with names that are said of items alone."""
        result: list[Any] = [None] * len(rows)
        items = [at for at, row in enumerate(rows) if self._is_item(row)]
        for at in items:
            result[at] = self.item_embedding(_features(rows[at], _ITEM, at))
        users = sorted(set(range(len(rows))) - set(items))
        for at, found in zip(users, super().score_rows([rows[at] for at in users]), strict=True):
            result[at] = found
        return result

    def _check(self) -> None:
        super()._check()
        width = self.arrays["seen"].shape[1]
        if self.arrays["item_traits"].shape != (self.item_traits.size, width) or len(self.arrays["item0"]) != width:
            raise ValueError("the layers of the items' tower do not fit")
        self._items([{}])

    def _items(self, features: Sequence[Mapping[str, Any]]) -> Floats:
        return self._through("item", self.item_traits.bag(features).sums(self.arrays["item_traits"]))

    def _is_item(self, row: Mapping[str, Any]) -> bool:
        if _ITEM in row:
            return True
        if _USER in row or _HISTORY in row:
            return False
        names = set(row)
        return bool(names & {*self.item_traits.names, "item_id"}) and not names & set(self.user_traits.names)


def _features(row: Mapping[str, Any], name: str, at: int) -> Mapping[str, Any]:
    found = row.get(name)
    if found is None:
        return {} if name in row else {key: value for key, value in row.items() if key != _HISTORY}
    if not isinstance(found, Mapping):
        raise Invalid(
            f"row {at}: {name} is {str(found)[:60]!r}, expected named values", code="not_an_object", field=name
        )
    return found


def _history(row: Mapping[str, Any], at: int) -> Sequence[str]:
    found = row.get(_HISTORY)
    if found is None:
        return ()
    if not isinstance(found, list | tuple) or not all(isinstance(one, str | int) for one in found):
        raise Invalid(
            f"row {at}: {_HISTORY} is {str(found)[:60]!r}, expected a list of item ids", code="not_ids", field=_HISTORY
        )
    return [str(one) for one in found]
