"""Scenarios: all of them, one at a time in an editor. The server checks; a change counts from the next request on."""

from __future__ import annotations

from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking
from shopkeeper.console.connection import told
from shopkeeper.console.plain import plain
from shopkeeper.console.suggest import form
from shopkeeper.console.words import say
from shopkeeper.core.errors import ShopkeeperError

_NEW = ""
_USUAL = "home"
_HELD = "scenario_held"


def show(shop: ShopkeeperClient) -> None:
    scenarios = {str(one["name"]): one for one in shop.scenarios()}
    st.dataframe([_row(one) for one in scenarios.values()], hide_index=True, width="stretch", height=300)
    asking.notice("scenario")
    if st.session_state.get("scenario_made") in scenarios:  # what was just made is what is looked at
        st.session_state["scenario_chosen"] = st.session_state.pop("scenario_made")
    names = [*scenarios, _NEW]
    st.session_state.setdefault("scenario_chosen", _USUAL if _USUAL in scenarios else names[0])
    name = st.selectbox(say("edit"), names, format_func=lambda name: name or say("new_scenario"), key="scenario_chosen")
    now = _held(scenarios[name] if name else {**scenarios.get(_USUAL, {}), "name": _NEW, "version": 0, "help": ""})
    with told():
        _editor(shop, now)
    _fields(shop)


def _held(now: dict[str, Any]) -> dict[str, Any]:
    """As it was when it was chosen, whatever others do meanwhile; where it is another by now, that is said."""
    kept: dict[str, Any] = st.session_state.setdefault(_HELD, now)
    if kept["name"] != now["name"]:
        kept = st.session_state[_HELD] = now
    elif kept["version"] != now["version"]:
        told, again = st.columns([3, 1], vertical_alignment="center")
        told.warning(say("lost_race"))
        if again.button(say("load_again"), key="scenario_again", width="stretch"):
            _let_go()
            st.rerun()
    return kept


def _let_go() -> None:
    st.session_state.pop(_HELD, None)


def _editor(shop: ShopkeeperClient, now: dict[str, Any]) -> None:
    key = f"scenario_{now['name']}_{now['version']}"  # another version, or another one, begins with what it says
    for problem in now.get("problems", []):
        st.warning(plain(problem))
    name = now["name"] or st.text_input(say("name"), key=f"{key}_name", help=say("new_scenario_help")).strip()
    said = form.edited(shop, now, key)
    save, reset = st.columns(2)
    if save.button(say("save"), type="primary", disabled=not name, key=f"{key}_save", width="stretch"):
        _save(shop, now, name, said)
    if now["name"] and not now["built_in"]:
        if reset.button(say("take_back"), key=f"{key}_reset", width="stretch", help=say("take_back_help")):
            asking.confirm(say("take_back_sure", name=now["name"]), lambda: _reset(shop, now))
    elif now["name"]:
        reset.caption(say("as_built_in"))


def _save(shop: ShopkeeperClient, now: dict[str, Any], name: str, said: dict[str, Any]) -> None:
    if not now["name"] and name in {one["name"] for one in shop.scenarios()}:
        st.error(say("scenario_exists", name=plain(name)))
        return
    try:
        stored = shop.put_scenario(name, said, if_version=now["version"] or None)
    except ShopkeeperError as error:
        st.error(_saying(error))
        return
    if not now["name"]:
        st.session_state["scenario_made"] = name
    _let_go()
    asking.tell("scenario", say("saved", name=plain(name), version=stored["version"]))
    st.rerun()


def _saying(error: ShopkeeperError) -> str:
    """In words, with the field that is wrong."""
    if error.code == "stale":
        return say("lost_race")
    named = error.field is None or error.message.startswith(error.field)
    return plain(error.message) if named else f"**{plain(error.field or '')}**: {plain(error.message)}"


def _reset(shop: ShopkeeperClient, now: dict[str, Any]) -> None:
    shop.delete_scenario(now["name"], if_version=now["version"])
    _let_go()
    asking.tell("scenario", say("taken_back", name=plain(now["name"])))


def _fields(shop: ShopkeeperClient) -> None:
    """What rules of filters and boosts can read."""
    with st.expander(say("item_fields"), icon=":material/list:"):
        rows = [
            {say("field"): one["name"], say("kind"): one["type"], say("unit"): one["unit"], say("note"): one["help"]}
            for one in shop.item_fields()
        ]
        st.dataframe(rows, hide_index=True, width="stretch", height=320)


def _row(one: dict[str, Any]) -> dict[str, Any]:
    return {
        say("name"): one["name"],
        say("version"): one["version"],
        say("description"): one["help"],
        say("ranker"): one["ranker"] or "–",
        say("recall"): ", ".join(each["channel"] for each in one["recall"]),
        say("explores"): one["explore"].get("policy", "–"),
        say("changed"): not one["built_in"],
        say("problems"): "; ".join(one["problems"]),
    }
