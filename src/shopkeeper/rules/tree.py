"""The typed tree of a rule. Two trees are equal when they mean the same text; places in the text do not count.

Only `build.py` makes nodes: a node that exists is well typed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Type: TypeAlias = Literal["number", "text", "bool", "map"]
ArithmeticOp: TypeAlias = Literal["+", "-", "*", "/", "//", "%"]
CompareOp: TypeAlias = Literal["<", "<=", ">", ">=", "==", "!="]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """`at` is the place of the node's first or deciding character, counted from 1; `type` what it gives."""

    at: int = field(default=1, compare=False)
    type: Type


@dataclass(frozen=True, slots=True)
class Constant(Node):
    value: float | str | bool


@dataclass(frozen=True, slots=True)
class Ref(Node):
    """A field of the profile; with a window the name reads `orders in 30 days`."""

    name: str


@dataclass(frozen=True, slots=True)
class Negate(Node):
    inner: Node


@dataclass(frozen=True, slots=True)
class Arithmetic(Node):
    op: ArithmeticOp
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Get(Node):
    """The number under a key of a map; missing (or the default) where the key is absent."""

    map: Ref
    key: str
    default: Node | None


@dataclass(frozen=True, slots=True)
class Call(Node):
    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Compare(Node):
    op: CompareOp
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class OneOf(Node):
    """`inner in [values]`; all values have the type of `inner`."""

    inner: Node
    values: tuple[float | str, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class Contains(Node):
    """Text within text."""

    whole: Node
    part: Node
    negated: bool


@dataclass(frozen=True, slots=True)
class HasKey(Node):
    map: Ref
    key: str
    negated: bool


@dataclass(frozen=True, slots=True)
class IsNone(Node):
    inner: Node
    negated: bool


@dataclass(frozen=True, slots=True)
class Not(Node):
    inner: Node


@dataclass(frozen=True, slots=True)
class And(Node):
    """Two or more parts, none of them an And."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or(Node):
    """Two or more parts, none of them an Or."""

    parts: tuple[Node, ...]


def children(node: Node) -> tuple[Node, ...]:
    match node:
        case Negate(inner=inner) | Not(inner=inner) | IsNone(inner=inner) | OneOf(inner=inner):
            return (inner,)
        case Arithmetic(left=left, right=right) | Compare(left=left, right=right):
            return (left, right)
        case Contains(whole=whole, part=part):
            return (whole, part)
        case And(parts=parts) | Or(parts=parts) | Call(arguments=parts):
            return parts
        case Get(map=map_, default=None) | HasKey(map=map_):
            return (map_,)
        case Get(map=map_, default=default) if default is not None:
            return (map_, default)
    return ()


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it."""
    yield node
    for child in children(node):
        yield from walk(child)


def depth(node: Node) -> int:
    """Levels of the tree. Does not recurse: it is what guards everything else that does."""
    deepest, waiting = 0, [(node, 1)]
    while waiting:
        part, level = waiting.pop()
        deepest = max(deepest, level)
        waiting.extend((child, level + 1) for child in children(part))
    return deepest


def fields(node: Node) -> frozenset[str]:
    """Names of the profile fields (windows included) that the tree reads."""
    return frozenset(part.name for part in walk(node) if isinstance(part, Ref))
