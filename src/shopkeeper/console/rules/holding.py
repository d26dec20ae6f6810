"""What is edited stays as it was read, whatever others do meanwhile: nobody loses what they are typing."""

from __future__ import annotations

from typing import TypeVar

import streamlit as st

from shopkeeper.console.words import say
from shopkeeper.core.records import Rule, Segment

One = TypeVar("One", Rule, Segment)


def held(now: One) -> One:
    """The record as it was when it was chosen; where it is another by now, that is said, with a way to see it."""
    key = _key(now)
    kept: One = st.session_state.setdefault(key, now)
    if kept.name != now.name:
        kept = st.session_state[key] = now
    elif kept.version != now.version:
        told, again = st.columns([3, 1], vertical_alignment="center")
        told.warning(say("lost_race"))
        if again.button(say("load_again"), key=f"{key}_again", width="stretch"):
            let_go(now)
            st.rerun()
    return kept


def let_go(one: Rule | Segment) -> None:
    """It is read anew next time."""
    st.session_state.pop(_key(one), None)


def _key(one: Rule | Segment) -> str:
    return f"{type(one).__name__}_held"
