"""A condition while it is written: checked and tried on all customers at once, before anything is stored."""

from __future__ import annotations

import re
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console.plain import plain
from shopkeeper.console.words import say
from shopkeeper.core.errors import Invalid, ShopkeeperError

_AT = re.compile(r"at (\d+):")


def preview(shop: ShopkeeperClient, condition: str, *, weight: float | None = None, name: str | None = None) -> bool:
    """Shows whom it holds for, or where it is wrong. `weight` None: of a segment. Whether it can be stored."""
    if not condition.strip():
        st.caption(say("condition_empty"))
        return False
    try:
        if weight is None:
            found = shop.preview_segment(condition)
        else:
            found = shop.preview_rule(condition, weight=weight, name=name)
    except Invalid as error:
        _wrong(condition, error.message)
        return False
    _found(found, shifts=weight is not None)
    return True


def _found(found: dict[str, Any], *, shifts: bool) -> None:
    matches, total = found["matches"], found["total"]
    share = matches / total if total else 0.0
    who, shift = st.columns([1, 2])
    who.metric(say("holds_for"), f"{matches:,}", f"{share:.1%}", delta_color="off", delta_arrow="off")
    if shifts:
        moved = found["score_shift"]["mean"]  # none in a shop without customers
        shift.metric(say("score_shift"), "–" if moved is None else f"{moved:+.3f}", help=say("score_shift_help"))
    if found["sample"]:
        st.caption(f"{say('such_as')} {plain(', '.join(found['sample'][:8]))}")


def _wrong(condition: str, message: str) -> None:
    """What is wrong, and a mark below the place where it is."""
    st.error(plain(message))
    at = _AT.search(message)
    if at is not None and "\n" not in condition:
        st.code(f"{condition}\n{' ' * (int(at[1]) - 1)}^", language=None)


def fields(shop: ShopkeeperClient) -> None:
    """What a condition can read."""
    with st.expander(say("rule_fields"), icon=":material/list:"):
        rows = [
            {say("field"): one["name"], say("kind"): one["type"], say("unit"): one["unit"], say("note"): one["help"]}
            for one in shop.rule_fields()
        ]
        st.dataframe(rows, hide_index=True, width="stretch", height=320)


def saying(error: ShopkeeperError) -> str:
    """An error of saving in words; a lost race says what to do."""
    return say("lost_race") if error.code == "stale" else plain(error.message)
