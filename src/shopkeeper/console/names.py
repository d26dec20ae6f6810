"""Names of items by their ids, looked up once a session each; and names beside ids."""

from __future__ import annotations

from collections.abc import Iterable
from unicodedata import bidirectional

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.errors import NotFound

_MOST = 5000
_APART = "\u2068{}\u2069"
"""What is written between these turns nothing around it (Unicode Annex 9, 2.4)."""


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


def titled(name: str | None, id: str) -> str:
    """What a thing is called, with its id; the id stays as it is beside a name that is written from the right."""
    if not name or name == id:
        return id
    from_right = any(bidirectional(character) in ("R", "AL") for character in name)
    return f"{_APART.format(name) if from_right else name} · {id}"
