"""Generated Unomi conditions, profiles, and what a condition says of a profile by Unomi's own reading of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import strategies as st

from shopkeeper.rules.schema import Field, Schema

SCHEMA = Schema(
    [
        Field("age", "number"),
        Field("city", "text"),
        Field("vip", "bool"),
        Field("points", "map"),
        Field("event_counts", "map", windows=(24, 168, 720)),
    ]
)
SEGMENTS = {"adults": "age >= 18", "locals": "city in ['Ulm', 'ulm'] or vip", "nobody": "False"}
MEMBERS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "adults": lambda p: p.get("age") is not None and p["age"] >= 18,
    "locals": lambda p: p.get("city") in ("Ulm", "ulm") or p["vip"],
    "nobody": lambda _: False,
}
CITIES = ("Ulm", "ulm", "Köln", "it's \\ a\ttown", "", "桜")
TYPES = ("view", "click", "order")
DAYS = (None, 1, 7, 30)

people = st.fixed_dictionaries(
    {"vip": st.booleans(), "events": st.lists(st.tuples(st.sampled_from(TYPES), st.sampled_from([0.5, 3, 20, 90])))},
    optional={
        "age": st.one_of(st.integers(-3, 40), st.floats(-3, 40, allow_nan=False)),
        "city": st.sampled_from(CITIES),
        "points": st.dictionaries(st.sampled_from(["tea", "a b"]), st.integers(0, 3), max_size=2),
    },
)


def row(person: Mapping[str, Any]) -> dict[str, Any]:
    """The person as rules see it."""
    counted: dict[str, Any] = {**person, "event_counts": counts(person, None)}
    for days in DAYS[1:]:
        counted[f"event_counts in {days} day{'s' if days > 1 else ''}"] = counts(person, days)
    return SCHEMA.row(counted)


def counts(person: Mapping[str, Any], days: int | None) -> dict[str, int]:
    found: dict[str, int] = {}
    for kind, ago in person["events"]:
        if days is None or ago <= days:
            found[kind] = found.get(kind, 0) + 1
    return found


def condition(kind: str, **given: Any) -> dict[str, Any]:
    return {"type": kind, "parameterValues": {name: value for name, value in given.items() if value is not None}}


def _property(name: str, operator: str, **given: Any) -> dict[str, Any]:
    return condition(
        "profilePropertyCondition", propertyName=f"properties.{name}", comparisonOperator=operator, **given
    )


_ages = st.integers(-3, 40)
_orders = ("equals", "notEquals", "lessThan", "lessThanOrEqualTo", "greaterThan", "greaterThanOrEqualTo")
_lists = ("in", "notIn", "hasSomeOf", "hasNoneOf")
_towns = st.sampled_from(CITIES)
leaves = st.one_of(
    st.builds(lambda op, v: _property("age", op, propertyValueInteger=v), st.sampled_from(_orders), _ages),
    st.builds(lambda op, v: _property("age", op, propertyValueDouble=v), st.sampled_from(_orders), st.floats(-3, 40)),
    st.builds(lambda op, v: _property("points.a b", op, propertyValueInteger=v), st.sampled_from(_orders), _ages),
    st.builds(lambda op, v: _property("city", op, propertyValue=v), st.sampled_from(_orders), _towns),
    st.builds(
        lambda op, v: _property("vip", op, propertyValue=v),
        st.sampled_from(_orders[:2]),
        st.sampled_from(["true", "false", True, False]),
    ),
    st.builds(
        lambda name, op: _property(name, op), st.sampled_from(["age", "city"]), st.sampled_from(["exists", "missing"])
    ),
    st.builds(
        lambda op, v: _property("city", op, propertyValue=v), st.sampled_from(["contains", "notContains"]), _towns
    ),
    st.builds(
        lambda op, v: _property("city", op, propertyValues=v),
        st.sampled_from([*_lists, "inContains"]),
        st.lists(_towns, max_size=4),
    ),
    st.builds(
        lambda op, v: _property("age", op, propertyValuesInteger=v),
        st.sampled_from(_lists),
        st.lists(_ages, max_size=12),
    ),
    st.builds(lambda a, b: _property("age", "between", propertyValuesInteger=[a, b]), _ages, _ages),
    st.builds(
        lambda kinds, days, low, high, op: condition(
            "pastEventCondition",
            eventCondition=_events(kinds),
            numberOfDays=days,
            minimumEventCount=low,
            maximumEventCount=high,
            operator=op,
        ),
        st.lists(st.sampled_from(TYPES), min_size=1, max_size=3),
        st.sampled_from(DAYS),
        st.one_of(st.none(), st.integers(0, 3)),
        st.one_of(st.none(), st.integers(0, 3)),
        st.sampled_from([None, "eventsOccurred", "eventsNotOccurred"]),
    ),
    st.builds(
        lambda names, match: condition("profileSegmentCondition", segments=names, matchType=match),
        st.lists(st.sampled_from(list(SEGMENTS)), max_size=3),
        st.sampled_from(["in", "all", "notIn"]),
    ),
    st.just(condition("matchAllCondition")),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(
            lambda op, parts: condition("booleanCondition", operator=op, subConditions=parts),
            st.sampled_from(["and", "or", "AND"]),
            st.lists(inner, max_size=3),
        ),
        st.builds(lambda part: condition("notCondition", subCondition=part), inner),
    ),
    max_leaves=8,
)


def _events(kinds: list[str]) -> dict[str, Any]:
    found = [condition("eventTypeCondition", eventTypeId=kind) for kind in kinds]
    return found[0] if len(found) == 1 else condition("booleanCondition", operator="or", subConditions=found)


def holds(tree: Mapping[str, Any], person: Mapping[str, Any]) -> bool:
    """The condition, evaluated as Unomi does: by walking the tree, with the profile's values as they are."""
    given = tree["parameterValues"]
    match tree["type"]:
        case "booleanCondition":
            answers = [holds(part, person) for part in given["subConditions"]]
            return all(answers) if given["operator"].lower() == "and" else any(answers)
        case "notCondition":
            return not holds(given["subCondition"], person)
        case "matchAllCondition":
            return True
        case "profileSegmentCondition":
            inside = [MEMBERS[name](person) for name in given["segments"]]
            return {"in": any(inside), "all": all(inside), "notIn": not any(inside)}[given["matchType"]]
        case "pastEventCondition":
            return _occurred(given, person)
    return _compares(given, person)


