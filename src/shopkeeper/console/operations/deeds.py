"""What was done lately: refreshes, trainings, starts and stops."""

from __future__ import annotations

from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console.connection import told
from shopkeeper.console.frame import clock
from shopkeeper.console.words import say

_EVERY_S = 5.0


def show(shop: ShopkeeperClient) -> None:
    st.fragment(_deeds, run_every=_EVERY_S)(shop)


def _deeds(shop: ShopkeeperClient) -> None:
    with told():
        deeds = shop.operations_status()["history"]
        if not deeds:
            st.info(say("no_deeds"))
            return
        st.dataframe([_row(one) for one in deeds], hide_index=True, width="stretch", height=35 * (len(deeds) + 1) + 3)


def _row(deed: dict[str, Any]) -> dict[str, str]:
    about = {name: value for name, value in deed["payload"].items() if value is not None}
    return {
        say("time"): clock(deed["timestamp"]),
        say("kind"): deed["type"],
        say("note"): " · ".join(f"{name} {value}" for name, value in about.items()),
    }
