"""Which version answers whom: plans as data, and the keyed hash that keeps a person with a version.

Assignment is weighted rendezvous hashing (Thaler and Ravishankar 1998; weights after Schindelhauer and Schomaker 2005):
each variant draws a number from the person's id, and the largest wins. Shares follow the weights exactly, and a change
of one variant's weight moves people to or from that variant only, never between two others.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from math import isfinite, log
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta

from shopkeeper.core.errors import Invalid
from shopkeeper.core.records import Record

Mode: TypeAlias = Literal["sticky", "random", "ensemble"]
MOST_VARIANTS = 10


class Variant(Record, kw_only=True):
    """A version with its share; in an ensemble, with its weight in the mean."""

    version: int
    weight: Annotated[float, Meta(ge=0)]


class Stack(Record, kw_only=True):
    """A stacked ensemble of probabilities: sigmoid(intercept + sum of coefficient x logit), one for each variant."""

    intercept: float
    coefficients: list[float]


class Split(Record, kw_only=True):
    """`sticky`: by person; `random`: by request; `ensemble`: all answer and their weighted mean (or stack) is told."""

    variants: Annotated[list[Variant], Meta(min_length=1, max_length=MOST_VARIANTS)]
    mode: Mode = "sticky"
    auto_rollback: bool = True
    stack: Stack | None = None


class Shadow(Record, kw_only=True):
    """A version that is asked for a share of the requests; what it says is compared, not told."""

    version: int
    share: Annotated[float, Meta(gt=0, le=1)] = 1.0


def checked(split: Split) -> Split:
    """The same with weights that add up to 1. Raises Invalid for a plan that cannot be followed."""
    numbers = [variant.version for variant in split.variants]
    if len(set(numbers)) < len(numbers):
        raise _impossible(f"version {max(numbers, key=numbers.count)} is named twice; name each once")
    total = sum(variant.weight for variant in split.variants)
    if not isfinite(total) or total <= 0:
        raise _impossible("the weights add up to 0; at least one must be above 0")
    if split.mode == "ensemble" and len(numbers) < 2:
        raise _impossible("an ensemble needs at least two variants")
    _check_stack(split)
    shared = [Variant(version=one.version, weight=one.weight / total) for one in split.variants]
    return Split(variants=shared, mode=split.mode, auto_rollback=split.auto_rollback, stack=split.stack)


def choose(split: Split, salt: str, subject: str | None) -> int:
    """The version that answers. `subject` None, or mode `random`: drawn anew for each request."""
    if len(split.variants) == 1:
        return split.variants[0].version
    who = os.urandom(16) if subject is None or split.mode == "random" else subject.encode()
    key = hashlib.blake2b(salt.encode(), digest_size=32).digest()
    return max(split.variants, key=lambda variant: _draw(variant, key, who)).version


def without(split: Split, version: int) -> Split | None:
    """The plan when one version is taken out; None when no more than one would be left, or a member of a stack goes."""
    rest = [variant for variant in split.variants if variant.version != version]
    if len(rest) < 2 or sum(variant.weight for variant in rest) <= 0 or split.stack is not None:
        return None
    return checked(Split(variants=rest, mode=split.mode, auto_rollback=split.auto_rollback))


def combine(outputs: Sequence[Sequence[Any]], weights: Sequence[float]) -> list[Any]:
    """The weighted mean of several versions' outputs, row by row: numbers, lists of numbers, or records of numbers.

    `weights` need not add up to 1. Raises Invalid when the outputs are of different shapes.
    """
    total = sum(weights)
    shares = [weight / total for weight in weights]
    return [_mean(row, shares) for row in zip(*outputs, strict=True)]


def stacked(outputs: Sequence[Sequence[float]], stack: Stack) -> list[Any]:
    """Probabilities of a stacked ensemble, row by row."""
    from math import exp

    def one(row: Sequence[float]) -> float:
        z = stack.intercept + sum(c * _logit(p) for c, p in zip(stack.coefficients, row, strict=True))
        return 1 / (1 + exp(-z)) if z >= 0 else exp(z) / (1 + exp(z))

    return [one(row) for row in zip(*outputs, strict=True)]


def _mean(values: Sequence[Any], shares: Sequence[float]) -> Any:
    first = values[0]
    if isinstance(first, int | float) and all(isinstance(value, int | float) for value in values):
        return sum(share * value for share, value in zip(shares, values, strict=True))
    if isinstance(first, dict) and all(isinstance(value, dict) and value.keys() == first.keys() for value in values):
        return {name: _mean([value[name] for value in values], shares) for name in first}
    if isinstance(first, list) and all(isinstance(value, list) and len(value) == len(first) for value in values):
        return [_mean(parts, shares) for parts in zip(*values, strict=True)]
    raise Invalid("these versions give outputs that cannot be averaged; use mode sticky", code="not_averageable")


def _draw(variant: Variant, key: bytes, who: bytes) -> float:
    if variant.weight <= 0:
        return -1.0
    digest = hashlib.blake2b(who, key=key, salt=variant.version.to_bytes(8, "big"), digest_size=8).digest()
    uniform = (int.from_bytes(digest, "big") + 0.5) / 2**64
    return variant.weight / -log(uniform)


def _logit(probability: float) -> float:
    inside = min(max(probability, 1e-7), 1 - 1e-7)
    return log(inside / (1 - inside))


def _check_stack(split: Split) -> None:
    if split.stack is None:
        return
    if split.mode != "ensemble":
        raise _impossible("a stack belongs to mode ensemble")
    values = [split.stack.intercept, *split.stack.coefficients]
    if len(split.stack.coefficients) != len(split.variants) or not all(map(isfinite, values)):
        raise _impossible(f"the stack needs {len(split.variants)} finite coefficients, one for each variant in order")


def _impossible(message: str) -> Invalid:
    return Invalid(message, code="bad_split", field="variants")
