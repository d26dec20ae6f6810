"""Text to typed tree: a Pratt parser. What binds tighter has the higher number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from shopkeeper.rules import build, limits
from shopkeeper.rules.schema import FUNCTIONS, Schema
from shopkeeper.rules.tokens import Token, refuse, tokenize
from shopkeeper.rules.tree import ArithmeticOp, CompareOp, Node, depth

_OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _SIGN = 10, 20, 30, 40, 50, 60, 70
_COMPARISONS = frozenset({"<", "<=", ">", ">=", "==", "!=", "in", "not", "contains", "is"})
_BINDS = {"or": _OR, "and": _AND, "+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "//": _PRODUCT, "%": _PRODUCT}
_BINDS |= dict.fromkeys(_COMPARISONS, _COMPARE)
_HOURS = {"hour": 1, "hours": 1, "h": 1, "day": 24, "days": 24, "d": 24}


def parse(text: str, schema: Schema) -> Node:
    """The typed tree of a rule. Raises Invalid with "at N:" first, N the character, counted from 1."""
    return _Parser(tokenize(text), schema).rule()


@dataclass(frozen=True, slots=True)
class _List:
    """A list literal: it can stand only after `in`, so it is no node."""

    items: list[Node]
    at: int


class _Parser:
    def __init__(self, tokens: list[Token], schema: Schema) -> None:
        self.tokens = tokens
        self.schema = schema
        self.place = 0
        self.depth = 0
        self.nodes = 0

    def rule(self) -> Node:
        if len(self.tokens) == 1:
            raise refuse(1, "the rule is empty; write a condition such as recency_days > 90")
        found = build.condition(self.expression(0))
        if self.now.kind != "end":
            raise refuse(self.now.at, f"{_shown(self.now)} does not belong here; expected and, or, or the end")
        if depth(found) > limits.DEPTH:
            raise refuse(1, f"the rule is nested too deep; at most {limits.DEPTH} levels")
        return found

    # -- expressions -----------------------------------------------------------------------------------------

    def expression(self, tighter: int) -> Node:
        found = self.operand(tighter)
        if isinstance(found, _List):
            raise refuse(found.at, "a list can only stand after in")
        return found

    def operand(self, tighter: int) -> Node | _List:
        """An expression whose operators all bind tighter than `tighter`; a list where one may stand."""
        self.depth += 1
        if self.depth > limits.DEPTH:
            raise refuse(self.now.at, f"the rule is nested too deep; at most {limits.DEPTH} levels")
        left = self.prefix()
        while not isinstance(left, _List) and self.binds() > tighter:
            left = self.comparison(left) if self.binds() == _COMPARE else self.binary(left)
            self.count()
        self.depth -= 1
        return left

    def binds(self) -> int:
        return _BINDS.get(self.now.text, 0) if self.now.kind in ("sign", "word") else 0

    def binary(self, left: Node) -> Node:
        token = self.step()
        right = self.expression(_BINDS[token.text])
        if token.text == "and":
            return build.both(left, right, token.at)
        if token.text == "or":
            return build.either(left, right, token.at)
        return build.arithmetic(cast(ArithmeticOp, token.text), left, right, token.at)

    def comparison(self, left: Node) -> Node:
        """One comparison, or a chain: `1 < x < 5` is `1 < x and x < 5`."""
        found: Node | None = None
        while self.binds() == _COMPARE:
            token = self.step()
            if token.text == "is":
                this, right = self.missing(left, token), left
            elif token.text in ("in", "not"):
                this, right = self.membership(left, token)
            else:
                right = self.expression(_COMPARE)
                this = _compared(token, left, right)
            found = this if found is None else build.both(found, this, token.at)
            left = right
            self.count()
        assert found is not None
        return found

    def missing(self, left: Node, token: Token) -> Node:
        negated = self.accept("not")
        self.expect("None")
        return build.is_none(left, negated, token.at)

    def membership(self, left: Node, token: Token) -> tuple[Node, Node]:
        negated = token.text == "not"
        if negated:
            self.expect("in")
        right = self.operand(_COMPARE)
        if isinstance(right, _List):
            return build.one_of(left, right.items, negated, token.at), left
        return build.contains(right, left, negated, token.at), right

    # -- operands --------------------------------------------------------------------------------------------

    def prefix(self) -> Node | _List:
        self.count()
        token = self.step()
        if token.text == "not" and token.kind == "word":
            return build.negation(self.expression(_NOT - 1), token.at)
        if token.kind == "sign" and token.text in ("-", "+"):
            inner = self.expression(_SIGN)
            return build.negate(inner, token.at) if token.text == "-" else _number(inner)
        if token.kind == "sign" and token.text in ("(", "["):
            found = self.brackets(token)
            return found if isinstance(found, _List) else self.postfix(found)
        return self.postfix(self.atom(token))

    def atom(self, token: Token) -> Node:
        if token.kind in ("number", "text"):
            return build.constant(token.value, token.at)
        if token.text in ("True", "true", "False", "false") and token.kind == "word":
            return build.constant(token.text.lower() == "true", token.at)
        if token.kind == "name":
            if self.now.text == "(" and self.now.kind == "sign":
                return self.function(token)
            return self.schema.ref(token.text, token.at, self.window())
        if token.text == "None":
            raise refuse(token.at, "None can only be asked for: write `is None` or `is not None`")
        raise refuse(token.at, f"{_shown(token)} does not belong here; expected a value, a field or (")

    def window(self) -> int | None:
        """The hours of `in 30 days` behind a field name, if that is what comes."""
        word, number, unit = (self.tokens[min(self.place + k, len(self.tokens) - 1)] for k in range(3))
        if word.text != "in" or number.kind != "number" or unit.kind != "name":
            return None
        if unit.text not in _HOURS:
            raise refuse(unit.at, f"unknown unit {unit.text!r}; windows are in hours or days")
        count = float(number.value)
        if not 1 <= count <= 100_000 or count != int(count):
            raise refuse(number.at, "a window is a whole number of hours or days, from 1")
        self.place += 3
        return int(count) * _HOURS[unit.text]

    def function(self, name: Token) -> Node:
        if name.text not in FUNCTIONS:
            raise refuse(name.at, f"unknown function {name.text!r}; there are {', '.join(FUNCTIONS)}")
        self.step()
        return build.call(name.text, self.items(")"), name.at)

    def brackets(self, opening: Token) -> Node | _List:
        """`(expression)`, `(1, 2)` or `[1, 2]`."""
        if opening.text == "[":
            return _List(self.items("]"), opening.at)
        first = self.expression(0)
        if self.now.text != "," or self.now.kind != "sign":
            self.expect(")")
            return first
        self.step()
        return _List([first, *self.items(")")], opening.at)

    def items(self, closing: str) -> list[Node]:
        """Expressions with commas between them (one may trail), up to the closing bracket, which is taken."""
        found: list[Node] = []
        while not self.accept(closing):
            found.append(self.expression(0))
            if not self.accept(","):
                self.expect(closing)
                break
        return found

    def postfix(self, found: Node) -> Node:
        while self.now.kind == "sign" and self.now.text in ("[", "."):
            self.count()
            token = self.step()
            if token.text == "[":
                found = build.get(found, self.expression(0), None, token.at)
                self.expect("]")
            else:
                found = self.method(found, token)
        return found

    def method(self, found: Node, dot: Token) -> Node:
        name = self.step()
        if name.text != "get" or found.type != "map":
            raise refuse(dot.at, "no attributes or calls here: the only one is .get of a map")
        self.expect("(")
        arguments = self.items(")")
        if not 1 <= len(arguments) <= 2:
            raise refuse(name.at, f".get takes a key and perhaps a default, got {len(arguments)} arguments")
        return build.get(found, arguments[0], arguments[1] if len(arguments) == 2 else None, name.at)

    # -- tokens ----------------------------------------------------------------------------------------------

    @property
    def now(self) -> Token:
        return self.tokens[self.place]

    def step(self) -> Token:
        token = self.now
        if token.kind != "end":
            self.place += 1
        return token

    def accept(self, text: str) -> bool:
        if self.now.text == text and self.now.kind in ("sign", "word"):
            self.place += 1
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.accept(text):
            raise refuse(self.now.at, f"expected {text}, found {_shown(self.now)}")

    def count(self) -> None:
        self.nodes += 1
        if self.nodes > limits.NODES:
            raise refuse(self.now.at, f"the rule is too large; at most {limits.NODES} parts")


def _compared(token: Token, left: Node, right: Node) -> Node:
    if token.text == "contains":
        return build.contains(left, right, at=token.at)
    return build.compare(cast(CompareOp, token.text), left, right, token.at)


def _number(inner: Node) -> Node:
    if inner.type != "number":
        raise refuse(inner.at, "a sign needs a number")
    return inner


def _shown(token: Token) -> str:
    return "the end" if token.kind == "end" else f"`{token.text[:40]}`"
