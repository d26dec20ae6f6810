"""Lists that the server cuts into pages: where one is, and the two buttons."""

from __future__ import annotations

import streamlit as st

from shopkeeper.console.words import say


def cursor(key: str) -> str | None:
    """Where the page of a list begins; None: at its beginning."""
    stack: list[str] = st.session_state.get(key, [])
    return stack[-1] if stack else None


def turn(key: str, following: str | None) -> None:
    """Buttons back and on; `following` is the cursor of the next page, None on the last."""
    stack: list[str] = st.session_state.setdefault(key, [])
    if not stack and following is None:
        return
    back, where, on = st.columns([1, 2, 1])
    if back.button(say("back"), disabled=not stack, key=f"{key}_back", width="stretch"):
        stack.pop()
        st.rerun()
    where.markdown(f"<div style='text-align:center'>{say('page_n', n=len(stack) + 1)}</div>", unsafe_allow_html=True)
    if on.button(say("on"), disabled=following is None, key=f"{key}_on", width="stretch"):
        stack.append(str(following))
        st.rerun()
