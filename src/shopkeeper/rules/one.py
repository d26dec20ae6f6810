"""A rule for one user: the tree as nested closures over a row of `Schema.row`.

Nothing is generated or evaluated as source text. A closure costs about 50 ns; a typical rule well under 1 us.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any, TypeAlias

from shopkeeper.rules import values
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

Row: TypeAlias = Mapping[str, Any]
Value: TypeAlias = Callable[[Row], Any]
Condition: TypeAlias = Callable[[Row], bool]

_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": values.divide,
    "//": values.floor_divide,
    "%": values.remainder,
}
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
# NaN makes each of these false, as a missing number has to. `!=` is the exception and is written out below.
_FIELD_AND_NUMBER: dict[str, Callable[[str, float], Condition]] = {
    "<": lambda name, bound: lambda row: row[name] < bound,
    "<=": lambda name, bound: lambda row: row[name] <= bound,
    ">": lambda name, bound: lambda row: row[name] > bound,
    ">=": lambda name, bound: lambda row: row[name] >= bound,
    "==": lambda name, bound: lambda row: row[name] == bound,
    "!=": lambda name, bound: lambda row: (v := row[name]) == v and v != bound,
}
_VALUE_AND_NUMBER: dict[str, Callable[[Value, float], Condition]] = {
    "<": lambda left, bound: lambda row: left(row) < bound,
    "<=": lambda left, bound: lambda row: left(row) <= bound,
    ">": lambda left, bound: lambda row: left(row) > bound,
    ">=": lambda left, bound: lambda row: left(row) >= bound,
    "==": lambda left, bound: lambda row: left(row) == bound,
    "!=": lambda left, bound: lambda row: (v := left(row)) == v and v != bound,
}


def compile_one(node: Node) -> Condition:
    """The condition as a function of one row. The row must have every field that the tree reads."""
    match node:
        case And(parts=parts):
            return _all([compile_one(part) for part in parts])
        case Or(parts=parts):
            return _any([compile_one(part) for part in parts])
        case Not(inner=inner):
            held = compile_one(inner)
            return lambda row: not held(row)
        case Compare():
            return _compare(node)
        case OneOf(inner=inner, values=options, negated=negated):
            return _one_of(compile_value(inner), frozenset(options), negated)
        case Contains(whole=whole, part=part, negated=negated):
            return _contains(compile_value(whole), compile_value(part), negated)
        case HasKey(map=source, key=key, negated=negated):
            name = source.name
            return (lambda row: key not in row[name]) if negated else (lambda row: key in row[name])
        case IsNone(inner=inner, negated=negated):
            return _is_none(compile_value(inner), negated, inner.type == "number")
    return compile_value(node)


def compile_value(node: Node) -> Value:
    """Any node as a function of one row: float, str or None, bool, dict."""
    match node:
        case Constant(value=value):
            return lambda _: value
        case Ref(name=name):
            return itemgetter(name)
        case Negate(inner=inner):
            number = compile_value(inner)
            return lambda row: -number(row)
        case Arithmetic(op=op, left=left, right=right):
            return _arithmetic(_ARITHMETIC[op], compile_value(left), right)
        case Get(map=source, key=key, default=default):
            return _get(source.name, key, default)
        case Call(function=function, arguments=arguments):
            return _call(function, arguments)
    return compile_one(node)


def _all(parts: list[Condition]) -> Condition:
    """Halves of halves: for few parts this beats a loop."""
    if len(parts) == 1:
        return parts[0]
    if len(parts) == 3:
        first, second, third = parts
        return lambda row: first(row) and second(row) and third(row)
    left, right = _all(parts[: len(parts) // 2]), _all(parts[len(parts) // 2 :])
    return lambda row: left(row) and right(row)


def _any(parts: list[Condition]) -> Condition:
    if len(parts) == 1:
        return parts[0]
    left, right = _any(parts[: len(parts) // 2]), _any(parts[len(parts) // 2 :])
    return lambda row: left(row) or right(row)


def _compare(node: Compare) -> Condition:
    if node.left.type == "bool":
        left, right, same = compile_value(node.left), compile_value(node.right), node.op == "=="
        return lambda row: (left(row) == right(row)) is same
    if node.left.type == "text":
        return _compare_texts(node)
    if isinstance(node.right, Constant) and not isinstance(node.right.value, str):
        if isinstance(node.left, Ref):
            return _FIELD_AND_NUMBER[node.op](node.left.name, node.right.value)
        return _VALUE_AND_NUMBER[node.op](compile_value(node.left), node.right.value)
    return _compare_numbers(COMPARE[node.op], compile_value(node.left), compile_value(node.right), node.op == "!=")


def _compare_numbers(test: Callable[[Any, Any], bool], left: Value, right: Value, unequal: bool) -> Condition:
    if unequal:
        return lambda row: (a := left(row)) == a and (b := right(row)) == b and a != b
    return lambda row: test(left(row), right(row))


def _compare_texts(node: Compare) -> Condition:
    left, right, test = compile_value(node.left), compile_value(node.right), COMPARE[node.op]
    if node.op == "==" and isinstance(node.right, Constant):
        wanted = node.right.value
        return lambda row: left(row) == wanted
    return lambda row: (a := left(row)) is not None and (b := right(row)) is not None and test(a, b)


def _one_of(inner: Value, options: frozenset[float | str], negated: bool) -> Condition:
    if not negated:
        return lambda row: inner(row) in options
    return lambda row: (v := inner(row)) is not None and v == v and v not in options


def _contains(whole: Value, part: Value, negated: bool) -> Condition:
    return lambda row: (a := whole(row)) is not None and (b := part(row)) is not None and ((b in a) is not negated)


def _is_none(inner: Value, negated: bool, number: bool) -> Condition:
    if number:
        return (lambda row: (v := inner(row)) == v) if negated else (lambda row: (v := inner(row)) != v)
    return (lambda row: inner(row) is not None) if negated else (lambda row: inner(row) is None)


def _arithmetic(work: Callable[[float, float], float], left: Value, right: Node) -> Value:
    if isinstance(right, Constant):
        number = float(right.value)
        return lambda row: work(left(row), number)
    other = compile_value(right)
    return lambda row: work(left(row), other(row))


def _get(name: str, key: str, default: Node | None) -> Value:
    if default is None or isinstance(default, Constant):
        otherwise = values.MISSING if default is None else default.value
        return lambda row: row[name].get(key, otherwise)
    computed = compile_value(default)

    def found(row: Row) -> Any:
        number = row[name].get(key)
        return computed(row) if number is None else number

    return found


def _call(function: str, arguments: tuple[Node, ...]) -> Value:
    parts = [compile_value(argument) for argument in arguments]
    first, kind = parts[0], arguments[0].type
    if function in ("min", "max"):
        pick = values.least if function == "min" else values.greatest
        return lambda row: pick([part(row) for part in parts])
    if function == "len":
        return lambda row: values.MISSING if (v := first(row)) is None else float(len(v))
    if function == "str":
        return first if kind == "text" else (lambda row: values.text_of(first(row)))
    number = _number(first, kind)
    return (lambda row: values.whole(number(row))) if function == "int" else number


def _number(inner: Value, kind: str) -> Value:
    if kind == "text":
        return lambda row: values.number_of(inner(row))
    if kind == "bool":
        return lambda row: 1.0 if inner(row) else 0.0
    return inner
