"""Experiments: all of them, a draft in a form, and one with what it says now and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking
from shopkeeper.console.connection import told
from shopkeeper.console.frame import clock
from shopkeeper.console.names import titled
from shopkeeper.console.plain import plain
from shopkeeper.console.suggest import drafting, layers, results, rolling
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
    with st.container():  # each has its place, so that what opens below stays open when a notice goes
        layers.show(list(known.values()))
    with st.container():
        asking.notice("experiment")
    if st.session_state.get("experiment_made") in known:  # what was just made is what is looked at
        st.session_state["experiment_chosen"] = st.session_state.pop("experiment_made")
    chosen = st.selectbox(
        say("look_at"), [*known, _NEW], key="experiment_chosen",
        format_func=lambda id: titled(known[id].name, id) if id in known else say("new_experiment"),
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
    with st.container():
        if one.reason:
            st.info(plain(one.reason))
    _steps(shop, one)
    rolling.way(shop, one, _do)
    if one.status != "draft":
        results.show(shop.experiment_results(one.experiment_id), one)
        _whose(shop, one)
    st.markdown(f"**{say('plan')}**")
    st.dataframe(
        [{say("variant"): each.name, say("share"): f"{one.weights.get(each.name, 0.0):.1%}",
          say("other_fields"): str(each.config)} for each in one.variants],
        hide_index=True, width="stretch",
    )  # fmt: skip
    st.caption(plain(_terms(one)))
    if one.status == "draft" and st.toggle(say("say_anew"), key=f"{one.experiment_id}_anew"):
        drafting.show(shop, one)


def _terms(one: Experiment) -> str:
    """Layer, lists, guards, and when it ends."""
    guards = [each if isinstance(each, str) else each.metric for each in one.guards]
    told = [say("layer_is", layer=one.layer), say("least_people_is", n=f"{one.min_sample:,}")]
    told += [say("guards_are", names=", ".join(guards))] if guards else []
    told += [say("only_n", n=len(one.allow))] if isinstance(one.allow, list) and one.allow else []
    told += [say("fixed_n", n=len(one.allow))] if isinstance(one.allow, dict) and one.allow else []
    told += [say("never_n", n=len(one.deny))] if one.deny else []
    told += [say("decide_at_end") if one.decide == "fixed" else say("decide_any_day")]
    told += [say("ends_early")] if one.ends_early else []
    return " · ".join(told)


def _steps(shop: ShopkeeperClient, one: Experiment) -> None:
    """What can be done with it as it stands, and nothing else."""
    id, at = one.experiment_id, one.version
    columns = st.columns(4)
    if one.status == "draft":
        if columns[0].button(say("start"), type="primary", width="stretch", key=f"{id}_start"):
            _do(lambda: shop.start_experiment(id, if_version=at), say("experiment_runs", name=plain(one.name)))
        if columns[1].button(say("delete"), width="stretch", key=f"{id}_delete"):
            asking.confirm(say("delete_draft", name=plain(one.name)), lambda: _delete(shop, one))
    elif one.status == "running":
        if columns[0].button(say("pause"), width="stretch", key=f"{id}_pause"):
            _do(lambda: shop.pause_experiment(id, if_version=at), say("experiment_rests", name=plain(one.name)))
        rolling.shares(shop, one, columns[1], _do)
        if one.rolling is None:
            rolling.begin(shop, one, columns[2], _do)
    elif one.status == "paused" and columns[0].button(say("resume"), type="primary", width="stretch", key=f"{id}_go"):
        _do(lambda: shop.resume_experiment(id, if_version=at), say("experiment_runs", name=plain(one.name)))
    if one.status not in _ENDED:
        _ending(shop, one, columns[3])


def _ending(shop: ShopkeeperClient, one: Experiment, place: DeltaGenerator) -> None:
    """It is final; where the winner is rolled out too, it is asked once more."""
    names = [each.name for each in one.variants]
    key = f"{one.experiment_id}_stop"
    with place.popover(say("end_it"), width="stretch"):
        winner = st.selectbox(
            say("winner"), [None, *names], format_func=lambda name: name or say("as_results_say"), key=f"{key}_winner"
        )
        everybody = st.checkbox(say("roll_out_to_all"), key=f"{key}_roll_out")
        reason = st.text_input(say("note"), key=f"{key}_reason").strip()

        def stop() -> Experiment:
            return shop.stop_experiment(
                one.experiment_id, winner=winner, roll_out=everybody, reason=reason, if_version=one.version
            )

        if st.button(say("stop_now"), type="primary", key=key):
            message = say("experiment_stopped", name=plain(one.name))
            if everybody:
                which = plain(winner) if winner else say("as_results_say")
                asking.confirm(
                    say("stop_roll_out_sure", name=plain(one.name), winner=which), lambda: _stop(stop, message)
                )
            else:
                _do(stop, message)


def _stop(step: Callable[[], Experiment], message: str) -> None:
    step()
    asking.tell("experiment", message)


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
        say("verdict"): results.verdict(one.verdict) if one.status == "done" else "–",
        say("winner"): one.winner or "–",
        say("entered"): clock(one.started_at.isoformat() if one.started_at else None),
        say("left"): clock(one.ended_at.isoformat() if one.ended_at else None),
    }
