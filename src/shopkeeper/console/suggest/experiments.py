"""Experiments: all of them, a draft in a form, and one with what it says now and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking
from shopkeeper.console.connection import told
from shopkeeper.console.frame import clock
from shopkeeper.console.plain import plain
from shopkeeper.console.suggest import drafting, results
from shopkeeper.console.words import say
from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.core.experiments import Experiment

_NEW = ""
_ENDED = ("draft", "done")


def show(shop: ShopkeeperClient) -> None:
    known = {one.experiment_id: one for one in shop.experiments()}
    if known:
        st.dataframe([_row(one) for one in known.values()], hide_index=True, width="stretch")
    else:
        st.caption(say("no_experiments"))
    asking.notice("experiment")
    if st.session_state.get("experiment_made") in known:  # what was just made is what is looked at
        st.session_state["experiment_chosen"] = st.session_state.pop("experiment_made")
    chosen = st.selectbox(
        say("look_at"), [*known, _NEW], key="experiment_chosen",
        format_func=lambda id: f"{known[id].name} · {id}" if id in known else say("new_experiment"),
    )  # fmt: skip
    if chosen in known:
        with told():
            _one(shop, known[chosen])
    else:
        drafting.show(shop)


def _one(shop: ShopkeeperClient, one: Experiment) -> None:
    target = one.target.scenario or f"{one.target.model} ({one.target.scope})"
    facts = say("experiment_is", what=target, metric=one.metric, share=f"{one.part:.0%}", days=one.max_days)
    st.markdown(f":blue-badge[{state(one.status)}] {plain(facts)}")
    if one.reason:
        st.info(plain(one.reason))
    _steps(shop, one)
    if one.status != "draft":
        results.show(shop.experiment_results(one.experiment_id), one)
        _whose(shop, one)
    st.dataframe(
        [{say("variant"): each.name, say("weight"): one.weights.get(each.name), say("other_fields"): str(each.config)}
         for each in one.variants],
        hide_index=True, width="stretch",
    )  # fmt: skip


def _steps(shop: ShopkeeperClient, one: Experiment) -> None:
    """What can be done with it as it stands, and nothing else."""
    id, at = one.experiment_id, one.version
    columns = st.columns(4)
    if one.status == "draft":
        if columns[0].button(say("start"), type="primary", width="stretch", key=f"{id}_start"):
            _do(lambda: shop.start_experiment(id, if_version=at), say("experiment_runs", name=plain(one.name)))
        if columns[1].button(say("delete"), width="stretch", key=f"{id}_delete"):
            asking.confirm(say("delete_draft", name=plain(one.name)), lambda: _delete(shop, one))
    elif one.status == "running" and columns[0].button(say("pause"), width="stretch", key=f"{id}_pause"):
        _do(lambda: shop.pause_experiment(id, if_version=at), say("experiment_rests", name=plain(one.name)))
    elif one.status == "paused" and columns[0].button(say("resume"), type="primary", width="stretch", key=f"{id}_go"):
        _do(lambda: shop.resume_experiment(id, if_version=at), say("experiment_runs", name=plain(one.name)))
    if one.status not in _ENDED:
        _ending(shop, one, columns[2:])


def _ending(shop: ShopkeeperClient, one: Experiment, columns: Sequence[DeltaGenerator]) -> None:
    names = [each.name for each in one.variants]
    with columns[0].popover(say("end_it"), width="stretch"):
        winner = st.selectbox(
            say("winner"), [None, *names], format_func=lambda name: name or say("as_results_say"), key="stop_winner"
        )
        everybody = st.checkbox(say("roll_out_to_all"), key="stop_roll_out")
        reason = st.text_input(say("note"), key="stop_reason").strip()
        if st.button(say("stop_now"), type="primary", key=f"{one.experiment_id}_stop"):
            _do(
                lambda: shop.stop_experiment(
                    one.experiment_id, winner=winner, roll_out=everybody, reason=reason, if_version=one.version
                ),
                say("experiment_stopped", name=plain(one.name)),
            )


def _do(step: Callable[[], Experiment], message: str) -> None:
    try:
        step()
    except ShopkeeperError as error:
        st.error(say("lost_race") if error.code == "stale" else plain(error.message))
        return
    asking.tell("experiment", message)
    st.rerun()


def _delete(shop: ShopkeeperClient, one: Experiment) -> None:
    shop.delete_experiment(one.experiment_id, if_version=one.version)
    asking.tell("experiment", say("deleted", name=plain(one.name)))


def _whose(shop: ShopkeeperClient, one: Experiment) -> None:
    """Which variant somebody gets; asking counts nobody."""
    user_id = st.text_input(say("whose_variant"), key=f"{one.experiment_id}_whose").strip()
    if user_id:
        found = shop.assignment(one.experiment_id, user_id)
        st.markdown(plain(f"{user_id}: {found.variant or say('takes_no_part', why=found.why or '–')}"))


def state(status: str) -> str:
    """The state of an experiment in words."""
    words = {
        "draft": say("draft"),
        "running": say("experiment_running"),
        "paused": say("is_paused"),
        "done": say("is_over"),
    }
    return words[status]


def _row(one: Experiment) -> dict[str, Any]:
    return {
        say("name"): one.name,
        say("state"): state(one.status),
        say("target"): one.target.scenario or one.target.model,
        say("metric"): one.metric,
        say("verdict"): results.verdict(one.verdict),
        say("winner"): one.winner,
        say("entered"): clock(one.started_at.isoformat() if one.started_at else None),
        say("left"): clock(one.ended_at.isoformat() if one.ended_at else None),
    }
