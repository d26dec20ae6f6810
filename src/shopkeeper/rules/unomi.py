"""Condition trees of Apache Unomi, as rule texts of ours. What cannot be said here is refused, never dropped.

A condition is `{"type": ..., "parameterValues": {...}}`. The refusal begins with the place in the tree, such as
`condition.parameterValues.subConditions[1]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shopkeeper.core.errors import Invalid
from shopkeeper.core.ids import check_event_type
from shopkeeper.rules import build, limits
from shopkeeper.rules.parser import parse
from shopkeeper.rules.schema import Schema
from shopkeeper.rules.tree import CompareOp, Node, depth, walk
from shopkeeper.rules.unomi_values import Place, refuse, value_of, values_of
from shopkeeper.rules.unparse import unparse

_JSON_DEPTH = 3 * limits.DEPTH  # a condition within a condition is three levels: object, parameterValues, list
_JSON_PARTS = 8 * limits.NODES

_COMPARE: dict[str, CompareOp] = {
    "equals": "==",
    "notEquals": "!=",
    "lessThan": "<",
    "lessThanOrEqualTo": "<=",
    "greaterThan": ">",
    "greaterThanOrEqualTo": ">=",
}
_CANNOT = {
    "startsWith": "only `contains` looks into a text here",
    "endsWith": "only `contains` looks into a text here",
    "matchesRegex": "there are no regular expressions here",
    "distance": "there are no places on a map here",
    "isDay": "there are no dates here; say how many days ago, such as days_since_order < 1",
    "isNotDay": "there are no dates here; say how many days ago, such as days_since_order >= 1",
    "all": "a field holds one value here, so it cannot hold all of several",
}


def translate(condition: Any, schema: Schema, segments: Mapping[str, str]) -> str:
    """The rule text that means the same. `segments`: the condition texts of the segments that a tree may name.

    Texts are compared as they are: Unomi folds case and accents. Raises Invalid.
    """
    _check_size(condition)
    found = _Reader(schema, segments).condition(condition, Place("condition"))
    if depth(found) > limits.DEPTH:
        raise refuse(Place("condition"), f"it is nested too deep; at most {limits.DEPTH} levels")
    text = unparse(found)
    parse(text, schema)  # what is stored is what is read again later, within the same bounds
    return text


def _check_size(tree: Any) -> None:
    """Bounds depth and size, and finds references to what is outside the tree. Does not recurse."""
    waiting, parts = [(tree, Place("condition"), 1)], 0
    while waiting:
        value, place, level = waiting.pop()
        parts += 1
        if level > _JSON_DEPTH:
            raise refuse(Place("condition"), f"it is nested too deep; at most {limits.DEPTH} conditions in one another")
        if parts > _JSON_PARTS:
            raise refuse(Place("condition"), f"it is too large; at most {_JSON_PARTS} values")
        if isinstance(value, Mapping):
            waiting.extend((inner, place.of(str(key)), level + 1) for key, inner in value.items())
        elif isinstance(value, list):
            waiting.extend((inner, place.at(index), level + 1) for index, inner in enumerate(value))
        elif isinstance(value, str) and value.startswith(("parameter::", "script::")):
            raise refuse(place, f"{value[:60]!r} refers to what is not in the tree; write the value itself")


class _Reader:
    def __init__(self, schema: Schema, segments: Mapping[str, str]) -> None:
        self.schema = schema
        self.segments = segments
        self.size = 0
        self._kinds: dict[str, Callable[[Mapping[str, Any], Place], Node]] = {
            "booleanCondition": self._boolean,
            "notCondition": self._not,
            "matchAllCondition": lambda _, __: build.constant(True),
            "profilePropertyCondition": self._property,
            "pastEventCondition": self._past_event,
            "profileSegmentCondition": self._segment,
        }

    def condition(self, node: Any, place: Place) -> Node:
        if not isinstance(node, Mapping):
            raise refuse(place, "expected a condition: {type, parameterValues}")
        kind, given = node.get("type"), node.get("parameterValues")
        read = self._kinds.get(kind) if isinstance(kind, str) else None
        if read is None:
            raise refuse(place.of("type"), f"{_shown(kind)} cannot be said here; there are {', '.join(self._kinds)}")
        if given is None:
            given = {}
        if not isinstance(given, Mapping):
            raise refuse(place.of("parameterValues"), "expected an object")
        inner = place.of("parameterValues")
        try:
            found = read(given, inner)
            return self._counted(found, place, whole=kind in ("profilePropertyCondition", "pastEventCondition"))
        except Invalid as error:
            if error.code != "bad_rule":
                raise
            raise refuse(inner, error.message.partition(": ")[2]) from error

    def _counted(self, found: Node, place: Place, *, whole: bool) -> Node:
        """Bounds what is made; `whole`: none of its parts was counted before."""
        self.size += sum(1 for _ in walk(found)) if whole else 1
        if self.size > limits.NODES:
            raise refuse(place, f"it is too large; at most {limits.NODES} parts, with the segments that it names")
        return found

    # -- conditions of conditions ----------------------------------------------------------------------------

    def _boolean(self, given: Mapping[str, Any], place: Place) -> Node:
        operator = str(given.get("operator")).lower()
        if operator not in ("and", "or"):
            raise refuse(place.of("operator"), f"{_shown(given.get('operator'))} is not and, nor or")
        inner, at = given.get("subConditions"), place.of("subConditions")
        if inner is not None and not isinstance(inner, list):
            raise refuse(at, "expected a list of conditions")
        parts = [self.condition(part, at.at(index)) for index, part in enumerate(inner or [])]
        return _joined(parts, all_needed=operator == "and")

    def _not(self, given: Mapping[str, Any], place: Place) -> Node:
        return build.negation(self.condition(given.get("subCondition"), place.of("subCondition")))

    def _segment(self, given: Mapping[str, Any], place: Place) -> Node:
        names, match = given.get("segments"), given.get("matchType")
        if not isinstance(names, list) or len(names) > limits.LIST_LENGTH:
            raise refuse(place.of("segments"), f"expected a list of at most {limits.LIST_LENGTH} names")
        if match not in ("in", "hasSomeOf", "all", "notIn", "hasNoneOf"):
            raise refuse(place.of("matchType"), f"{_shown(match)} cannot be said here; there are in, all, notIn")
        at = place.of("segments")
        parts = [self._inlined(name, at.at(index)) for index, name in enumerate(names)]
        found = _joined(parts, all_needed=match == "all")
        return build.negation(found) if match in ("notIn", "hasNoneOf") else found

    def _inlined(self, name: Any, place: Place) -> Node:
        if not isinstance(name, str) or name not in self.segments:
            raise refuse(place, f"there is no segment {_shown(name)} here; make it first")
        try:
            found = parse(self.segments[name], self.schema)
        except Invalid as error:
            if error.code != "bad_rule":
                raise
            raise refuse(place, f"the segment {name!r} cannot be read: {error.message}") from error
        return self._counted(found, place, whole=True)

    # -- the profile -----------------------------------------------------------------------------------------

    def _property(self, given: Mapping[str, Any], place: Place) -> Node:
        field = self._field(given.get("propertyName"), place.of("propertyName"))
        operator = given.get("comparisonOperator")
        if operator in _COMPARE:
            return self._compared(_COMPARE[operator], field, value_of(given, field.type, place))
        if operator in ("exists", "missing"):
            return build.is_none(field, negated=operator == "exists")
        if operator in ("contains", "notContains"):
            part = build.constant(value_of(given, "text", place))
            return build.contains(field, part, negated=operator == "notContains")
        if operator in ("in", "hasSomeOf", "notIn", "hasNoneOf"):
            options: list[Node] = [build.constant(value) for value in values_of(given, field.type, place)]
            return build.one_of(field, options, negated=operator in ("notIn", "hasNoneOf"))
        if operator == "inContains":
            texts = values_of(given, "text", place)
            return _joined([build.contains(field, build.constant(text)) for text in texts], all_needed=False)
        if operator == "between":
            return self._between(field, values_of(given, field.type, place), place)
        reason = _CANNOT.get(operator) if isinstance(operator, str) else None
        known = ", ".join([*_COMPARE, "between", "exists", "missing", "contains", "notContains", "in", "notIn"])
        raise refuse(place.of("comparisonOperator"), f"{_shown(operator)}: {reason or f'there are {known}'}")

    def _field(self, name: Any, place: Place) -> Node:
        path = name.split(".") if isinstance(name, str) else []
        if len(path) not in (2, 3) or path[0] != "properties":
            raise refuse(place, f"{_shown(name)} cannot be read here; expected properties.NAME or properties.MAP.KEY")
        found = self.schema.ref(path[1], 1)
        return found if len(path) == 2 else build.get(found, build.constant(path[2]))

    def _compared(self, op: CompareOp, field: Node, value: float | str | bool) -> Node:
        if field.type == "bool" and op in ("==", "!="):
            return field if (op == "==") is value else build.negation(field)
        return build.compare(op, field, build.constant(value))

    def _between(self, field: Node, bounds: Sequence[float | str], place: Place) -> Node:
        if len(bounds) != 2:
            raise refuse(place, f"between needs two values, got {len(bounds)}")
        low, high = (build.constant(bound) for bound in bounds)
        return build.both(build.compare(">=", field, low), build.compare("<=", field, high))

    # -- events ----------------------------------------------------------------------------------------------

    def _past_event(self, given: Mapping[str, Any], place: Place) -> Node:
        for name in ("fromDate", "toDate"):
            if given.get(name) is not None:
                raise refuse(place.of(name), "there are no dates here; say numberOfDays")
        operator = given.get("operator", "eventsOccurred")
        if operator not in (None, "eventsOccurred", "eventsNotOccurred"):
            raise refuse(place.of("operator"), f"{_shown(operator)} is not eventsOccurred, nor eventsNotOccurred")
        days = _whole(given, "numberOfDays", place, least=1)
        counts = self.schema.ref("event_counts", 1, None if days is None else days * 24)
        types = _event_types(given.get("eventCondition"), place.of("eventCondition"))
        zero = build.constant(0.0)
        total: Node = build.get(counts, build.constant(types[0]), zero)
        for name in types[1:]:
            total = build.arithmetic("+", total, build.get(counts, build.constant(name), zero))
        if operator == "eventsNotOccurred":
            return build.compare("==", total, zero)
        least = _whole(given, "minimumEventCount", place) or 0
        most = _whole(given, "maximumEventCount", place)
        enough = build.compare(">=", total, build.constant(float(max(1, least))))
        if most is None:
            return enough
        return build.both(enough, build.compare("<=", total, build.constant(float(most))))


def _joined(parts: list[Node], *, all_needed: bool) -> Node:
    """None at all: true for `and`, false for `or`."""
    if not parts:
        return build.constant(all_needed)
    found = parts[0]
    for part in parts[1:]:
        found = build.both(found, part) if all_needed else build.either(found, part)
    return found


def _event_types(condition: Any, place: Place) -> list[str]:
    """The event types that are counted: of one eventTypeCondition, or of several with `or` between them."""
    given = condition.get("parameterValues") if isinstance(condition, Mapping) else None
    kind = condition.get("type") if isinstance(condition, Mapping) else None
    if kind == "eventTypeCondition" and isinstance(given, Mapping):
        name, at = given.get("eventTypeId"), place.of("parameterValues").of("eventTypeId")
        try:
            return [check_event_type(name if isinstance(name, str) else "")]
        except Invalid as error:
            raise refuse(at, f"no event here can be of type {_shown(name)}: a-z first, then a-z, 0-9, _") from error
    if kind == "booleanCondition" and isinstance(given, Mapping) and str(given.get("operator")).lower() == "or":
        inner, at = given.get("subConditions"), place.of("parameterValues").of("subConditions")
        if isinstance(inner, list) and 0 < len(inner) <= limits.ARGUMENTS:
            found = [name for index, part in enumerate(inner) for name in _event_types(part, at.at(index))]
            return list(dict.fromkeys(found))
    raise refuse(place, "events are counted by type only: expected one eventTypeCondition, or a few with `or` between")


def _whole(given: Mapping[str, Any], name: str, place: Place, *, least: int = 0) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 1_000_000_000:
        raise refuse(place.of(name), f"expected a whole number from {least}, got {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    return repr(value)[:80]
