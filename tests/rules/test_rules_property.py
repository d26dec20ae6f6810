"""Generated rules: the two forms agree, and the text of a tree reads back as the same tree."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from rule_trees import SCHEMA, profiles, rules

from shopkeeper.core.errors import Invalid
from shopkeeper.rules.columns import Columns, compile_columns
from shopkeeper.rules.one import compile_one
from shopkeeper.rules.parser import parse
from shopkeeper.rules.trace import trace
from shopkeeper.rules.tree import Node
from shopkeeper.rules.unparse import unparse


@settings(max_examples=600, deadline=None)
@given(rules, st.lists(profiles, min_size=1, max_size=8))
def test_one_by_one_and_in_columns_give_the_same(rule: Node, people: list[dict]) -> None:
    rows = [SCHEMA.row(person) for person in people]
    one = compile_one(rule)
    expected = [one(row) for row in rows]
    assert all(isinstance(answer, bool) for answer in expected)
    columns = compile_columns(rule)(Columns.from_rows(rows, SCHEMA))
    assert columns.dtype == np.bool_
    assert columns.tolist() == expected, unparse(rule)


@settings(max_examples=400, deadline=None)
@given(rules)
def test_text_of_a_tree_reads_back_as_the_same_tree(rule: Node) -> None:
    assert parse(unparse(rule), SCHEMA) == rule


@settings(max_examples=300, deadline=None)
@given(rules, profiles)
def test_a_trace_agrees_with_the_rule_and_always_says_why(rule: Node, person: dict) -> None:
    row = SCHEMA.row(person)
    found = trace(rule, row)
    assert found.matched == compile_one(rule)(row)
    assert found.why


@settings(max_examples=400, deadline=None)
@given(st.text(alphabet="ab 1.5'\"()[]<>=!+-*/%,\\notandrigec{}@é", max_size=60))
def test_any_text_is_a_tree_or_is_refused_with_its_place(text: str) -> None:
    try:
        parse(text, SCHEMA)
    except Invalid as error:
        place = int(error.message.removeprefix("at ").split(":")[0])
        assert 1 <= place <= len(text) + 1
