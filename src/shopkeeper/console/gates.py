"""What the gate said of a version, and its measures beside those of the one that serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from shopkeeper.console.plain import plain
from shopkeeper.console.words import say
from shopkeeper.core.records import Gate

_COLOURS = {"PROMOTE": "green", "HOLD": "orange", "REJECT": "red"}


def show(gate: Gate | None) -> None:
    """The verdict and every reason."""
    if gate is None:
        st.markdown(f":gray-badge[{say('gate_not_asked')}]")
        return
    reasons = "\n".join(f"- {plain(reason)}" for reason in gate.reasons)
    st.markdown(f":{_COLOURS[gate.verdict]}-badge[{verdict(gate)}]\n\n{reasons}")


def verdict(gate: Gate | None) -> str:
    """In words."""
    words = {"PROMOTE": say("gate_yes"), "HOLD": say("gate_hold"), "REJECT": say("gate_no")}
    return say("gate_not_asked") if gate is None else words[gate.verdict]


def measures(
    own: Mapping[str, Any], champion: Mapping[str, Any] | None, gate: Gate | None, *, beside: str | None = None
) -> None:
    """A table; what the gate spoke of stands first. `beside`: what the other one is called, if it is no champion."""
    first = judged_by(gate)
    names = sorted(own, key=lambda name: first.index(name) if name in first else len(first))
    rows = [
        _row(name, own, champion, beside or say("champion")) for name in names if isinstance(own[name], int | float)
    ]
    if rows:
        st.dataframe(rows, hide_index=True, width="stretch", height=min(38 * (len(rows) + 1), 300))


def judged_by(gate: Gate | None) -> list[str]:
    """The measures that the gate's reasons begin with."""
    return [] if gate is None else list(dict.fromkeys(reason.split(" ")[0] for reason in gate.reasons))


def _row(name: str, own: Mapping[str, Any], champion: Mapping[str, Any] | None, other: str) -> dict[str, Any]:
    row: dict[str, Any] = {say("measure"): name, say("this_one"): round(float(own[name]), 4)}
    if champion is not None:
        value = champion.get(name)
        row[other] = round(float(value), 4) if isinstance(value, int | float) else None
    return row
