"""A causal transformer over what a user took, in numpy: how likely each item is to come next."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid

Floats = NDArray[np.float32]
_ARRAYS = "sequence.npz"
_FACTS = "sequence.json"
_EPS = np.float32(1e-5)
_GELU = np.float32(np.sqrt(2 / np.pi))


@dataclass(frozen=True)
class SequenceModel:
    """`arrays` by name, float32: `items` (n, d), `places` (length, d), `bias` (n,), `norm` (2, d) and of each block k
    `k.norm1`, `k.norm2` (2, d), `k.qkv` (d, 3 d), `k.out` (d, d), `k.up` (d, f), `k.down` (f, d), each map with its
    offset `... + _b`. A norm's rows are factor and offset."""

    item_ids: tuple[str, ...]
    arrays: Mapping[str, Floats]
    heads: int
    half_life_days: float | None = None
    feature_names: tuple[str, ...] = ()

    @property
    def length(self) -> int:
        """How many of the newest items are read."""
        return len(self.arrays["places"])

    def scores(self, items: NDArray[np.int32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n_items,) the probability that an item comes next after `items`, the newest first; 0 for everything when
        nothing was taken. The order counts, the weights do not."""
        del weights
        if not len(items) or not len(self.item_ids):
            return np.zeros(len(self.item_ids), dtype=np.float32)
        logit = self.arrays["items"] @ self._state(items[: self.length][::-1]) + self.arrays["bias"]
        raised = np.exp(logit - logit.max())
        found: Floats = raised / raised.sum()
        return found

    def because(
        self, items: NDArray[np.int32], weights: NDArray[np.float32], wanted: NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """The item taken whose vector is most like the wanted one's, where the cosine is above 0; of those read."""
        del weights
        if not len(items) or not len(wanted):
            return np.full(len(wanted), -1, dtype=np.int32)
        read = items[: self.length]
        like = self._directions[wanted] @ self._directions[read].T
        like[wanted[:, None] == read[None, :]] = 0
        voter = like.argmax(axis=1)
        return np.where(like[np.arange(len(wanted)), voter] > 0, voter, -1).astype(np.int32)

    def save(self, folder: Path) -> None:
        np.savez(folder / _ARRAYS, allow_pickle=False, **self.arrays)
        facts = {"item_ids": list(self.item_ids), "heads": self.heads}
        (folder / _FACTS).write_text(json.dumps(facts), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> SequenceModel:
        """Raises Invalid when the files do not fit together."""
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        with np.load(folder / _ARRAYS, allow_pickle=False) as found:
            arrays = {name: found[name].astype(np.float32) for name in found.files}
        loaded = cls(tuple(facts["item_ids"]), arrays, int(facts["heads"]))
        loaded._check()
        return loaded

    def _state(self, sequence: NDArray[np.int32]) -> Floats:
        """(d,) of what comes after the sequence, oldest first. The last block is computed for the newest item only."""
        arrays = self.arrays
        width = arrays["places"].shape[1]
        state = arrays["items"][sequence] * np.float32(np.sqrt(width) / 2) + arrays["places"][: len(sequence)]
        for block in range(self._blocks):
            asking = state if block < self._blocks - 1 else state[-1:]
            state = self._block(f"{block}.", state, asking)
        found: Floats = _normed(state, arrays["norm"])[-1]
        return found

    def _block(self, at: str, state: Floats, asking: Floats) -> Floats:
        """`asking` (a, d) are the last a rows of `state` (m, d)."""
        arrays, heads = self.arrays, self.heads
        (m, width), a = state.shape, len(asking)
        weights, offset, norm = arrays[at + "qkv"], arrays[at + "qkv_b"], arrays[at + "norm1"]
        query = (_normed(asking, norm) @ weights[:, :width] + offset[:width]).reshape(a, heads, -1).transpose(1, 0, 2)
        both = _normed(state, norm) @ weights[:, width:] + offset[width:]
        key, value = both.reshape(m, 2, heads, -1).transpose(1, 2, 0, 3)
        logit = query @ key.transpose(0, 2, 1) / np.float32(np.sqrt(width // heads))
        if a > 1:
            logit += _future(m)
        share = np.exp(logit - logit.max(axis=-1, keepdims=True))
        share /= share.sum(axis=-1, keepdims=True)
        heard = (share @ value).transpose(1, 0, 2).reshape(a, width)
        after = asking + heard @ arrays[at + "out"] + arrays[at + "out_b"]
        inner = _gelu(_normed(after, arrays[at + "norm2"]) @ arrays[at + "up"] + arrays[at + "up_b"])
        result: Floats = after + inner @ arrays[at + "down"] + arrays[at + "down_b"]
        return result

    @cached_property
    def _blocks(self) -> int:
        return sum(name.endswith(".qkv") for name in self.arrays)

    @cached_property
    def _directions(self) -> Floats:
        vectors = self.arrays["items"]
        found: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return found

    def _check(self) -> None:
        arrays, n = self.arrays, len(self.item_ids)
        whole = {"items", "places", "bias", "norm"} <= set(arrays)
        width = arrays["places"].shape[-1] if whole else 0
        parts = {"norm1", "norm2", "qkv", "qkv_b", "out", "out_b", "up", "up_b", "down", "down_b"}
        names = {f"{block}.{part}" for block in range(self._blocks) for part in parts}
        fits = whole and names <= set(arrays) and arrays["items"].shape == (n, width) and len(arrays["bias"]) == n
        if not fits or width % self.heads or not all(np.isfinite(each).all() for each in arrays.values()):
            raise Invalid("the layers do not fit their item ids; train the model again", code="bad_artifact")


def _normed(x: Floats, norm: Floats) -> Floats:
    x = x - x.mean(axis=1, keepdims=True)
    scale = np.sqrt(np.einsum("ij,ij->i", x, x)[:, None] / np.float32(x.shape[1]) + _EPS)
    result: Floats = x / scale * norm[0] + norm[1]
    return result


def _gelu(x: Floats) -> Floats:
    result: Floats = np.float32(0.5) * x * (1 + np.tanh(_GELU * (x + np.float32(0.044715) * x * x * x)))
    return result


def _future(m: int) -> Floats:
    """(m, m): nothing for what lies before, minus infinity for what comes after."""
    return np.triu(np.full((m, m), -np.inf, dtype=np.float32), 1)
