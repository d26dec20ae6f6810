"""Asking before what cannot be taken back, and saying what was done after the page was made anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import streamlit as st

from shopkeeper.console.plain import plain
from shopkeeper.console.words import say
from shopkeeper.core.errors import ShopkeeperError

_SAID = "notices_said"


def confirm(question: str, do: Callable[[], None]) -> None:
    """A dialog; only its button does it. An error is said in it. The question is Markdown: names in it are `plain`."""

    @st.dialog(say("sure"))
    def ask() -> None:
        st.markdown(question)
        yes, no = st.columns(2)
        if yes.button(say("yes"), type="primary", width="stretch"):
            try:
                do()
            except ShopkeeperError as error:
                st.error(say("lost_race") if error.code == "stale" else plain(error.message))
            else:
                st.rerun()
        if no.button(say("no"), width="stretch"):
            st.rerun()

    ask()


def tell(about: str, message: str) -> None:
    """To be said by `notice` when the page is made again. Markdown, as the question above."""
    st.session_state[f"{about}_notice"] = message


def begin() -> None:
    """A page is about to be made, and has said nothing yet."""
    st.session_state[_SAID] = {}


def notice(about: str) -> None:
    """Says once what was done."""
    message = st.session_state.pop(f"{about}_notice", None)
    if message:
        st.session_state.setdefault(_SAID, {})[about] = message
        st.success(message)


def again() -> NoReturn:
    """Makes the page anew without a person's doing: what it has just said stays."""
    for about, message in st.session_state.get(_SAID, {}).items():
        tell(about, message)
    st.rerun()
