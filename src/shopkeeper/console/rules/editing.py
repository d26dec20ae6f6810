"""Rules: all of them, one at a time in an editor, and what each said before."""

from __future__ import annotations

from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking, paging
from shopkeeper.console.connection import told
from shopkeeper.console.holding import held, let_go
from shopkeeper.console.plain import plain
from shopkeeper.console.rules import condition as conditions
from shopkeeper.console.words import say
from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.core.records import Rule

_NEW = ""
_A_PAGE = 20


def show(shop: ShopkeeperClient) -> None:
    rules = {rule.name: rule for rule in shop.rules()}
    st.dataframe([_row(rule) for rule in rules.values()], hide_index=True, width="stretch")
    asking.notice("rule")
    if st.session_state.get("rule_made") in rules:  # what was just made is what is looked at
        st.session_state["rule_chosen"] = st.session_state.pop("rule_made")
    name = st.selectbox(
        say("edit"), [*rules, _NEW], format_func=lambda name: name or say("new_rule"), key="rule_chosen"
    )
    rule = rules.get(name or _NEW) or Rule(name=_NEW, condition="")
    editor, past = st.columns([3, 2], gap="large")
    with editor, told():
        _editor(shop, held("rule", rule.name, rule, rule.version))
    with past, told():
        if rule.name:
            _versions(shop, rule)
        conditions.fields(shop)


def _editor(shop: ShopkeeperClient, rule: Rule) -> None:
    key = f"rule_{rule.name}_{rule.version}"  # another version, or another rule, begins with what it says
    name = rule.name or st.text_input(say("name"), key=f"{key}_name").strip()
    text = st.text_area(say("condition"), rule.condition, key=f"{key}_condition", help=say("condition_help"))
    left, right = st.columns([1, 2])
    weight = float(left.number_input(say("weight"), value=rule.weight, step=0.1, key=f"{key}_weight"))
    action = right.text_input(say("action"), rule.action, key=f"{key}_action", help=say("action_help"))
    about = st.text_input(say("description"), rule.description, key=f"{key}_about")
    fine = conditions.preview(shop, text, weight=weight, name=rule.name or None)
    save, remove = st.columns(2)
    if save.button(say("save"), type="primary", disabled=not (fine and name), key=f"{key}_save", width="stretch"):
        _save(shop, rule, name, {"condition": text, "weight": weight, "action": action, "description": about})
    if rule.name and remove.button(say("delete"), key=f"{key}_delete", width="stretch"):
        asking.confirm(say("delete_rule", name=plain(rule.name)), lambda: _delete(shop, rule))


def _save(shop: ShopkeeperClient, rule: Rule, name: str, said: dict[str, Any]) -> None:
    try:
        if rule.name:
            stored = shop.update_rule(rule.name, read_at=rule.updated_at, **said)
        else:
            stored = shop.create_rule(name, **said)
            st.session_state["rule_made"] = stored.name
    except ShopkeeperError as error:
        st.error(conditions.saying(error))
        return
    let_go("rule")
    asking.tell("rule", say("saved", name=plain(stored.name), version=stored.version))
    st.rerun()


def _delete(shop: ShopkeeperClient, rule: Rule) -> None:
    shop.delete_rule(rule.name, read_at=rule.updated_at)
    let_go("rule")
    asking.tell("rule", say("deleted", name=plain(rule.name)))


def _versions(shop: ShopkeeperClient, rule: Rule) -> None:
    st.markdown(f"**{say('versions')}**")
    pages = f"rule_{rule.name}_{rule.version}_page"  # a new version is on the first one
    begins = paging.cursor(pages)
    page = shop.rule_versions(rule.name, limit=_A_PAGE, cursor=begins)
    said = page.items
    rows = [
        {say("version"): one.version, say("condition"): one.condition, say("weight"): one.weight,
         say("by"): one.updated_by}
        for one in said
    ]  # fmt: skip
    st.dataframe(rows, hide_index=True, width="stretch", height=min(38 * (len(rows) + 1), 260))
    paging.turn(pages, page.next_cursor)
    older = [one.version for one in said if one.version != rule.version]
    if older:
        which, go = st.columns([2, 1], vertical_alignment="bottom")
        version = which.selectbox(say("version"), older, key=f"{pages}_older_{begins}")
        if go.button(say("revert"), key=f"rule_{rule.name}_revert", width="stretch"):
            stored = shop.revert_rule(rule.name, int(version))
            let_go("rule")
            asking.tell("rule", say("saved", name=plain(stored.name), version=stored.version))
            st.rerun()


def _row(rule: Rule) -> dict[str, Any]:
    return {
        say("name"): rule.name,
        say("condition"): rule.condition,
        say("weight"): rule.weight,
        say("action"): rule.action,
        say("version"): rule.version,
        say("description"): rule.description,
    }
