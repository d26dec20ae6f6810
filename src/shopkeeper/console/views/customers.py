"""One customer: found by id, then looked at from one side after the other."""

from __future__ import annotations

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console.connection import client, told
from shopkeeper.console.customer import neighbours, profile, slate, supposing, timeline, why
from shopkeeper.console.operations import learning
from shopkeeper.console.plain import plain
from shopkeeper.console.words import say
from shopkeeper.core.errors import NotFound

_FOUND = 50
_SIDES = ("profile", "why", "timeline", "graph", "slate", "supposing")


def page() -> None:
    with told():
        shop = client()
        user_id = _chosen(shop)
        if user_id is None:
            return
        try:
            known = shop.profile(user_id)
        except NotFound:
            st.info(say("no_customer", id=plain(user_id)))
            return
        if known["scores"] is None:
            st.info(say("private"))
        names = {
            "profile": say("profile"),
            "why": say("why"),
            "timeline": say("timeline"),
            "graph": say("graph"),
            "slate": say("slate"),
            "supposing": say("what_if"),
        }
        side = st.segmented_control(
            say("look_at"), _SIDES, default="profile", format_func=names.__getitem__, key="customer_side",
            label_visibility="collapsed",
        )  # fmt: skip
        with told():
            _show(shop, side or "profile", known)


def _chosen(shop: ShopkeeperClient) -> str | None:
    """Typed whole, or chosen among those that begin with what was typed."""
    typed, found = st.columns([2, 3])
    if "user_id" not in st.session_state:
        st.session_state["user_id"] = st.query_params.get("user") or _somebody(shop)
    text = typed.text_input(say("find_customer"), key="user_id", help=say("find_customer_help")).strip()
    if not text:
        return None
    alike = [user.user_id for user in shop.users(text, limit=_FOUND).items if user.user_id != text]
    choices = [text, *alike]
    chosen = found.selectbox(say("customer_found", n=len(choices)), choices, key=f"customer_of_{text}")
    st.query_params["user"] = chosen
    return chosen


def _somebody(shop: ShopkeeperClient) -> str:
    """The customer of the newest event that has one: something to look at when the page opens."""
    recent = (event.user_id for event in shop.events(limit=50).items)
    return next((user for user in recent if user), "")


def _show(shop: ShopkeeperClient, side: str, known: dict[str, object]) -> None:
    user_id = str(known["user_id"])
    if side == "timeline":
        timeline.show(shop, user_id)
    elif side == "graph":
        neighbours.show(shop, user_id)
    elif side == "slate":
        slate.show(shop, user_id)
    elif known["scores"] is None or side == "profile":
        profile.show(shop, known)
        with st.expander(say("refresh"), icon=":material/refresh:"), told():
            learning.refresh(shop)
    elif side == "why":
        why.show(shop, user_id)
    else:
        supposing.show(shop, user_id)
