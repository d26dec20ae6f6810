"""Operations: what runs by itself, what is begun by hand, jobs, schedules, and putting in order."""

from __future__ import annotations

import streamlit as st

from shopkeeper.console.connection import client, told
from shopkeeper.console.operations import deeds, jobs, learning, loops, schedules, tidying
from shopkeeper.console.words import say

_SHOW = {
    "loops": loops.show,
    "learning": learning.show,
    "jobs": jobs.show,
    "schedules": schedules.show,
    "tidying": tidying.show,
    "history": deeds.show,
}


def page() -> None:
    names = {
        "loops": say("loops"),
        "learning": say("learning"),
        "jobs": say("jobs"),
        "schedules": say("schedules"),
        "tidying": say("tidying"),
        "history": say("past_deeds"),
    }
    side = st.segmented_control(
        say("look_at"), list(names), default="loops", format_func=names.__getitem__, key="operations_side",
        label_visibility="collapsed",
    )  # fmt: skip
    with told():
        _SHOW[side or "loops"](client())
