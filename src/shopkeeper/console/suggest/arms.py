"""Exploring: which scenarios let a policy draw, and what the bandit's policy has learned of its arms."""

from __future__ import annotations

from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking, charts
from shopkeeper.console.connection import told
from shopkeeper.console.names import item_names, titled
from shopkeeper.console.plain import plain
from shopkeeper.console.words import say
from shopkeeper.core.errors import ShopkeeperError, Unavailable

_PLAIN = {"displayModeBar": False}


def show(shop: ShopkeeperClient) -> None:
    st.markdown(f"**{say('exploring_scenarios')}**")
    explored = [one for one in shop.scenarios() if one["explore"]]
    if explored:
        st.dataframe([_row(one) for one in explored], hide_index=True, width="stretch")
    else:
        st.caption(say("explored_nowhere"))
    st.markdown(f"**{say('bandit')}**")
    asking.notice("bandit")
    with told():
        try:
            _statistics(shop, shop.bandit_statistics())
        except Unavailable as error:
            if error.code != "not_initialized":
                raise
            st.caption(say("bandit_not_begun"))
        _begin(shop)


def _row(one: dict[str, Any]) -> dict[str, Any]:
    explore = one["explore"]
    slots = explore.get("slots") or []
    return {
        say("scenario"): one["name"],
        say("policy"): explore["policy"],
        say("share"): explore.get("share"),
        say("slots"): ", ".join(str(slot + 1) for slot in slots) or say("any"),
        say("pool"): explore.get("pool"),
        say("floor"): explore.get("floor"),
    }


def _statistics(shop: ShopkeeperClient, found: dict[str, Any]) -> None:
    tiles = st.columns(5)
    tiles[0].metric(say("policy"), str(found["policy"]))
    tiles[1].metric(say("slates_drawn"), f"{found['slates']:,}")
    tiles[2].metric(say("rounds"), f"{found['rounds']:,}", help=say("rounds_help"))
    tiles[3].metric(say("arms_known"), f"{found['arms']:,}")
    reward = found["average_reward"]
    tiles[4].metric(say("average_reward"), "–" if reward is None else f"{reward:.3f}")
    best: list[dict[str, Any]] = found["best"]
    if not best:
        st.caption(say("nothing_learned_yet"))
        return
    st.caption(say("best_arms"))
    names = item_names(shop, [one["item_id"] for one in best])
    figure = charts.bars({titled(names[one["item_id"]], one["item_id"]): float(one["estimate"]) for one in best})
    figure.update_traces(texttemplate="%{x:.3f}")
    st.plotly_chart(figure, width="stretch", config=_PLAIN, key="bandit_best")


def _begin(shop: ShopkeeperClient) -> None:
    """Says what the bandit explores from now on."""
    policies = {str(one["name"]): one for one in shop.bandit_policies()}
    with st.expander(say("begin_bandit"), icon=":material/casino:"):
        left, right = st.columns([3, 1])
        names = list(policies)
        first = names.index("thompson_beta") if "thompson_beta" in names else 0
        policy = left.selectbox(say("policy"), names, index=first, key="bandit_policy")
        pool = right.number_input(say("pool"), value=20, step=1, key="bandit_pool")
        st.caption(plain(str(policies[policy]["description"])))
        if st.button(say("begin"), key="bandit_begin"):
            try:
                shop.begin_bandit(int(pool), {policy: {}})
            except ShopkeeperError as error:
                st.error(plain(error.message))
                return
            asking.tell("bandit", say("bandit_begun", policy=policy))
            st.rerun()
