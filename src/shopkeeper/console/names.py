"""Names of items by their ids, looked up once a session each."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.errors import NotFound

_MOST = 5000


def item_names(shop: ShopkeeperClient, ids: Iterable[str | None]) -> dict[str, str]:
    """Those that are known, and at least all of `ids`; an id that no item has is its own name."""
    known: dict[str, str] = st.session_state.setdefault("item_names", {})
    if len(known) > _MOST:
        known.clear()
    for id in ids:
        if id and id not in known:
            try:
                known[id] = shop.item(id).name or id
            except NotFound:
                known[id] = id
    return known
