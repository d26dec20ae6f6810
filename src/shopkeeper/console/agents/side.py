"""The agents of the shop, and one of them: what it is, what asks it, what it does, and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking, paging
from shopkeeper.console.agents import judged, making, measuring, policy
from shopkeeper.console.agents.called import called
from shopkeeper.console.connection import told
from shopkeeper.console.fields import choice
from shopkeeper.console.frame import clock
from shopkeeper.console.plain import plain
from shopkeeper.console.words import say

_NEW = ""
_PAGE = "agents_page"
_MADE = "agent_made"
_Scenarios = Sequence[Mapping[str, Any]]


def show(shop: ShopkeeperClient) -> None:
    if _MADE in st.session_state:  # the newest stand first
        st.session_state.pop(_PAGE, None)
    page = shop.agents(limit=20, cursor=paging.cursor(_PAGE))
    known = {str(one["agent_id"]): one for one in page.items}
    asks = {str(one["name"]): one for one in shop.scenarios() if one.get("agent")}
    if known:
        st.dataframe([_row(one, _asking(asks, id)) for id, one in known.items()], hide_index=True, width="stretch")
    else:
        st.caption(say("no_agents"))
    paging.turn(_PAGE, page.next_cursor)
    with st.container():  # has its place, so that what is below stays as it is when a notice goes
        asking.notice("agent")
    if st.session_state.get(_MADE) in known:  # what was just made is what is looked at
        st.session_state["agent_chosen"] = st.session_state.pop(_MADE)
    chosen = st.selectbox(
        say("look_at"), [*known, _NEW], key="agent_chosen",
        format_func=lambda id: called(known[id]) if id in known else say("new_agent"),
    )  # fmt: skip
    with told():
        if chosen in known:
            _one(shop, str(chosen), _asking(asks, str(chosen)))
        else:
            making.show(shop, _MADE)


def _asking(asks: Mapping[str, Mapping[str, Any]], agent_id: str) -> _Scenarios:
    return [one for one in asks.values() if one["agent"].get("agent_id") == agent_id]


def _one(shop: ShopkeeperClient, agent_id: str, scenarios: _Scenarios) -> None:
    found = shop.agent(agent_id)
    _facts(found)
    left, right = st.columns([3, 2], gap="large")
    with left:
        with told():
            judged.show(shop, found, scenarios)
        with told():
            policy.show(shop, found, scenarios)
    with right, told():
        measuring.show(shop, found)
    if st.button(say("delete_agent"), icon=":material/delete:", key=f"{agent_id}_delete"):
        asking.confirm(_question(agent_id, scenarios), lambda: _delete(shop, agent_id))


def _facts(found: Mapping[str, Any]) -> None:
    training, config = found["training"], found["config"]
    st.markdown(plain(say("agent_made_at", at=clock(found["created_at"]), by=found["created_by"] or "–")))
    tiles = st.columns(5)
    tiles[0].metric(say("state"), _status(found["status"]))
    tiles[1].metric(say("steps_learned"), f"{found['updates']:,}", help=say("steps_learned_help"))
    tiles[2].metric(say("episodes"), f"{found['episodes']:,}", help=say("episodes_help"))
    tiles[3].metric(say("epsilon"), f"{found['epsilon']:.1%}", help=say("epsilon_help"))
    mean = None if training is None else training.get("mean_reward")
    tiles[4].metric(say("last_training"), "–" if mean is None else f"{mean:.2f}", help=say("last_training_help"))
    with st.expander(say("how_it_learns"), icon=":material/tune:"):
        rows = [{say("setting"): name, say("value"): _shown(value)} for name, value in config.items()]
        st.dataframe(rows, hide_index=True, width="stretch", height=320)


def _shown(value: Any) -> str:
    return say("by_itself") if value is None else str(value)


def _status(status: str) -> str:
    words = {"ready": say("agent_ready"), "training": say("agent_training")}
    return words.get(status, status)


def _question(agent_id: str, scenarios: _Scenarios) -> str:
    sure = say("delete_agent_sure", id=plain(agent_id))
    if not scenarios:
        return sure
    names = ", ".join(plain(str(one["name"])) for one in scenarios)
    return f"{sure} {say('agent_is_asked', names=names)}"


def _delete(shop: ShopkeeperClient, agent_id: str) -> None:
    shop.delete_agent(agent_id)
    asking.tell("agent", say("agent_deleted", id=plain(agent_id)))


def _row(one: Mapping[str, Any], scenarios: _Scenarios) -> dict[str, Any]:
    training, config = one["training"], one["config"]
    return {
        say("agent"): one["agent_id"],
        say("kind"): choice(one["agent_type"]),
        say("sizes"): f"{config['state_size']} → {config['action_size']}",
        say("state"): _status(one["status"]),
        say("trained_on"): "–" if training is None else say("n_episodes", n=f"{training['episodes']:,}"),
        say("asked_by"): ", ".join(str(each["name"]) for each in scenarios) or "–",
        say("made"): clock(one["created_at"]),
    }
