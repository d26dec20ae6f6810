"""A version measured anew beside another on the rows of today; the verdict takes the old one's place."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import gates, watching
from shopkeeper.console.models.chosen import named
from shopkeeper.console.models.trying import tried
from shopkeeper.console.words import say
from shopkeeper.core.records import Gate, Job, Version


def show(shop: ShopkeeperClient, one: Version, versions: Sequence[Version]) -> None:
    """Nothing where there is no other version to be measured beside."""
    beside = {each.version: each for each in versions if each.version != one.version and each.status == "ready"}
    if not beside or one.status != "ready":
        return
    key = f"anew_{one.model}_{one.scope}_{one.version}"
    numbers = sorted(beside, key=lambda number: ("champion" not in beside[number].aliases, -number))
    against, button = st.columns([3, 2], vertical_alignment="bottom")
    rival = against.selectbox(
        say("measure_beside"), numbers, format_func=lambda number: named(beside.get(number)), key=f"{key}_beside",
        help=say("measure_help"),
    )  # fmt: skip
    if button.button(say("measure_anew"), key=f"{key}_begin", width="stretch"):

        def begin() -> None:
            st.session_state[key] = shop.evaluate(one.model, one.version, against=int(rival), scope=one.scope).job_id

        if tried(begin):
            st.rerun()
    watching.watch(key, ended=_ended)


def _ended(_shop: ShopkeeperClient, job: Job) -> None:
    """The measures; the verdict is the version's by now and stands with it."""
    found = job.result or {}
    st.caption(say("measured_now", version=found["version"], beside=found["against"]))
    gate = msgspec.convert(found["gate"], Gate)
    gates.measures(found["metrics"], found["champion_metrics"], gate, beside=f"v{found['against']}")
