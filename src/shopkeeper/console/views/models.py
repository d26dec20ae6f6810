"""Models: all of them by task; the versions of one, who answers for it, its files and its past."""

from __future__ import annotations

import streamlit as st

from shopkeeper.console import asking
from shopkeeper.console.connection import client, told
from shopkeeper.console.models import answering, archives, chosen, past, release, versions
from shopkeeper.console.words import say

_PARTS = {
    "versions": versions.show,
    "answering": answering.show,
    "release": release.show,
    "archives": archives.show,
    "past": past.show,
}


def page() -> None:
    with told():
        shop = client()
        model = chosen.choose(shop)
        if model is None:  # perhaps the last one has just been deleted
            asking.notice("models")
            return
        sides = {
            "versions": say("versions"),
            "answering": say("traffic_and_shadow"),
            "release": say("step_by_step"),
            "archives": say("files"),
            "past": say("past"),
        }
        side = st.segmented_control(
            say("look_at"), list(sides), default="versions", format_func=sides.__getitem__, key="models_side",
            label_visibility="collapsed",
        )  # fmt: skip
        if side != "answering":
            answering.left()
        with told():
            _PARTS[side or "versions"](shop, model)
