"""One compared condition of a rule on one user: what it says, and how far it is from turning."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from shopkeeper.rules.one import compile_one, compile_value
from shopkeeper.rules.phrases import PHRASES, Phrases
from shopkeeper.rules.tree import Compare, Constant, Contains, HasKey, IsNone, Node, OneOf, Ref
from shopkeeper.rules.unparse import quoted, unparse

Row: TypeAlias = Mapping[str, Any]
_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


@dataclass(frozen=True, slots=True)
class Leaf:
    """`says` is the fact with the value that decided, `would` what turns it.

    `distance` is how far a compared number is from its bound (same unit as the number), None where there is no such
    distance. `fixed`: nothing about the user can turn it (`1 < 2`). `effort` orders leaves: relative distance, else 1.
    """

    text: str
    holds: bool
    says: str
    would: str
    distance: float | None
    effort: float
    fixed: bool = False


def read(node: Node, row: Row, wanted: bool, words: Phrases = PHRASES["en"]) -> Leaf:
    """The leaf; `wanted` False when it stands under `not`."""
    holds = compile_one(node)(row) is wanted
    if isinstance(node, Compare) and node.left.type == "number":
        return _number(node, row, wanted, holds, words)
    if isinstance(node, Constant):
        says = words.always if holds else words.never
        return Leaf(unparse(node), holds, says, words.nothing, None, 1.0, fixed=True)
    target, opposite = _texts(node, words)
    now, then = (target, opposite) if (holds is wanted) else (opposite, target)
    value = _value(node, row, words)
    says = value + (now.lstrip() if value.endswith("：") else now)  # a full-width colon has its space within
    return Leaf(unparse(node), holds, says, f"{_subject(node)}{then}", None, 1.0)


def shown(value: Any, words: Phrases = PHRASES["en"]) -> str:
    """A value as a reader wants it: 1,234.5; 'text'; missing. Numbers look the same in every language."""
    if value is None or value != value:
        return words.missing
    if isinstance(value, str):
        return quoted(value if len(value) <= 60 else value[:57] + "...")
    if abs(value) >= 1e15:
        return f"{value:.3g}"
    return f"{value:,.2f}".rstrip("0").rstrip(".") if abs(value) >= 0.01 or value == 0 else f"{value:.3g}"


def _number(node: Compare, row: Row, wanted: bool, holds: bool, words: Phrases) -> Leaf:
    left, right = compile_value(node.left)(row), compile_value(node.right)(row)
    op = node.op if compile_one(node)(row) else _OPPOSITE[node.op]
    name, bound = unparse(node.left), _bound(node.right, right, words)
    if left != left or right != right:
        lacking = name if left != left else unparse(node.right)
        goal = f"{name} {node.op if wanted else _OPPOSITE[node.op]} {bound}"
        says = words.lacks.format(lacking)
        return Leaf(unparse(node), holds, says, words.known_and.format(lacking, goal), None, 2.0)
    gap = 0.0 if left == right else right - left  # infinite numbers too
    stands = name if isinstance(node.left, Constant) else words.stands.format(name, shown(left, words))
    says = words.compares.format(stands, op, bound)
    would = words.would.format(name, _OPPOSITE[op], bound, shown(left, words), _away(op, gap, words))
    effort = abs(gap) / (abs(left) + abs(right) + 1e-9) if math.isfinite(gap) else 1.0
    fixed = isinstance(node.left, Constant) and isinstance(node.right, Constant)
    return Leaf(unparse(node), holds, says, would, abs(gap), effort, fixed)


def _bound(node: Node, value: float, words: Phrases) -> str:
    return shown(value, words) if isinstance(node, Constant) else f"{unparse(node)} = {shown(value, words)}"


def _away(op: str, gap: float, words: Phrases) -> str:
    """How far the left side is from turning `op`."""
    if op == "==":
        return ""
    if gap == 0:
        return words.on_bound
    return (words.more if gap > 0 else words.less).format(shown(abs(gap), words))


def _subject(node: Node) -> str:
    match node:
        case OneOf(inner=inner) | IsNone(inner=inner):
            return unparse(inner)
        case Contains(whole=whole):
            return unparse(whole)
        case HasKey(map=source):
            return source.name
        case Compare(left=left):
            return unparse(left)
    return unparse(node)


def _value(node: Node, row: Row, words: Phrases) -> str:
    """The subject with its present value."""
    match node:
        case OneOf(inner=inner) | Contains(whole=inner) | Compare(left=inner):
            now = shown(compile_value(inner)(row), words)
            return words.now.format(_subject(node), now) if not isinstance(inner, Constant) else _subject(node)
    return _subject(node)


def _texts(node: Node, words: Phrases) -> tuple[str, str]:
    """What follows the subject when the condition is true, and when it is not."""
    match node:
        case OneOf(values=values, negated=negated):
            options = words.comma.join([shown(value, words) for value in values[:8]] + ["..."] * (len(values) > 8))
            return _either(words.one_of, words.none_of, negated, options)
        case Contains(part=part, negated=negated):
            return _either(words.contains, words.contains_not, negated, unparse(part))
        case HasKey(key=key, negated=negated):
            return _either(words.has, words.has_not, negated, quoted(key))
        case IsNone(negated=negated):
            return _either(words.absent, words.known, negated, "")
        case Compare(op=op, right=right):
            return f" {op} {unparse(right)}", f" {_OPPOSITE[op]} {unparse(right)}"
        case Ref():
            return words.true, words.false
    raise AssertionError(f"no sentence for {type(node).__name__}")


def _either(yes: str, no: str, negated: bool, slot: str) -> tuple[str, str]:
    pair = yes.format(slot), no.format(slot)
    return (pair[1], pair[0]) if negated else pair
