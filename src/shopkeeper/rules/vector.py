"""Evaluates a tree over one slice of columns. A constant stays a scalar until an array meets it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from shopkeeper.rules import values
from shopkeeper.rules.one import COMPARE
from shopkeeper.rules.tree import (
    And,
    Arithmetic,
    Call,
    Compare,
    Constant,
    Contains,
    Get,
    HasKey,
    IsNone,
    Negate,
    Node,
    Not,
    OneOf,
    Or,
    Ref,
)
from shopkeeper.rules.vectors import MapColumn, Numbers, TextColumn

_ABSENT: dict[str, Any] = {"number": values.MISSING, "text": None, "bool": False, "map": MapColumn({}, 0)}
_FEW = 8
"""Up to so many numbers, comparing with each beats a search."""


def evaluate(node: Node, columns: Mapping[str, Any]) -> Any:
    """Bool, float, str or None, or arrays of them. A field without a column is missing everywhere."""
    match node:
        case And(parts=parts):
            return _join(np.logical_and, parts, columns)
        case Or(parts=parts):
            return _join(np.logical_or, parts, columns)
        case Not(inner=inner):
            return np.logical_not(evaluate(inner, columns))
        case Compare():
            return _compare(node, columns)
        case OneOf():
            return _one_of(node, evaluate(node.inner, columns))
        case Contains(whole=whole, part=part, negated=negated):
            left, right = evaluate(whole, columns), evaluate(part, columns)
            return _texts(node, lambda a, b: (b in a) is not negated, left, right)
        case HasKey(map=source, key=key, negated=negated):
            held = _known(_key(source, key, columns))
            return np.logical_not(held) if negated else held
        case IsNone(inner=inner, negated=negated):
            known = _known(evaluate(inner, columns))
            return known if negated else np.logical_not(known)
    return _value(node, columns)


def _value(node: Node, columns: Mapping[str, Any]) -> Any:
    match node:
        case Constant(value=value):
            return value
        case Ref(name=name):
            return columns.get(name, _ABSENT[node.type])
        case Negate(inner=inner):
            return -evaluate(inner, columns)
        case Arithmetic(op=op, left=left, right=right):
            return _ARITHMETIC[op](evaluate(left, columns), evaluate(right, columns))
        case Get(map=source, key=key, default=default):
            number = _key(source, key, columns)
            return number if default is None else np.where(_known(number), number, evaluate(default, columns))
        case Call(function=function, arguments=arguments):
            return _call(node, function, [evaluate(argument, columns) for argument in arguments])
    raise AssertionError(f"no column form of {type(node).__name__}")


def _join(work: Callable[..., Any], parts: tuple[Node, ...], columns: Mapping[str, Any]) -> Any:
    found = work(evaluate(parts[0], columns), evaluate(parts[1], columns))
    for part in parts[2:]:
        found = work(found, evaluate(part, columns))
    return found


def _compare(node: Compare, columns: Mapping[str, Any]) -> Any:
    left, right, test = evaluate(node.left, columns), evaluate(node.right, columns), COMPARE[node.op]
    if node.left.type == "text":
        return _texts(node, test, left, right)
    if node.op == "!=" and node.left.type == "number":
        return np.logical_and(np.not_equal(left, right), np.logical_and(_known(left), _known(right)))
    return test(left, right)


def _texts(node: Node, ask: Callable[[str, str], bool], left: Any, right: Any) -> Any:
    """The answer for every pair of words that occurs; False where either is missing."""
    if left is None or right is None:
        return False
    if isinstance(right, str):
        return ask(left, right) if isinstance(left, str) else left.each(node, lambda word: ask(word, right))
    if isinstance(left, str):
        return right.each(node, lambda word: ask(left, word))
    # 0 stands for missing in both halves of the pair's number.
    width = len(right.words) + 1
    pairs = (left.codes.astype(np.int64) + 1) * width + (right.codes + 1)
    found, where = np.unique(pairs, return_inverse=True)
    halves = [divmod(pair, width) for pair in found.tolist()]
    answers = [a > 0 and b > 0 and ask(left.words[a - 1], right.words[b - 1]) for a, b in halves]
    return np.array(answers, dtype=np.bool_)[where]


def _one_of(node: OneOf, inner: Any) -> Any:
    options = frozenset(node.values)
    if node.inner.type == "text":
        return _texts(node, lambda word, _: (word in options) is not node.negated, inner, "")
    if len(node.values) > _FEW:
        held: Any = np.isin(inner, np.array(node.values, dtype=np.float64))
    else:
        held = np.equal(inner, node.values[0]) if node.values else np.zeros(np.shape(inner), dtype=np.bool_)
        for option in node.values[1:]:
            held = np.logical_or(held, np.equal(inner, option))
    return np.logical_and(np.logical_not(held), _known(inner)) if node.negated else held


def _known(value: Any) -> Any:
    if isinstance(value, TextColumn):
        return value.codes >= 0
    if value is None or isinstance(value, str):
        return value is not None
    return np.equal(value, value)


def _key(source: Ref, key: str, columns: Mapping[str, Any]) -> Any:
    found: MapColumn = columns.get(source.name, _ABSENT["map"])
    return found.keys.get(key, values.MISSING)


def _guarded(work: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Division by zero is missing."""

    def divided(left: Any, right: Any) -> Any:
        if isinstance(right, float):
            return work(left, right) if right != 0 else values.MISSING
        return np.where(np.equal(right, 0), values.MISSING, work(left, right))

    return divided


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": _guarded(np.divide),
    "//": _guarded(np.floor_divide),
    "%": _guarded(np.remainder),
}


def _call(node: Node, function: str, arguments: list[Any]) -> Any:
    first = arguments[0]
    if function in ("min", "max"):
        pick = np.minimum if function == "min" else np.maximum
        found = pick(first, arguments[1])
        for argument in arguments[2:]:
            found = pick(found, argument)
        return found
    if function == "len":
        return _length(node, first)
    if function == "str":
        return _text(first)
    number = _number(node, first)
    if function == "float":
        return number
    return np.where(np.isfinite(number), np.trunc(number), values.MISSING)


def _length(node: Node, value: Any) -> Any:
    if isinstance(value, MapColumn):
        return value.size() if value.keys else 0.0
    if isinstance(value, TextColumn):
        return value.numbers(node, lambda word: float(len(word)))
    return values.MISSING if value is None else float(len(value))


def _number(node: Node, value: Any) -> Any:
    if isinstance(value, TextColumn):
        return value.numbers(node, values.number_of)
    if value is None or isinstance(value, str):
        return values.number_of(value)
    return np.asarray(value, dtype=np.float64)


def _text(value: Any) -> Any:
    if value is None or isinstance(value, str | TextColumn):
        return value
    numbers: Numbers = np.asarray(value, dtype=np.float64)
    if numbers.ndim == 0:
        return values.text_of(float(numbers))
    return _spelled(numbers)


def _spelled(numbers: Numbers) -> TextColumn:
    found, where = np.unique(numbers, return_inverse=True)
    column = TextColumn.of([values.text_of(number) for number in found.tolist()])
    return TextColumn(column.codes[where], column.words)
