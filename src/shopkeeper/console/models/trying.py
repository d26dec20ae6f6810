"""Doing what the server may refuse: its own words are said where the button is."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from shopkeeper.console import asking
from shopkeeper.console.plain import plain
from shopkeeper.console.words import say
from shopkeeper.core.errors import ShopkeeperError, Unavailable


def tried(do: Callable[[], object]) -> bool:
    """Whether it was done. That the shop is not there is for the page to say."""
    try:
        do()
    except Unavailable:
        raise
    except ShopkeeperError as error:
        st.error(say("lost_race") if error.code == "stale" else plain(error.message))
        return False
    return True


def past_the_gate(do: Callable[[bool], object]) -> bool:
    """As `tried`, of what the gate has a word in: where it says no, a person may overrule it, and is asked first.
    `do` is told whether the gate is overruled."""
    try:
        do(False)
    except Unavailable:
        raise
    except ShopkeeperError as error:
        if error.code != "gate_says_no":
            st.error(plain(error.message))
            return False
        asking.confirm(say("force_sure", why=plain(error.message)), lambda: _overruled(do))
        return False
    return True


def _overruled(do: Callable[[bool], object]) -> None:
    do(True)
