"""One compared condition of a rule on one user: what it says, and how far it is from turning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from shopkeeper.rules.one import compile_one, compile_value
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


def read(node: Node, row: Row, wanted: bool) -> Leaf:
    """The leaf; `wanted` False when it stands under `not`."""
    holds = compile_one(node)(row) is wanted
    if isinstance(node, Compare) and node.left.type == "number":
        return _number(node, row, wanted, holds)
    if isinstance(node, Constant):
        says = "always true" if holds else "never true"
        return Leaf(unparse(node), holds, says, "nothing: the rule says so itself", None, 1.0, fixed=True)
    target, opposite = _texts(node)
    now, then = (target, opposite) if (holds is wanted) else (opposite, target)
    return Leaf(unparse(node), holds, f"{_value(node, row)}{now}", f"{_subject(node)}{then}", None, 1.0)


def shown(value: Any) -> str:
    """A value as a reader wants it: 1,234.5; 'text'; missing."""
    if value is None or value != value:
        return "missing"
    if isinstance(value, str):
        return quoted(value if len(value) <= 60 else value[:57] + "...")
    if abs(value) >= 1e15:
        return f"{value:.3g}"
    return f"{value:,.2f}".rstrip("0").rstrip(".") if abs(value) >= 0.01 or value == 0 else f"{value:.3g}"


def _number(node: Compare, row: Row, wanted: bool, holds: bool) -> Leaf:
    left, right = compile_value(node.left)(row), compile_value(node.right)(row)
    op = node.op if compile_one(node)(row) else _OPPOSITE[node.op]
    name, bound = unparse(node.left), _bound(node.right, right)
    if left != left or right != right:
        lacking = name if left != left else unparse(node.right)
        goal = f"{name} {node.op if wanted else _OPPOSITE[node.op]} {bound}"
        return Leaf(unparse(node), holds, f"{lacking} is missing", f"{lacking} known and {goal}", None, 2.0)
    gap = right - left
    says = f"{_named(name, left, node.left)} ({op} {bound})"
    would = f"{name} {_OPPOSITE[op]} {bound} (now {shown(left)}{_away(op, gap)})"
    effort = abs(gap) / (abs(left) + abs(right) + 1e-9)
    fixed = isinstance(node.left, Constant) and isinstance(node.right, Constant)
    return Leaf(unparse(node), holds, says, would, abs(gap), effort, fixed)


def _named(name: str, value: float, node: Node) -> str:
    return name if isinstance(node, Constant) else f"{name} is {shown(value)}"


def _bound(node: Node, value: float) -> str:
    return shown(value) if isinstance(node, Constant) else f"{unparse(node)} = {shown(value)}"


def _away(op: str, gap: float) -> str:
    """How far the left side is from turning `op`."""
    if op == "==":
        return ""
    if gap == 0:
        return ", exactly on the bound"
    return f", {shown(abs(gap))} {'more' if gap > 0 else 'less'} needed"


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


def _value(node: Node, row: Row) -> str:
    """The subject with its present value."""
    match node:
        case OneOf(inner=inner) | Contains(whole=inner) | Compare(left=inner):
            now = compile_value(inner)(row)
            return f"{_subject(node)} is {shown(now)}:" if not isinstance(inner, Constant) else _subject(node)
    return _subject(node)


def _texts(node: Node) -> tuple[str, str]:
    """What follows the subject when the condition is true, and when it is not."""
    match node:
        case OneOf(values=values, negated=negated):
            options = ", ".join(shown(value) for value in values[:8]) + (", ..." if len(values) > 8 else "")
            pair = (f" one of {options}", f" none of {options}")
            return (pair[1], pair[0]) if negated else pair
        case Contains(part=part, negated=negated):
            pair = (f" contains {unparse(part)}", f" does not contain {unparse(part)}")
            return (pair[1], pair[0]) if negated else pair
        case HasKey(key=key, negated=negated):
            pair = (f" has {quoted(key)}", f" has no {quoted(key)}")
            return (pair[1], pair[0]) if negated else pair
        case IsNone(negated=negated):
            return (" is known", " is missing") if negated else (" is missing", " is known")
        case Compare(op=op, right=right):
            return f" {op} {unparse(right)}", f" {_OPPOSITE[op]} {unparse(right)}"
        case Ref():
            return " is true", " is false"
    raise AssertionError(f"no sentence for {type(node).__name__}")
