"""What can be trained, as the shop tells it. Its first answer imports the libraries, which takes some seconds; all
sessions share it."""

from __future__ import annotations

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console.connection import address
from shopkeeper.console.words import say
from shopkeeper.core.records import AlgorithmInfo

_KEPT_S = 300
"""Another program may answer at the same address by then."""


def algorithms(shop: ShopkeeperClient) -> list[AlgorithmInfo]:
    """Of all tasks, without those that only take files."""
    with st.spinner(say("looking")):
        return _all(shop, address(), st.session_state.get("api_key") or "")


@st.cache_data(ttl=_KEPT_S, max_entries=8, show_spinner=False)
def _all(_shop: ShopkeeperClient, address: str, key: str) -> list[AlgorithmInfo]:
    """Told anew to every key: what one may read, another may not."""
    del address, key
    return [one for one in _shop.algorithms() if "upload" not in one.tags]
