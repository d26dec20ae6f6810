"""Stores: all of them, one in an editor, and what it sells."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking, paging
from shopkeeper.console.connection import told
from shopkeeper.console.holding import held, let_go
from shopkeeper.console.names import titled
from shopkeeper.console.plain import plain
from shopkeeper.console.words import say
from shopkeeper.core.errors import ShopkeeperError, Stale
from shopkeeper.core.records import Store

_NEW = ""
_STATES = ("open", "closed")
_A_PAGE = 10
_FIRST, _LAST = date(1600, 1, 1), date(2100, 12, 31)
"""The years offered; a store that says another day keeps it."""


def show(shop: ShopkeeperClient) -> None:
    stores = {one.store_id: one for one in shop.stores()}
    if stores:
        st.dataframe([_row(one) for one in stores.values()], hide_index=True, width="stretch")
    asking.notice("store")
    if st.session_state.get("store_made") in stores:  # what was just made is what is looked at
        st.session_state["store_chosen"] = st.session_state.pop("store_made")
    id = st.selectbox(
        say("edit"), [*stores, _NEW], format_func=lambda id: _title(stores[id]) if id in stores else say("new_store"),
        key="store_chosen",
    )  # fmt: skip
    store = stores.get(id or _NEW) or Store(store_id=_NEW)
    editor, sells = st.columns([3, 2], gap="large")
    with editor, told():
        _editor(shop, held("store", store.store_id, store, store))
    with sells, told():
        if store.store_id:
            _products(shop, store.store_id)


def _editor(shop: ShopkeeperClient, one: Store) -> None:
    key = f"store_{one}"  # another store, or another state of it, begins with what it says
    with st.form(key):
        id = one.store_id or st.text_input(say("store_id"), key=f"{key}_id").strip()
        left, right = st.columns(2)
        facts: dict[str, Any] = {
            "name": left.text_input(say("name"), one.name, key=f"{key}_name"),
            "location": right.text_input(say("location"), one.location, key=f"{key}_location"),
            "type": left.text_input(say("kind"), one.type, key=f"{key}_type"),
            "size": right.number_input(say("store_size"), 0.0, 1e12, one.size, step=None, key=f"{key}_size"),
            "opening_date": _opened(left, one, f"{key}_opened"),
            "status": right.selectbox(
                say("state"), list(dict.fromkeys((one.status, *_STATES))), accept_new_options=True, key=f"{key}_status"
            ) or "",
        }  # fmt: skip
        if st.form_submit_button(say("save"), type="primary"):
            _save(shop, one, Store(store_id=id, **facts))
    if one.store_id and st.button(say("delete"), key=f"{key}_delete"):
        asking.confirm(say("delete_store", name=plain(_title(one))), lambda: _delete(shop, one))


def _save(shop: ShopkeeperClient, read: Store, said: Store) -> None:
    if not said.store_id:
        st.warning(say("store_needs_id"))
        return
    try:
        if read.store_id:
            _unchanged(shop, read)
            stored = shop.put_store(said)
        else:
            stored = shop.add_store(said)
            st.session_state["store_made"] = stored.store_id
    except ShopkeeperError as error:
        st.error(say("lost_race") if error.code == "stale" else plain(error.message))
        return
    let_go("store")
    asking.tell("store", say("store_saved", name=plain(_title(stored))))
    st.rerun()


def _delete(shop: ShopkeeperClient, read: Store) -> None:
    _unchanged(shop, read)
    shop.delete_store(read.store_id)
    let_go("store")
    asking.tell("store", say("deleted", name=plain(_title(read))))


def _unchanged(shop: ShopkeeperClient, read: Store) -> None:
    """Raises Stale when somebody else has written since it was read. The door does not look by itself."""
    if shop.store(read.store_id) != read:
        raise Stale(f"store {read.store_id} was changed meanwhile")


def _products(shop: ShopkeeperClient, store_id: str) -> None:
    key = f"store_products_{store_id}"
    page = shop.store_products(store_id, limit=_A_PAGE, cursor=paging.cursor(key))
    st.markdown(f"**{say('sells')}**")
    if not page.items:
        st.caption(say("sells_nothing"))
        return
    rows = [{say("product"): titled(one["product_name"], one["product_id"]), say("category"): one["category"],
             say("price"): one["price"]} for one in page.items]  # fmt: skip
    st.dataframe(rows, hide_index=True, width="stretch")
    paging.turn(key, page.next_cursor)


def _title(one: Store) -> str:
    return titled(one.name, one.store_id)


def _day(one: Store) -> date | None:
    return date.fromisoformat(one.opening_date) if one.opening_date else None


def _opened(where: DeltaGenerator, one: Store, key: str) -> str | None:
    now = _day(one)
    first, last = min(_FIRST, now or _FIRST), max(_LAST, now or _LAST)
    day = where.date_input(say("opened"), now, first, last, key=key)
    return day.isoformat() if isinstance(day, date) else None


def _row(one: Store) -> dict[str, Any]:
    titles = {
        "store_id": say("store_id"),
        "name": say("name"),
        "location": say("location"),
        "type": say("kind"),
        "size": say("store_size"),
        "opening_date": say("opened"),
        "status": say("state"),
    }
    values = msgspec.structs.asdict(one)
    return {title: values[name] for name, title in titles.items()}
