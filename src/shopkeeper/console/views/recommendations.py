"""Recommendations: tried beside one another, what makes them, tried on people, explored, by agents, and kept."""

from __future__ import annotations

import streamlit as st

from shopkeeper.console.agents import side as agents
from shopkeeper.console.connection import client, told
from shopkeeper.console.suggest import arms, caches, experiments, playground, scenarios
from shopkeeper.console.words import say


def page() -> None:
    sides = {
        "playground": say("try_out"),
        "scenarios": say("scenarios"),
        "experiments": say("experiments"),
        "arms": say("arms"),
        "agents": say("agents"),
        "caches": say("kept_slates"),
    }
    side = st.segmented_control(
        say("look_at"), list(sides), default="playground", format_func=sides.__getitem__, key="recommendations_side",
        label_visibility="collapsed",
    )  # fmt: skip
    parts = {
        "scenarios": scenarios.show,
        "experiments": experiments.show,
        "arms": arms.show,
        "agents": agents.show,
        "caches": caches.show,
    }
    with told():
        parts.get(side or "", playground.show)(client())
