"""The only makers of nodes: each checks the types of its parts and refuses with the place."""

from __future__ import annotations

from dataclasses import replace

from shopkeeper.rules import limits
from shopkeeper.rules.tokens import refuse
from shopkeeper.rules.tree import (
    And,
    Arithmetic,
    ArithmeticOp,
    Call,
    Compare,
    CompareOp,
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
    Type,
)

_SAYS = {"number": "a number", "text": "a text", "bool": "a condition", "map": "a map"}


def constant(value: float | str | bool, at: int = 1) -> Constant:
    kind: Type = "bool" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"
    return Constant(value, type=kind, at=at)


def negate(inner: Node, at: int = 1) -> Node:
    _need(inner, "number", "a sign")
    if isinstance(inner, Constant):
        return replace(inner, value=-float(inner.value), at=at)
    return Negate(inner, type="number", at=at)


def arithmetic(op: ArithmeticOp, left: Node, right: Node, at: int = 1) -> Node:
    _need(left, "number", op)
    _need(right, "number", op)
    return Arithmetic(op, left, right, type="number", at=at)


def compare(op: CompareOp, left: Node, right: Node, at: int = 1) -> Node:
    if left.type != right.type:
        raise refuse(at, f"{op} compares {_SAYS[left.type]} with {_SAYS[right.type]}; make both the same")
    if left.type == "map":
        raise refuse(left.at, "a map cannot be compared; read a key of it, such as m.get('key', 0)")
    if left.type == "bool" and op not in ("==", "!="):
        raise refuse(at, f"{op} needs numbers or texts, these are conditions")
    return Compare(op, left, right, type="bool", at=at)


def one_of(inner: Node, items: list[Node], negated: bool = False, at: int = 1) -> Node:
    if len(items) > limits.LIST_LENGTH:
        raise refuse(items[limits.LIST_LENGTH].at, f"the list is too long; at most {limits.LIST_LENGTH} values")
    if inner.type not in ("number", "text"):
        raise refuse(inner.at, f"in needs a number or a text before a list, this is {_SAYS[inner.type]}")
    values: list[float | str] = []
    for item in items:
        if not isinstance(item, Constant):
            raise refuse(item.at, "a list holds plain numbers or texts only")
        if item.type != inner.type:
            raise refuse(item.at, f"the list needs {_SAYS[inner.type]}, this is {_SAYS[item.type]}")
        values.append(item.value)
    return OneOf(inner, tuple(values), negated, type="bool", at=at)


def contains(whole: Node, part: Node, negated: bool = False, at: int = 1) -> Node:
    """`part in whole`: text in text, or key in map."""
    _need(part, "text", "a search")
    if isinstance(whole, Ref) and whole.type == "map":
        return HasKey(whole, key_of(part), negated, type="bool", at=at)
    _need(whole, "text", "a search")
    return Contains(whole, part, negated, type="bool", at=at)


def is_none(inner: Node, negated: bool = False, at: int = 1) -> Node:
    if inner.type not in ("number", "text"):
        raise refuse(inner.at, f"only a number or a text can be missing, this is {_SAYS[inner.type]}")
    return IsNone(inner, negated, type="bool", at=at)


def negation(inner: Node, at: int = 1) -> Node:
    _need(inner, "bool", "not")
    return Not(inner, type="bool", at=at)


def both(left: Node, right: Node, at: int = 1) -> Node:
    _need(left, "bool", "and")
    _need(right, "bool", "and")
    parts = tuple(p for side in (left, right) for p in (side.parts if isinstance(side, And) else (side,)))
    return And(parts, type="bool", at=at)


def either(left: Node, right: Node, at: int = 1) -> Node:
    _need(left, "bool", "or")
    _need(right, "bool", "or")
    parts = tuple(p for side in (left, right) for p in (side.parts if isinstance(side, Or) else (side,)))
    return Or(parts, type="bool", at=at)


def get(source: Node, key: Node, default: Node | None = None, at: int = 1) -> Node:
    if not isinstance(source, Ref) or source.type != "map":
        raise refuse(at, f"only a map has keys, this is {_SAYS[source.type]}")
    if default is not None:
        _need(default, "number", "the default of .get")
    return Get(source, key_of(key), default, type="number", at=at)


def call(function: str, arguments: list[Node], at: int = 1) -> Node:
    if function in ("min", "max"):
        if not 2 <= len(arguments) <= limits.ARGUMENTS:
            raise refuse(at, f"{function} takes 2 to {limits.ARGUMENTS} numbers, got {len(arguments)}")
        for argument in arguments:
            _need(argument, "number", function)
        return Call(function, tuple(arguments), type="number", at=at)
    if len(arguments) != 1:
        raise refuse(at, f"{function} takes one value, got {len(arguments)}")
    accepts: tuple[Type, ...] = ("text", "map") if function == "len" else ("number", "text", "bool")
    if function == "str":
        accepts = ("number", "text")
    if arguments[0].type not in accepts:
        allowed = " or ".join(_SAYS[kind] for kind in accepts)
        raise refuse(arguments[0].at, f"{function} takes {allowed}, this is {_SAYS[arguments[0].type]}")
    return Call(function, tuple(arguments), type="text" if function == "str" else "number", at=at)


def key_of(node: Node) -> str:
    if not isinstance(node, Constant) or not isinstance(node.value, str):
        raise refuse(node.at, "the key of a map is a quoted text, such as 'order'")
    return node.value


def condition(node: Node) -> Node:
    """What a whole rule has to be."""
    if node.type != "bool":
        raise refuse(node.at, f"a rule is a condition, this is {_SAYS[node.type]}; compare it with something")
    return node


def _need(node: Node, kind: Type, what: str) -> None:
    if node.type != kind:
        hint = "; compare it with something" if kind == "bool" else ""
        raise refuse(node.at, f"{what} needs {_SAYS[kind]}, this is {_SAYS[node.type]}{hint}")
