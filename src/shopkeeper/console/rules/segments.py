"""Segments: how large they are and were, who is in them, what they say."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking, charts, paging
from shopkeeper.console.connection import told
from shopkeeper.console.frame import clock
from shopkeeper.console.holding import held, let_go
from shopkeeper.console.plain import plain
from shopkeeper.console.rules import condition as conditions
from shopkeeper.console.words import say
from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.core.records import Segment

_PLAIN = {"displayModeBar": False}
_NEW = ""
_MEMBERS = 15


def show(shop: ShopkeeperClient) -> None:
    segments = {one.name: one for one in shop.segments()}
    st.dataframe([_row(one) for one in segments.values()], hide_index=True, width="stretch")
    asking.notice("segment")
    if st.session_state.get("segment_made") in segments:  # what was just made is what is looked at
        st.session_state["segment_chosen"] = st.session_state.pop("segment_made")
    name = st.selectbox(
        say("edit"), [*segments, _NEW], format_func=lambda name: name or say("new_segment"), key="segment_chosen"
    )
    segment = segments.get(name or _NEW) or Segment(name=_NEW, condition="")
    editor, people = st.columns([3, 2], gap="large")
    with editor, told():
        _editor(shop, held("segment", segment.name, segment, segment.version))
    with people, told():
        if segment.name:
            _sizes(shop, segment)
            _members(shop, segment)
        else:
            conditions.fields(shop)


def _editor(shop: ShopkeeperClient, segment: Segment) -> None:
    key = f"segment_{segment.name}_{segment.version}"
    name = segment.name or st.text_input(say("name"), key=f"{key}_name").strip()
    text = st.text_area(say("condition"), segment.condition, key=f"{key}_condition", help=say("condition_help"))
    about = st.text_input(say("description"), segment.description, key=f"{key}_about")
    fine = conditions.preview(shop, text)
    save, remove = st.columns(2)
    if save.button(say("save"), type="primary", disabled=not (fine and name), key=f"{key}_save", width="stretch"):
        _save(shop, segment, name, text, about)
    if segment.name and remove.button(say("delete"), key=f"{key}_delete", width="stretch"):
        asking.confirm(say("delete_segment", name=plain(segment.name)), lambda: _delete(shop, segment))


def _save(shop: ShopkeeperClient, segment: Segment, name: str, text: str, about: str) -> None:
    try:
        if segment.name:
            stored = shop.update_segment(segment.name, read_at=segment.updated_at, condition=text, description=about)
        else:
            stored = shop.create_segment(name, text, about)
            st.session_state["segment_made"] = stored.name
    except ShopkeeperError as error:
        st.error(conditions.saying(error))
        return
    let_go("segment")
    asking.tell("segment", say("saved", name=plain(stored.name), version=stored.version))
    st.rerun()


def _delete(shop: ShopkeeperClient, segment: Segment) -> None:
    shop.delete_segment(segment.name, read_at=segment.updated_at)
    let_go("segment")
    asking.tell("segment", say("deleted", name=plain(segment.name)))


def _sizes(shop: ShopkeeperClient, segment: Segment) -> None:
    history = shop.segment_history(segment.name)
    times, sizes = [one["time"] for one in history["sizes"]], [float(one["size"]) for one in history["sizes"]]
    st.markdown(f"**{say('size_over_time')}** · {say('came_and_went', came=history['entered'], went=history['left'])}")
    figure = charts.lines_chart(times, {segment.name: sizes}, say("customers"))
    figure.update_layout(height=240, showlegend=False)
    st.plotly_chart(figure, width="stretch", config=_PLAIN, key="segment_sizes")


def _members(shop: ShopkeeperClient, segment: Segment) -> None:
    key = f"members_{segment.name}_{segment.version}"
    page = shop.segment_users(segment.name, limit=_MEMBERS, cursor=paging.cursor(key))
    rows = [{say("customer_id"): one["user_id"], say("entered"): clock(one["entered_at"])} for one in page.items]
    st.dataframe(rows, hide_index=True, width="stretch")
    paging.turn(key, page.next_cursor)
    if st.button(say("export"), key=f"{key}_export"):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "segment.csv")
            shop.export_segment(segment.name, file)
            st.session_state[f"{key}_file"] = file.read_bytes()
    if f"{key}_file" in st.session_state:
        data: bytes = st.session_state[f"{key}_file"]
        st.download_button(say("download"), data, file_name=f"{segment.name}.csv", mime="text/csv")


def _row(one: Segment) -> dict[str, Any]:
    return {
        say("name"): one.name,
        say("customers"): one.size,
        say("condition"): one.condition,
        say("version"): one.version,
        say("description"): one.description,
    }
