"""Which fields a rule may read, and the complete, clean row that a compiled rule is given."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shopkeeper.core.errors import Invalid
from shopkeeper.rules import tree
from shopkeeper.rules.tokens import WORDS, refuse
from shopkeeper.rules.values import MISSING

FUNCTIONS = ("len", "int", "float", "str", "min", "max")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the profile. `windows` are the lengths in hours for which `name in N days` is kept beside it."""

    name: str
    type: tree.Type
    unit: str = ""
    help: str = ""
    windows: tuple[int, ...] = ()


def window_name(name: str, hours: int) -> str:
    """`orders in 30 days`, `orders in 1 hour`: the one spelling under which rows and columns carry a window."""
    count, unit = (hours // 24, "day") if hours % 24 == 0 else (hours, "hour")
    return f"{name} in {count} {unit}{'' if count == 1 else 's'}"


class Schema:
    """An immutable set of fields. Raises Invalid at construction when a name cannot be written in a rule."""

    def __init__(self, fields: Iterable[Field]) -> None:
        self.fields: dict[str, Field] = {}
        self.types: dict[str, tree.Type] = {}
        self.windows: dict[str, tuple[str, int]] = {}  # name of the window -> (field, hours)
        for field in fields:
            if not writable(field.name):
                raise Invalid(f"field name {field.name[:80]!r} cannot be written in a rule: letters, digits, _ only")
            self.fields[field.name] = field
            self.types[field.name] = field.type
            for hours in field.windows:
                name = window_name(field.name, hours)
                self.types[name] = field.type
                self.windows[name] = (field.name, hours)

    def ref(self, name: str, at: int, hours: int | None = None) -> tree.Ref:
        """The node that reads a field, or its window of so many hours. Raises Invalid with the place."""
        field = self.fields.get(name)
        if field is None:
            raise refuse(at, f"unknown field {name!r}; {self._hint(name)}")
        if hours is None:
            return tree.Ref(name, type=field.type, at=at)
        if hours not in field.windows:
            raise refuse(at, _no_window(field, hours))
        return tree.Ref(window_name(name, hours), type=field.type, at=at)

    def row(self, profile: Mapping[str, Any]) -> dict[str, Any]:
        """A complete row: every name of `types`, in the representation of `values.py`.

        What is absent or of another type than the schema says is missing: a rule sees it as missing and does not fail.
        """
        return {name: _CLEAN[kind](profile.get(name)) for name, kind in self.types.items()}

    def _hint(self, name: str) -> str:
        near = difflib.get_close_matches(name, self.fields, n=1, cutoff=0.6)
        if near:
            return f"did you mean {near[0]!r}?"
        known = sorted(self.fields)
        return f"known are {', '.join(known[:12])}{' ...' if len(known) > 12 else ''}"


def writable(name: str) -> bool:
    """Whether a rule can name it: letters, digits and _, no digit first, no word of the language."""
    first, plain = name[:1], all(c == "_" or c.isalnum() for c in name)
    return plain and (first == "_" or first.isalpha()) and len(name) <= 64 and name not in WORDS | set(FUNCTIONS)


def _no_window(field: Field, hours: int) -> str:
    asked = window_name(field.name, hours)
    if not field.windows:
        return f"{asked!r} is not kept: {field.name} has no windows"
    kept = ", ".join(window_name("", h).removeprefix(" in ") for h in field.windows)
    return f"{asked!r} is not kept; {field.name} is kept in {kept}"


def clean_number(value: Any) -> float:
    """Float64, or NaN for what is no finite number. A bool counts as 0 or 1."""
    if isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            return MISSING
        return number if math.isfinite(number) else MISSING
    return MISSING


def clean_text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def clean_map(value: Any) -> dict[str, float]:
    if not isinstance(value, Mapping):
        return {}
    pairs = ((key, clean_number(number)) for key, number in value.items() if isinstance(key, str))
    return {key: number for key, number in pairs if number == number}


_CLEAN = {"number": clean_number, "text": clean_text, "bool": lambda value: value is True, "map": clean_map}