def _occurred(given: Mapping[str, Any], person: Mapping[str, Any]) -> bool:
    event = given["eventCondition"]["parameterValues"]
    wanted = {part["parameterValues"]["eventTypeId"] for part in event.get("subConditions", [given["eventCondition"]])}
    days = given.get("numberOfDays")
    count = sum(1 for kind, ago in person["events"] if kind in wanted and (days is None or ago <= days))
    if given.get("operator") == "eventsNotOccurred":
        return count == 0
    return count > 0 and given.get("minimumEventCount", 0) <= count <= given.get("maximumEventCount", count)


def _compares(given: Mapping[str, Any], person: Mapping[str, Any]) -> bool:
    value: Any = person
    for step in given["propertyName"].split(".")[1:]:
        value = None if value is None else value.get(step)
    operator = given["comparisonOperator"]
    if value is None:
        return bool(operator == "missing")
    one = next((given[n] for n in ("propertyValue", "propertyValueInteger", "propertyValueDouble") if n in given), None)
    if isinstance(value, bool):
        one = one in ("true", True)
    several = next((given[n] for n in ("propertyValues", "propertyValuesInteger") if n in given), [])
    if operator in ("in", "hasSomeOf", "notIn", "hasNoneOf"):
        return (value in several) is (operator in ("in", "hasSomeOf"))
    tests: dict[str, Callable[[], bool]] = {
        "exists": lambda: True,
        "missing": lambda: False,
        "equals": lambda: value == one,
        "notEquals": lambda: value != one,
        "lessThan": lambda: value < one,
        "lessThanOrEqualTo": lambda: value <= one,
        "greaterThan": lambda: value > one,
        "greaterThanOrEqualTo": lambda: value >= one,
        "contains": lambda: one in value,
        "notContains": lambda: one not in value,
        "inContains": lambda: any(part in value for part in several),
        "between": lambda: several[0] <= value <= several[1],
    }
    return tests[operator]()
