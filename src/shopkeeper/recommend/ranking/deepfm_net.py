"""The net of `deepfm` and its slopes, by hand: a line, the products of all pairs of vectors, and layers that read the
vectors side by side, all of them the same vectors.

For b rows with c codes and p numbers, vectors of k numbers:

    x (b, c k + p)  vectors of the codes side by side, then the numbers
    total (b, k)    sum over codes of their vectors + sum over numbers of number times its vector
    logit (b,)      bias + what codes and numbers count by themselves
                    + sum over pairs of their inner products = (total^2 - sum of squares) / 2, over k
                    + what the last layer says

References: Guo et al., "DeepFM: a factorization-machine based neural network for CTR prediction", IJCAI 2017; Kingma,
Ba, "Adam", ICLR 2015.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.ranking.deepfm_loops import BETA1, BETA2, loops

Floats: TypeAlias = NDArray[np.float32]
Codes: TypeAlias = NDArray[np.int32]

_BYTE = 256
_BATCH = 8192


@dataclass(frozen=True)
class Shape:
    """`rows` of the table of codes, `codes` and `numbers` of a row, numbers of a vector, and of each layer."""

    rows: int
    codes: int
    numbers: int
    vector: int
    hidden: tuple[int, ...]

    @property
    def layers(self) -> list[tuple[int, int]]:
        """(in, out) of each."""
        widths = [self.codes * self.vector + self.numbers, *self.hidden]
        return list(pairwise(widths))

    @property
    def flat(self) -> list[tuple[str, tuple[int, ...]]]:
        """What is learned beside the table, in the order in which it lies in one array."""
        named: list[tuple[str, tuple[int, ...]]] = [("bias", (1,)), ("numbers", (self.numbers, self.vector + 1))]
        for at, (inputs, outputs) in enumerate(self.layers):
            named += [(f"layer{at}", (inputs, outputs)), (f"layer{at}_bias", (outputs,))]
        return [*named, ("last", (self.hidden[-1],))]


class Weights:
    """The table (rows, k + 1) of codes and all else in one array, with names for its parts (see `Shape.flat`)."""

    def __init__(self, shape: Shape, table: Floats, flat: Floats) -> None:
        self.shape, self.table, self.flat = shape, table, flat
        self.named: dict[str, Floats] = {}
        at = 0
        for name, size in shape.flat:
            many = int(np.prod(size))
            self.named[name] = flat[at : at + many].reshape(size)
            at += many

    @classmethod
    def zeros(cls, shape: Shape) -> Weights:
        many = sum(int(np.prod(size)) for _, size in shape.flat)
        return cls(shape, np.zeros((shape.rows, shape.vector + 1), np.float32), np.zeros(many, np.float32))

    @classmethod
    def drawn(cls, shape: Shape, random: np.random.Generator, spread: float = 0.01) -> Weights:
        made = cls.zeros(shape)
        made.table[:, :-1] = random.normal(size=(shape.rows, shape.vector)) * spread
        made.named["numbers"][:, :-1] = random.normal(size=(shape.numbers, shape.vector)) * spread
        for at, (inputs, outputs) in enumerate(shape.layers):
            made.named[f"layer{at}"][:] = random.normal(size=(inputs, outputs)) * np.sqrt(2.0 / max(inputs, 1))
        made.named["last"][:] = random.normal(size=shape.hidden[-1]) * np.sqrt(1.0 / shape.hidden[-1])
        return made

    def copy(self) -> Weights:
        return Weights(self.shape, self.table.copy(), self.flat.copy())

    def put(self, other: Weights) -> None:
        self.table[:], self.flat[:] = other.table, other.flat


class Net:
    """Weights with room for batches of at most `most` rows. Not for several threads."""

    def __init__(self, weights: Weights, most: int) -> None:
        shape = weights.shape
        self.weights = weights
        self._loops = loops()
        self._x = np.zeros((most, shape.layers[0][0]), np.float32)
        self._total, self._squares = (np.empty((most, shape.vector), np.float32) for _ in range(2))
        self._line = np.empty(most, np.float32)

    def logits(self, codes: Codes, numbers: Floats) -> Floats:
        """(n,) of any number of rows, nothing left out."""
        said = np.empty(len(codes), np.float32)
        most = len(self._x)
        for at in range(0, len(codes), most):
            part = slice(at, at + most)
            said[part] = self._forward(codes[part], numbers[part], None, 0, np.float32(1.0))[0]
        return said

    def _forward(
        self, codes: Codes, numbers: Floats, noise: Sequence[NDArray[np.uint8]] | None, least: int, scale: np.float32
    ) -> tuple[Floats, list[Floats]]:
        """(logits (b,), what each layer reads)."""
        b, named = len(codes), self.weights.named
        x, total, squares, line = self._x[:b], self._total[:b], self._squares[:b], self._line[:b]
        self._loops.gather(self.weights.table, codes, x, total, squares, line)
        if numbers.shape[1]:
            x[:, x.shape[1] - numbers.shape[1] :] = numbers
            vectors, alone = named["numbers"][:, :-1], named["numbers"][:, -1]
            total += numbers @ vectors
            squares += (numbers * numbers) @ (vectors * vectors)
            line += numbers @ alone
        logits = named["bias"] + line + np.float32(0.5) * (total * total - squares).sum(axis=1)
        heard = [x]
        for at, (_, outputs) in enumerate(self.weights.shape.layers):
            hidden = heard[-1] @ named[f"layer{at}"]
            quiet = np.zeros((b, outputs), np.uint8) if noise is None else noise[at]
            self._loops.activate(hidden, named[f"layer{at}_bias"], quiet, least, scale)
            heard.append(hidden)
        logits += heard[-1] @ named["last"]
        return logits, heard


class Learner(Net):
    """A net that learns: each `step` moves it by Adam; the vectors of codes only where they occur."""

    def __init__(self, weights: Weights, most: int, *, dropout: float, decay: float, seed: int) -> None:
        """`dropout`: share of a layer that is left out, in steps of 1/256; `decay`: what the square of a vector costs
        in each row in which it occurs."""
        super().__init__(weights, most)
        shape = weights.shape
        self._least = round(dropout * _BYTE)
        self._scale = np.float32(_BYTE / (_BYTE - self._least))
        self._decay = decay
        self._random = np.random.Generator(np.random.SFC64(seed))
        self.slopes = Weights.zeros(shape)
        self._seen = np.zeros(shape.rows, np.bool_)
        self._places = np.empty(min(shape.rows, most * shape.codes), np.int32)
        self.calm()

    def calm(self) -> None:
        """Forgets where it was going to."""
        shape = self.weights.shape
        self._first, self._second = Weights.zeros(shape), Weights.zeros(shape)
        self._steps = 0

    def step(self, codes: Codes, numbers: Floats, label: Floats, weight: Floats, rate: float) -> float:
        """The mean loss of the batch before the step; `weight` of its rows."""
        loss, many = self.slope(codes, numbers, label, weight)
        self._steps += 1
        pace = np.float32(rate / (1 - float(BETA1) ** self._steps))
        root = np.float32(np.sqrt(1 - float(BETA2) ** self._steps))
        self._loops.move_rows(
            self.weights.table, self.slopes.table, self._first.table, self._second.table, self._seen, self._places,
            many, pace, root,
        )  # fmt: skip
        self._loops.move(self.weights.flat, self.slopes.flat, self._first.flat, self._second.flat, pace, root)
        return loss

    def slope(self, codes: Codes, numbers: Floats, label: Floats, weight: Floats) -> tuple[float, int]:
        """(mean loss, how many codes occur). Slopes go into `slopes`; those of the table are added to what is there."""
        b, named, slopes = len(codes), self.weights.named, self.slopes.named
        logits, heard = self._forward(codes, numbers, self._noise(b), self._least, self._scale)
        chance = np.float32(1.0) / (np.float32(1.0) + np.exp(-np.clip(logits, -60, 60)))
        share = weight / np.float32(weight.sum())
        loss = float((share * (np.logaddexp(np.float32(0.0), logits) - label * logits)).sum())
        slope = np.ascontiguousarray((chance - label) * share, dtype=np.float32)
        slopes["bias"][0] = slope.sum()
        slopes["last"][:] = heard[-1].T @ slope
        back = np.multiply.outer(slope, named["last"])
        for at in reversed(range(len(self.weights.shape.layers))):
            self._loops.retreat(back, heard[at + 1], self._scale)
            np.matmul(heard[at].T, back, out=slopes[f"layer{at}"])
            back.sum(axis=0, out=slopes[f"layer{at}_bias"])
            back = back @ named[f"layer{at}"].T
        total = self._total[:b]
        if numbers.shape[1]:
            vectors, mine = named["numbers"][:, :-1], slopes["numbers"]
            mine[:, :-1] = numbers.T @ (slope[:, None] * total)
            mine[:, :-1] -= ((numbers * numbers).T @ slope)[:, None] * vectors
            mine[:, -1] = numbers.T @ slope
        many = self._loops.scatter(
            codes, self.weights.table, back, slope, total, np.float32(self._decay / b), self.slopes.table, self._seen,
            self._places,
        )  # fmt: skip
        return loss, int(many)

    def _noise(self, b: int) -> list[NDArray[np.uint8]] | None:
        if not self._least:
            return None
        widths = self.weights.shape.hidden
        drawn = np.frombuffer(bytearray(self._random.bytes(b * sum(widths))), np.uint8)
        ends = np.cumsum(widths) * b
        return [part.reshape(b, -1) for part in np.split(drawn, ends[:-1])]
