"""Rules and segments: conditions over what is known of customers, tried before they are stored."""

from __future__ import annotations

import streamlit as st

from shopkeeper.console.connection import client, told
from shopkeeper.console.rules import editing, segments
from shopkeeper.console.words import say


def page() -> None:
    sides = {"rules": say("rules_short"), "segments": say("segments")}
    side = st.segmented_control(
        say("look_at"), list(sides), default="rules", format_func=sides.__getitem__, key="rules_side",
        label_visibility="collapsed",
    )  # fmt: skip
    with told():
        if side == "segments":
            segments.show(client())
        else:
            editing.show(client())
