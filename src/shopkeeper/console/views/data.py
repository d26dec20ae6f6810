"""Data: a person's own files, what the shop holds, and the world of a simulated shop."""

from __future__ import annotations

import streamlit as st

from shopkeeper.console.connection import client, told
from shopkeeper.console.data import holdings, importing, simulation
from shopkeeper.console.words import say

_SHOW = {"import": importing.show, "holdings": holdings.show, "simulation": simulation.show}


def page() -> None:
    names = {"import": say("import_file"), "holdings": say("holdings"), "simulation": say("simulation")}
    side = st.segmented_control(
        say("look_at"), list(names), default="import", format_func=names.__getitem__, key="data_side",
        label_visibility="collapsed",
    )  # fmt: skip
    with told():
        _SHOW[side or "import"](client())
