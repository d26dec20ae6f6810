"""Text to tokens. No regular expression: one pass, linear in the length of the text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from shopkeeper.core.errors import Invalid
from shopkeeper.rules import limits

Kind: TypeAlias = Literal["number", "text", "name", "word", "sign", "end"]
WORDS = frozenset({"and", "or", "not", "in", "is", "contains", "True", "False", "None", "true", "false"})
_DIGITS = frozenset("0123456789")
_SIGNS = ("<=", ">=", "==", "!=", "//", "<", ">", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",", ".")
_ESCAPES = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "t": "\t", "r": "\r"}
_HINTS = {
    "=": "a single = is no comparison; write ==",
    "&": "write `and`",
    "|": "write `or`",
    "!": "write `not` or !=",
    "{": "write a list as [1, 2]",
    "*": "powers are not part of the language",
}


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    text: str
    at: int
    value: float | str = ""


def refuse(at: int, message: str) -> Invalid:
    """The error of every bad rule: place first, counted in characters from 1."""
    return Invalid(f"at {at}: {message}", code="bad_rule", field="condition")


def tokenize(text: str) -> list[Token]:
    """Raises Invalid. The last token has kind "end"."""
    if len(text) > limits.TEXT_LENGTH:
        raise refuse(limits.TEXT_LENGTH + 1, f"the rule has {len(text)} characters, at most {limits.TEXT_LENGTH}")
    tokens: list[Token] = []
    place = 0
    while place < len(text):
        if text[place] in " \t\r\n":
            place += 1
            continue
        token, place = _next(text, place)
        tokens.append(token)
    tokens.append(Token("end", "the end", len(text) + 1))
    return tokens


def _next(text: str, start: int) -> tuple[Token, int]:
    first = text[start]
    if first in _DIGITS or (first == "." and text[start + 1 : start + 2] in _DIGITS):
        return _number(text, start)
    if first in "'\"":
        return _quoted(text, start)
    if first == "_" or first.isalpha():
        return _name(text, start)
    if text.startswith("**", start):
        raise refuse(start + 1, _HINTS["*"])
    for sign in _SIGNS:
        if text.startswith(sign, start):
            return Token("sign", sign, start + 1), start + len(sign)
    hint = _HINTS.get(first)
    raise refuse(start + 1, hint or f"the character {first!r} has no meaning in a rule")


def _digits(text: str, place: int) -> int:
    while place < len(text) and text[place] in _DIGITS:
        place += 1
    return place


def _number(text: str, start: int) -> tuple[Token, int]:
    place = _digits(text, start)
    if text[place : place + 1] == ".":
        place = _digits(text, place + 1)
    if text[place : place + 1] in ("e", "E"):
        sign = place + 2 if text[place + 1 : place + 2] in ("+", "-") else place + 1
        end = _digits(text, sign)
        place = end if end > sign else place
    value = float(text[start:place])
    if not math.isfinite(value):
        raise refuse(start + 1, "the number is too large; at most about 1.8e308")
    return Token("number", text[start:place], start + 1, value), place


def _name(text: str, start: int) -> tuple[Token, int]:
    place = start
    while place < len(text) and (text[place] == "_" or text[place].isalnum()):
        place += 1
    name = text[start:place]
    return Token("word" if name in WORDS else "name", name, start + 1), place


def _quoted(text: str, start: int) -> tuple[Token, int]:
    quote, place, parts = text[start], start + 1, []
    while place < len(text) and text[place] != quote:
        char = text[place]
        if char == "\n":
            break
        if char == "\\":
            escaped = text[place + 1 : place + 2]
            if escaped not in _ESCAPES:
                raise refuse(place + 1, rf"unknown escape \{escaped}; known: \\ \' \" \n \t \r")
            char, place = _ESCAPES[escaped], place + 1
        parts.append(char)
        place += 1
    if text[place : place + 1] != quote:
        raise refuse(start + 1, f"the quoted text is not closed; end it with {quote}")
    if len(parts) > limits.WORD_LENGTH:
        raise refuse(start + 1, f"the quoted text has {len(parts)} characters, at most {limits.WORD_LENGTH}")
    return Token("text", text[start : place + 1], start + 1, "".join(parts)), place + 1
