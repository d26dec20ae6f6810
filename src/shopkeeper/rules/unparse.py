"""Tree to text. `parse(unparse(tree))` is the same tree."""

from __future__ import annotations

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
from shopkeeper.rules.values import text_of

_OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _SIGN, _ATOM = range(1, 9)
_ESCAPES = str.maketrans({"\\": r"\\", "'": r"\'", "\n": r"\n", "\t": r"\t", "\r": r"\r"})


def unparse(node: Node) -> str:
    """The shortest text of the tree with single quotes and no needless brackets."""
    return _text(node)[0]


def number_text(value: float) -> str:
    shown = text_of(value)
    assert shown is not None
    return shown


def quoted(text: str) -> str:
    return f"'{text.translate(_ESCAPES)}'"


def _text(node: Node) -> tuple[str, int]:
    """The text, and how tightly its outermost operator binds."""
    match node:
        case Constant(value=value):
            return _constant(value)
        case Ref(name=name):
            return name, _ATOM
        case Negate(inner=inner):
            return f"-{_within(inner, _SIGN)}", _SIGN
        case Arithmetic(op=op, left=left, right=right):
            binds = _SUM if op in "+-" else _PRODUCT
            return f"{_within(left, binds)} {op} {_within(right, binds + 1)}", binds
        case Call(function=function, arguments=arguments):
            return f"{function}({', '.join(unparse(a) for a in arguments)})", _ATOM
        case Get(map=source, key=key, default=default):
            return _get(source, key, default), _ATOM
    return _condition(node)


def _condition(node: Node) -> tuple[str, int]:
    match node:
        case And(parts=parts):
            return " and ".join(_within(part, _AND + 1) for part in parts), _AND
        case Or(parts=parts):
            return " or ".join(_within(part, _OR + 1) for part in parts), _OR
        case Not(inner=inner):
            return f"not {_within(inner, _NOT)}", _NOT
        case Compare(op=op, left=left, right=right):
            return f"{_within(left, _SUM)} {op} {_within(right, _SUM)}", _COMPARE
        case OneOf(inner=inner, values=values, negated=negated):
            items = ", ".join(_constant(value)[0] for value in values)
            return f"{_within(inner, _SUM)} {_in(negated)} [{items}]", _COMPARE
        case Contains(whole=whole, part=part, negated=negated):
            return f"{_within(part, _SUM)} {_in(negated)} {_within(whole, _SUM)}", _COMPARE
        case HasKey(map=source, key=key, negated=negated):
            return f"{quoted(key)} {_in(negated)} {source.name}", _COMPARE
        case IsNone(inner=inner, negated=negated):
            return f"{_within(inner, _SUM)} is {'not None' if negated else 'None'}", _COMPARE
    raise AssertionError(f"no text for {type(node).__name__}")


def _within(node: Node, binds: int) -> str:
    text, own = _text(node)
    return text if own >= binds else f"({text})"


def _constant(value: float | str | bool) -> tuple[str, int]:
    if isinstance(value, bool):
        return str(value), _ATOM
    if isinstance(value, str):
        return quoted(value), _ATOM
    return number_text(value), _SIGN if value < 0 else _ATOM


def _get(source: Ref, key: str, default: Node | None) -> str:
    name = f"({source.name})" if " " in source.name else source.name
    if default is None:
        return f"{name}[{quoted(key)}]"
    return f"{name}.get({quoted(key)}, {unparse(default)})"


def _in(negated: bool) -> str:
    return "not in" if negated else "in"
