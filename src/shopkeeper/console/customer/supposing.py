"""What would become of a customer if they did something now. Nothing is stored."""

from __future__ import annotations

from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console.names import titled
from shopkeeper.console.plain import plain
from shopkeeper.console.words import say
from shopkeeper.core.records import Event

_KINDS = ("order", "view", "click", "return", "like", "dislike")


def show(shop: ShopkeeperClient, user_id: str) -> None:
    st.caption(say("what_if_note"))
    with st.form("what_if", border=True):
        what, which, many = st.columns([1, 3, 1])
        kind = what.selectbox(say("what"), _KINDS, key="what_if_kind", accept_new_options=True)
        found = shop.items(st.session_state.get("what_if_find") or None, kind="product", active=True, limit=50).items
        names = {item.item_id: titled(item.name, item.item_id) for item in found}
        item_id = which.selectbox(say("product"), list(names), format_func=lambda id: names.get(id, id))
        pieces = float(many.number_input(say("pieces"), 1, 10_000, 1))
        find, go = st.columns([4, 1], vertical_alignment="bottom")
        find.text_input(say("find_product"), key="what_if_find")
        asked = go.form_submit_button(say("see"), type="primary", width="stretch")
    if asked and kind and item_id:
        event = Event(event_type=str(kind), item_id=item_id, quantity=pieces)
        _compare(shop.what_if(user_id, [event], n=10))


def _compare(told: dict[str, Any]) -> None:
    before, after = told["before"], told["after"]
    score, chance, segments = st.columns([1, 1, 2])
    score.metric(say("score"), f"{after['score']:+.2f}", f"{after['score'] - before['score']:+.2f}")
    moved = 100 * (after["probability"] - before["probability"])
    chance.metric(say("will_order"), f"{after['probability']:.0%}", f"{moved:+.1f} pp")
    with segments:
        st.markdown(f"**{say('segments')}**")
        st.markdown(_segments(set(before["segments"]), set(after["segments"])))
    was = {item["item_id"]: place for place, item in enumerate(before["top_items"], 1)}
    rows = [
        {
            "#": place,
            say("product"): titled(item["metadata"].get("name"), item["item_id"]),
            say("place_before"): was.get(item["item_id"]),
            say("reason"): item["explanation"],
        }
        for place, item in enumerate(after["top_items"], 1)
    ]
    st.dataframe(rows, hide_index=True, width="stretch")


def _segments(before: set[str], after: set[str]) -> str:
    marks = [f":blue-badge[{plain(name)}]" for name in sorted(before & after)]
    marks += [f":green-badge[+ {plain(name)}]" for name in sorted(after - before)]
    marks += [f":red-badge[− {plain(name)}]" for name in sorted(before - after)]
    return " ".join(marks) or f":gray-badge[{say('no_segments')}]"
