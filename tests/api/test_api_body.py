from __future__ import annotations

import json
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopkeeper.api.body import DEPTH_LIMIT, decode, nesting
from shopkeeper.api.errors import Malformed
from shopkeeper.api.many import parse
from shopkeeper.core.records import Event, Item

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(alphabet='ab"\\[]{}', max_size=6),
    lambda inner: (
        st.lists(inner, max_size=40) | st.dictionaries(st.text(alphabet='k"\\[{', max_size=3), inner, max_size=3)
    ),
    max_leaves=60,
)


def depth(value: Any) -> int:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inside is None else 1 + max(map(depth, inside), default=0)


@given(VALUES)
def test_nesting_is_never_told_too_low_and_exact_for_large_bodies(value: Any) -> None:
    body = json.dumps(value).encode()
    assert nesting(body) >= depth(value)
    if body.count(b"[") + body.count(b"{") > DEPTH_LIMIT:
        assert nesting(body) == depth(value)


def test_the_limit_is_a_depth_and_not_a_count() -> None:
    wide = json.dumps([{"a": [1]}] * 500).encode()
    assert decode(wide, list[dict[str, Any]])
    nested = b"[" * (DEPTH_LIMIT + 1) + b"]" * (DEPTH_LIMIT + 1)
    with pytest.raises(Malformed, match="deeper"):
        decode(nested, list[Any])


def test_the_field_is_named() -> None:
    with pytest.raises(Malformed) as told:
        decode(b'{"event_type": "view", "quantity": "many"}', Event)
    assert told.value.errors is not None
    assert told.value.errors[0].field == "quantity"


class Order(msgspec.Struct):
    mode: Literal["fast", "slow"] | None = None
    more: dict[str, list[Order]] = {}


@pytest.mark.parametrize(
    ("body", "field"), [(b'{"mode": "no"}', "mode"), (b'{"more": {"a": [{}, {"mode": "no"}]}}', "more[...][1].mode")]
)
def test_a_wrong_word_is_told_with_the_right_ones(body: bytes, field: str) -> None:
    with pytest.raises(Malformed, match=r"'no', expected one of: fast, slow") as told:
        decode(body, Order)
    assert told.value.errors is not None
    assert told.value.errors[0].field == field


def test_one_bad_event_does_not_fail_its_list() -> None:
    body = b'[{"event_type":"view"}, {"event_type":7}, 5, {"event_type":"click"}]'
    found = parse(body, Event)
    assert [one.event_type for one in found.records] == ["view", "click"]
    assert found.places == [0, 3]
    assert [one.index for one in found.rejected] == [1, 2]


@pytest.mark.parametrize("body", [b"7", b'"text"', b"null", b"[]", b"{", b"[{]"])
def test_what_is_neither_a_record_nor_a_list_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        parse(body, Event, one=True)


def test_a_single_record_is_no_list_unless_it_may_be() -> None:
    body = b'{"item_id":"a","name":"A"}'
    assert parse(body, Item, one=True).records[0].item_id == "a"
    with pytest.raises(Malformed):
        parse(body, Item)


def test_more_than_a_thousand_are_refused() -> None:
    with pytest.raises(Malformed, match="1001"):
        parse(b"[" + b",".join([b'{"event_type":"view"}'] * 1001) + b"]", Event)
