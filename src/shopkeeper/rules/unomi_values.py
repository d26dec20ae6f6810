"""The values in a Unomi condition, by the type of the field that they are compared with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shopkeeper.core.errors import Invalid
from shopkeeper.rules import limits
from shopkeeper.rules.tree import Type

_ONE = ("propertyValue", "propertyValueInteger", "propertyValueDouble")
_SEVERAL = ("propertyValues", "propertyValuesInteger", "propertyValuesDouble")
_DATES = ("propertyValueDate", "propertyValueDateExpr", "propertyValuesDate", "propertyValuesDateExpr")
_SAYS = {"number": "a number", "text": "a text", "bool": "true or false", "map": "nothing: it is a map of numbers"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a tree: `condition.parameterValues.subConditions[1]`."""

    path: str

    def of(self, name: str) -> Place:
        return Place(f"{self.path}.{name[:64]}")

    def at(self, index: int) -> Place:
        return Place(f"{self.path}[{index}]")


def refuse(place: Place, reason: str) -> Invalid:
    return Invalid(f"{place.path}: {reason}", code="bad_tree", field="condition")


def value_of(given: Mapping[str, Any], kind: Type, place: Place) -> float | str | bool:
    """The one value of a comparison. Raises Invalid for none, several, a date, or one of another type."""
    name = _the_name(given, _ONE, place)
    return _fitting(given[name], kind, place.of(name))


def values_of(given: Mapping[str, Any], kind: Type, place: Place) -> list[Any]:
    """The list of values of a comparison."""
    name = _the_name(given, _SEVERAL, place)
    values = given[name]
    if not isinstance(values, list) or len(values) > limits.LIST_LENGTH:
        raise refuse(place.of(name), f"expected a list of at most {limits.LIST_LENGTH} values")
    return [_fitting(value, kind, place.of(name).at(index)) for index, value in enumerate(values)]


def _the_name(given: Mapping[str, Any], names: tuple[str, ...], place: Place) -> str:
    for name in _DATES:
        if given.get(name) is not None:
            raise refuse(
                place.of(name), "there are no dates here; say how many days ago, such as days_since_order < 30"
            )
    found = [name for name in names if given.get(name) is not None]
    if len(found) != 1:
        raise refuse(place, f"expected one of {', '.join(names)}, got {', '.join(found) or 'none'}")
    return found[0]


def _fitting(value: Any, kind: Type, place: Place) -> float | str | bool:
    if kind == "number" and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    if kind == "text" and isinstance(value, str):
        if len(value) > limits.WORD_LENGTH:
            raise refuse(place, f"the text has {len(value)} characters, at most {limits.WORD_LENGTH}")
        return value
    if kind == "bool":
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return bool(value == "true")
    raise refuse(place, f"the field takes {_SAYS[kind]}, this is {repr(value)[:60]}")
