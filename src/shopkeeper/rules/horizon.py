"""A rule over time: its answer for each user now, and until when that answer stands if no event comes.

Between events a profile moves by the clock alone: a window loses an event, days go by. Each field says how it moves
(`Motion`); an expression then has a value, a slope, and a moment up to which both hold; a comparison turns where its
two sides cross. What is not linear in time (a product of two moving fields, `%`, the text of a moving number) is looked
at again every minute.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.rules.columns import Columns
from shopkeeper.rules.tree import (
    And,
    Arithmetic,
    Call,
    Compare,
    Get,
    Negate,
    Node,
    Not,
    Or,
    Ref,
    fields,
    walk,
)
from shopkeeper.rules.vector import evaluate

NEVER = int(np.iinfo(np.int64).max)
AGAIN = 60_000_000
"""us after which what cannot be foreseen is looked at again."""
_BLUR = 0.1

Times: TypeAlias = "NDArray[np.int64] | int"
Slopes: TypeAlias = "NDArray[np.float64] | float"


@dataclass(frozen=True, slots=True)
class Motion:
    """How a field moves without events: by `slope` a microsecond (numbers only), as it stands, until `until` (us)."""

    slope: float = 0.0
    until: Times = NEVER


Answer: TypeAlias = "tuple[NDArray[np.bool_], NDArray[np.int64]]"


def compile_horizon(
    tree: Node, movable: Container[str]
) -> Callable[[Columns, Mapping[str, Motion], Times, Times], Answer]:
    """The condition as a function of columns (n,), the motions of its movable fields, now (us, one or (n,)), and after
    how long (us, likewise) what cannot be foreseen is looked at again, AGAIN as a rule.

    Gives (bool (n,), int64 (n,)): the answer, and the first moment after now at which it may be another.
    """
    names = fields(tree)
    moving = frozenset(id(node) for node in walk(tree) if any(name in movable for name in fields(node)))

    def run(columns: Columns, motions: Mapping[str, Motion], now: Times, again: Times) -> Answer:
        n = columns.n
        used = {name: columns.values[name] for name in names if name in columns.values}
        with np.errstate(all="ignore"):
            holds, until = _Look(used, motions, moving, now, again).condition(tree)
        answers, soonest = np.empty(n, dtype=np.bool_), np.empty(n, dtype=np.int64)
        answers[:], soonest[:] = holds, np.maximum(until, np.asarray(now) + 1)
        return answers, soonest

    return run


@dataclass(frozen=True, slots=True)
class _Number:
    """`value` (n,) now, its slope, and until when both hold. A node that stands still has slope 0 and NEVER."""

    value: Any
    slope: Any = 0.0
    until: Any = NEVER


class _Look:
    def __init__(
        self,
        columns: Mapping[str, Any],
        motions: Mapping[str, Motion],
        moving: frozenset[int],
        now: Times,
        again: Times,
    ) -> None:
        self._columns = columns
        self._motions = motions
        self._moving = moving
        self._now = now
        self._again = np.asarray(now) + again  # when to look again at what cannot be foreseen

    def condition(self, node: Node) -> tuple[Any, Any]:
        """(answer, until) of a node of type bool."""
        if not self._moves(node):
            return evaluate(node, self._columns), NEVER
        match node:
            case Not(inner=inner):
                holds, until = self.condition(inner)
                return np.logical_not(holds), until
            case And(parts=parts):
                return self._join(parts, all_needed=True)
            case Or(parts=parts):
                return self._join(parts, all_needed=False)
            case Compare(left=left, right=right) if left.type == "number":
                return self._compare(node, self.number(left), self.number(right))
        # Compared texts, memberships, missing values: they stand as long as what they read does.
        return evaluate(node, self._columns), self._soonest(node)

    def _join(self, parts: tuple[Node, ...], *, all_needed: bool) -> tuple[Any, Any]:
        """One part that fails keeps an `and` failing: it stands until the last such part may turn. `or` likewise."""
        decided, all_stand, one_stands = all_needed, NEVER, self._now
        for part in parts:
            holds, until = self.condition(part)
            turned = np.not_equal(holds, all_needed)
            decided = np.logical_and(decided, holds) if all_needed else np.logical_or(decided, holds)
            all_stand = np.minimum(all_stand, until)
            one_stands = np.where(turned, np.maximum(one_stands, until), one_stands)
        return decided, np.where(np.equal(decided, all_needed), all_stand, one_stands)

    def _compare(self, node: Compare, left: _Number, right: _Number) -> tuple[Any, Any]:
        holds = evaluate(node, self._columns)
        gap, slope = np.subtract(left.value, right.value), np.subtract(left.slope, right.slope)
        crossing = self._after(-gap / np.where(slope == 0, np.nan, slope), at_once=np.equal(gap, 0) & (slope != 0))
        return holds, np.minimum(np.minimum(left.until, right.until), crossing)

    # -- numbers ---------------------------------------------------------------------------------------------

    def number(self, node: Node) -> _Number:
        value = evaluate(node, self._columns)
        if not self._moves(node):
            return _Number(value)
        match node:
            case Ref(name=name):
                motion = self._motions[name]
                return _Number(value, motion.slope, motion.until)
            case Negate(inner=inner):
                part = self.number(inner)
                return _Number(value, np.negative(part.slope), part.until)
            case Arithmetic(op=op, left=left, right=right):
                return self._arithmetic(op, value, self.number(left), self.number(right))
            case Call(function="min" | "max" as function, arguments=arguments):
                return self._extreme(function, [self.number(argument) for argument in arguments])
            case Call(function="float", arguments=(inner,)) if inner.type == "number":
                return self.number(inner)
            case Call(function="int", arguments=(inner,)) if inner.type == "number":
                return self._whole(value, self.number(inner))
            case Get(default=default) if default is not None and self._moves(default):
                return self._unforeseen(value, self._soonest(node))
        return _Number(value, 0.0, self._soonest(node))

    def _arithmetic(self, op: str, value: Any, left: _Number, right: _Number) -> _Number:
        until = np.minimum(left.until, right.until)
        if op in "+-":
            return _Number(value, np.add(left.slope, right.slope if op == "+" else np.negative(right.slope)), until)
        if op == "*" and not (np.any(left.slope) and np.any(right.slope)):
            return _Number(value, left.slope * right.value + right.slope * left.value, until)
        if op == "/" and not np.any(right.slope):
            return _Number(value, left.slope / np.where(np.equal(right.value, 0), np.nan, right.value), until)
        moves = np.not_equal(left.slope, 0) | np.not_equal(right.slope, 0)
        return _Number(value, 0.0, np.where(moves, np.minimum(until, self._again), until))

    def _extreme(self, function: str, parts: list[_Number]) -> _Number:
        """The one that wins, until another overtakes it."""
        best = parts[0]
        for part in parts[1:]:
            gap, slope = np.subtract(part.value, best.value), np.subtract(part.slope, best.slope)
            wins = gap < 0 if function == "min" else gap > 0
            at_once = np.equal(gap, 0) & np.not_equal(slope, 0)
            crossing = self._after(-gap / np.where(slope == 0, np.nan, slope), at_once=at_once)
            until = np.minimum(np.minimum(best.until, part.until), crossing)
            either = np.isnan(gap)
            value = np.where(either, np.nan, np.where(wins, part.value, best.value))
            best = _Number(value, np.where(wins, part.slope, best.slope), until)
        return best

    def _whole(self, value: Any, inner: _Number) -> _Number:
        """A cut number stands until the next whole one is reached."""
        rising = np.floor(inner.value) + 1 - inner.value
        falling = np.ceil(inner.value) - 1 - inner.value
        slope = np.where(np.equal(inner.slope, 0), np.nan, inner.slope)
        reached = self._after(np.where(slope > 0, rising, falling) / slope, at_once=False)
        return _Number(value, 0.0, np.minimum(inner.until, reached))

    def _unforeseen(self, value: Any, until: Any) -> _Number:
        return _Number(value, 0.0, np.minimum(until, self._again))

    # -- time ------------------------------------------------------------------------------------------------

    def _after(self, wait: Any, *, at_once: Any) -> Any:
        """now + wait (us), up to the next whole one; NEVER where there is none ahead."""
        ahead = np.where(wait > 0, wait, np.inf)
        # Days are counted to about a hundredth of a microsecond: rather a look too early than one too late.
        soon = np.minimum(np.ceil(ahead - _BLUR), 4e18).astype(np.int64)
        later = np.where(soon >= NEVER // 4, NEVER, np.asarray(self._now) + soon)
        return np.where(at_once, np.asarray(self._now) + 1, later)

    def _moves(self, node: Node) -> bool:
        return id(node) in self._moving

    def _soonest(self, node: Node) -> Any:
        """Until when everything below stands. A number that drifts cannot be foreseen here."""
        until: Any = NEVER
        for name in fields(node):
            if (motion := self._motions.get(name)) is not None:
                until = np.minimum(until, motion.until)
                if motion.slope:
                    until = np.minimum(until, self._again)
        return until
