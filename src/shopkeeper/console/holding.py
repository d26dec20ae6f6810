"""What is edited stays as it was read, whatever others do meanwhile: nobody loses what they are typing."""

from __future__ import annotations

from typing import TypeVar

import streamlit as st

from shopkeeper.console.words import say

One = TypeVar("One")


def held(about: str, id: str, now: One, state: object) -> One:
    """What is edited under `id` as it was when it was chosen; where it is in another `state` by now, such as its next
    version, that is said, with a way to see it."""
    kept: tuple[str, object, One] = st.session_state.setdefault(_key(about), (id, state, now))
    if kept[0] != id:
        kept = st.session_state[_key(about)] = (id, state, now)
    elif kept[1] != state:
        told, again = st.columns([3, 1], vertical_alignment="center")
        told.warning(say("lost_race"))
        if again.button(say("load_again"), key=f"{about}_again", width="stretch"):
            let_go(about)
            st.rerun()
    return kept[2]


def let_go(about: str) -> None:
    """It is read anew next time."""
    st.session_state.pop(_key(about), None)


def _key(about: str) -> str:
    return f"{about}_held"
