"""Unomi's condition trees as rules of ours: the same meaning, and refusals that say where and why."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unomi_trees import SCHEMA, SEGMENTS, condition, holds, people, row, trees

from shopkeeper.core.errors import Invalid
from shopkeeper.rules.columns import Columns, compile_columns
from shopkeeper.rules.one import compile_one
from shopkeeper.rules.parser import parse
from shopkeeper.rules.unomi import translate


@settings(max_examples=500, deadline=None)
@given(trees, st.lists(people, min_size=1, max_size=6))
def test_a_translated_tree_means_what_the_tree_means(tree: dict[str, Any], persons: list[dict[str, Any]]) -> None:
    text = translate(tree, SCHEMA, SEGMENTS)
    rule = parse(text, SCHEMA)
    rows = [row(person) for person in persons]
    expected = [holds(tree, person) for person in persons]
    assert [compile_one(rule)(one) for one in rows] == expected, text
    assert compile_columns(rule)(Columns.from_rows(rows, SCHEMA)).tolist() == expected, text


def prop(name: str, operator: str, **given: Any) -> dict[str, Any]:
    return condition("profilePropertyCondition", propertyName=name, comparisonOperator=operator, **given)


def event(kind: str) -> dict[str, Any]:
    return condition("eventTypeCondition", eventTypeId=kind)


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        (condition("matchAllCondition"), "True"),
        (prop("properties.age", "greaterThan", propertyValueInteger=30), "age > 30"),
        (prop("properties.city", "in", propertyValues=["Ulm", "Bonn"]), "city in ['Ulm', 'Bonn']"),
        (prop("properties.vip", "equals", propertyValue="true"), "vip"),
        (prop("properties.age", "missing"), "age is None"),
        (prop("properties.points.tea", "equals", propertyValueInteger=2), "points['tea'] == 2"),
        (
            condition("pastEventCondition", eventCondition=event("view"), numberOfDays=30, minimumEventCount=5),
            "(event_counts in 30 days).get('view', 0) >= 5",
        ),
        (
            condition("pastEventCondition", eventCondition=event("view"), operator="eventsNotOccurred"),
            "event_counts.get('view', 0) == 0",
        ),
        (condition("profileSegmentCondition", segments=["adults"], matchType="notIn"), "not age >= 18"),
        (
            condition(
                "booleanCondition",
                operator="or",
                subConditions=[
                    prop("properties.age", "between", propertyValuesInteger=[1, 5]),
                    condition("notCondition", subCondition=prop("properties.city", "contains", propertyValue="m")),
                ],
            ),
            "age >= 1 and age <= 5 or not 'm' in city",
        ),
    ],
)
def test_the_text_is_what_one_would_write(tree: dict[str, Any], text: str) -> None:
    assert translate(tree, SCHEMA, SEGMENTS) == text


HUGE = 10**400


@pytest.mark.parametrize(
    ("tree", "place", "reason"),
    [
        (None, "condition", "expected a condition"),
        ([], "condition", "expected a condition"),
        ({}, "condition.type", "cannot be said here"),
        (condition("geoLocationByPointSessionCondition"), "condition.type", "cannot be said here"),
        ({"type": ["x"]}, "condition.type", "cannot be said here"),
        ({"type": "notCondition", "parameterValues": 3}, "condition.parameterValues", "expected an object"),
        (prop("properties.age", "matchesRegex", propertyValue="a+"), ".comparisonOperator", "no regular expressions"),
        (prop("properties.age", "distance", propertyValue="1"), ".comparisonOperator", "no places"),
        (prop("properties.city", "startsWith", propertyValue="U"), ".comparisonOperator", "only `contains`"),
        (prop("properties.age", "__class__", propertyValue="U"), ".comparisonOperator", "there are equals"),
        (prop("properties.age", "equals", propertyValue="parameter::age"), ".propertyValue", "refers to what is not"),
        (prop("properties.age", "equals", propertyValue="script::1"), ".propertyValue", "refers to what is not"),
        (prop("properties.age", "equals", propertyValue="30"), ".propertyValue", "takes a number"),
        (prop("properties.age", "equals", propertyValueInteger=True), ".propertyValueInteger", "takes a number"),
        (prop("properties.age", "equals", propertyValueInteger=HUGE), ".propertyValueInteger", "takes a number"),
        (prop("properties.age", "equals"), "condition.parameterValues", "got none"),
        (prop("properties.age", "equals", propertyValue=1, propertyValueDouble=2), "condition", "got propertyValue, "),
        (prop("properties.age", "lessThan", propertyValueDate="2020-01-01"), ".propertyValueDate", "no dates"),
        (prop("properties.city", "equals", propertyValue="x" * 300), ".propertyValue", "300 characters"),
        (prop("properties.city", "in", propertyValues=["x"] * 300), ".propertyValues", "at most 256"),
        (prop("properties.city", "in", propertyValues="x"), ".propertyValues", "expected a list"),
        (prop("properties.city", "in", propertyValues=["x", 1]), ".propertyValues[1]", "takes a text"),
        (prop("properties.age", "between", propertyValuesInteger=[1]), "condition", "two values"),
        (prop("properties.agee", "exists"), "condition.parameterValues", "unknown field 'agee'; did you mean 'age'?"),
        (prop("segments", "in", propertyValues=["x"]), ".propertyName", "expected properties.NAME"),
        (prop("properties.age.__class__", "exists"), "condition.parameterValues", "only a map has keys"),
        (prop("properties.a.b.c", "exists"), ".propertyName", "expected properties.NAME"),
        (prop("properties.vip", "exists"), "condition.parameterValues", "only a number or a text can be missing"),
        (prop("properties.vip", "lessThan", propertyValue="true"), "condition", "needs numbers or texts"),
        (prop("properties.points", "equals", propertyValue="x"), ".propertyValue", "map of numbers"),
        (condition("booleanCondition", operator="xor"), ".operator", "is not and, nor or"),
        (condition("booleanCondition", operator="and", subConditions={}), ".subConditions", "expected a list"),
        (condition("booleanCondition", operator="and", subConditions=[1]), ".subConditions[0]", "expected a condition"),
        (condition("notCondition"), ".subCondition", "expected a condition"),
        (condition("profileSegmentCondition", segments=["gone"], matchType="in"), ".segments[0]", "no segment 'gone'"),
        (condition("profileSegmentCondition", segments=["adults"]), ".matchType", "there are in, all, notIn"),
        (condition("pastEventCondition"), ".eventCondition", "counted by type only"),
        (condition("pastEventCondition", eventCondition=event("Bad Type")), ".eventTypeId", "no event here can be"),
        (condition("pastEventCondition", eventCondition=event("view"), numberOfDays=3), "condition", "is not kept"),
        (
            condition("pastEventCondition", eventCondition=event("view"), numberOfDays=-1),
            ".numberOfDays",
            "whole number",
        ),
        (condition("pastEventCondition", eventCondition=event("view"), numberOfDays=HUGE), ".numberOfDays", "whole"),
        (condition("pastEventCondition", eventCondition=event("view"), operator="x"), ".operator", "eventsOccurred"),
        (condition("pastEventCondition", eventCondition=event("view"), fromDate="x"), ".fromDate", "no dates"),
        (
            condition(
                "pastEventCondition",
                eventCondition=condition("booleanCondition", operator="and", subConditions=[event("view")]),
            ),
            ".eventCondition",
            "counted by type only",
        ),
    ],
)
def test_what_cannot_be_said_is_refused_with_its_place(tree: Any, place: str, reason: str) -> None:
    with pytest.raises(Invalid) as caught:
        translate(tree, SCHEMA, SEGMENTS)
    told, _, why = caught.value.message.partition(": ")
    assert told.startswith("condition")
    assert place in told
    assert reason in why


def nested(levels: int) -> dict[str, Any]:
    tree = condition("matchAllCondition")
    for _ in range(levels):
        tree = condition("notCondition", subCondition=tree)
    return tree


def test_depth_and_size_are_bounded_before_anything_is_built() -> None:
    assert translate(nested(20), SCHEMA, SEGMENTS).startswith("not not")
    wide = condition("booleanCondition", operator="or", subConditions=[prop("properties.age", "exists")] * 100_000)
    inlined = condition("profileSegmentCondition", segments=["big"] * 256, matchType="in")
    big = {"big": " or ".join(f"age > {k}" for k in range(150))}
    for tree in (
        nested(40),
        nested(100_000),
        wide,
        condition("booleanCondition", operator="or", subConditions=[inlined] * 50),
    ):
        with pytest.raises(Invalid, match=r"too deep|too large"):
            translate(tree, SCHEMA, big)


def test_a_segment_that_no_longer_fits_the_fields_is_told() -> None:
    tree = condition("profileSegmentCondition", segments=["old"], matchType="in")
    with pytest.raises(Invalid, match=r"segments\[0\]: the segment 'old' cannot be read: at 1: unknown field 'gone'"):
        translate(tree, SCHEMA, {"old": "gone > 1"})
