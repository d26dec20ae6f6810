"""A learner as bytes: data, never code. What is written by one process goes on in another."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Unavailable
from shopkeeper.core.learning import Detector
from shopkeeper.learning.tabular import Column
from shopkeeper.recommend.online.ftrl import Step


class Packed(msgspec.Struct, array_like=True):
    """An array: its type, shape and bytes in C order."""

    dtype: str
    shape: tuple[int, ...]
    content: bytes

    @classmethod
    def of(cls, array: NDArray[Any]) -> Packed:
        return cls(array.dtype.str, array.shape, np.ascontiguousarray(array).tobytes())

    def array(self) -> NDArray[Any]:
        return np.frombuffer(self.content, dtype=np.dtype(self.dtype)).reshape(self.shape).copy()


class Kept(msgspec.Struct, kw_only=True):
    """Weights, the rows they wait for or may be taught again, the detector, and what was counted."""

    columns: tuple[Column, ...]
    edges: Packed
    z: Packed
    n: Packed
    step: Step
    importance: dict[str, float]
    values: Packed
    label: Packed
    weight: Packed
    users: Packed
    recent: Packed
    detector: Detector
    detecting: bytes
    counts: dict[str, int]
    drifted_at: int | None
    model_updates: int


def encode(kept: Kept) -> bytes:
    return msgspec.msgpack.encode(kept)


def decode(content: bytes) -> Kept:
    """Raises Unavailable for what was not written here."""
    try:
        return msgspec.msgpack.decode(content, type=Kept)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise Unavailable(
            f"the learner's state cannot be read ({error}); take the learner away and begin anew", code="bad_state"
        ) from error
