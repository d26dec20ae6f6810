"""A release step by step: more and more of the requests go to a version, until it serves alone."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking, stairs, watching
from shopkeeper.console.connection import told
from shopkeeper.console.models.chosen import version as choose
from shopkeeper.console.models.trying import past_the_gate
from shopkeeper.console.words import say
from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.core.records import Job, ModelInfo, Version

_LISTED = 50
_USUAL = "10, 25, 50"
_PLAIN = {"displayModeBar": False}


def show(shop: ShopkeeperClient, model: ModelInfo) -> None:
    asking.notice("models")
    if model.scope != "all":
        st.info(say("release_whole_only"))
        return
    form, watch = st.columns([3, 2], gap="large")
    with form, told():
        _form(shop, model, shop.versions(model.name))
    with watch, told():
        key = f"release_{model.name}"
        _latest(shop, model, key)
        watching.watch(key, curve=_where, ended=_ended)


def _form(shop: ShopkeeperClient, model: ModelInfo, versions: Sequence[Version]) -> None:
    st.markdown(f"**{say('step_by_step')}**")
    st.caption(say("release_note"))
    others = [one for one in versions if one.status == "ready" and "champion" not in one.aliases]
    if "champion" not in model.aliases or not others:
        st.info(say("nothing_to_release"))
        return
    one = choose(say("version"), others, f"release_{model.name}_version")
    shares, minutes = st.columns([3, 2])
    key = f"release_{model.name}"
    steps = shares.text_input(say("steps_percent"), _USUAL, key=f"{key}_steps", help=say("release_steps_help"))
    kept = minutes.number_input(say("minutes_a_step"), 0.0, 1440.0, 5.0, step=None, format="%g", key=f"{key}_minutes")
    reason = st.text_input(say("why_change"), key=f"{key}_reason", help=say("why_change_help"))
    if one is not None and st.button(say("begin_release"), type="primary", key="release_begin"):
        number = one.version

        def begin(force: bool) -> None:
            job = shop.release(
                model.name, number, steps=stairs.read(steps), step_s=60 * float(kept), force=force, reason=reason
            )
            st.session_state[key] = job.job_id

        if past_the_gate(begin):
            st.rerun()


def _latest(shop: ShopkeeperClient, model: ModelInfo, key: str) -> None:
    """The newest release of the model is looked at, whoever began it."""
    if key not in st.session_state:
        for job in shop.jobs(kind="release", limit=_LISTED):
            if job.params.get("model") == model.name and job.params.get("scope") == "all":
                st.session_state[key] = job.job_id
                return
        st.caption(say("no_release"))


def _where(shop: ShopkeeperClient, job: Job) -> None:
    """The steps, and which of them holds by the shares of this moment."""
    steps = [float(one) for one in job.params["config"]["steps"]]
    version = int(job.params["version"])
    try:
        now = shop.traffic(job.params["model"])["variants"]
    except ShopkeeperError:  # the model is gone by now
        now = []
    share = next((float(one["weight"]) for one in now if one["version"] == version), None)
    st.caption(say("release_of", version=version, share="–" if share is None else f"{share:.0%}"))
    figure = stairs.picture([*steps, 1.0], share)
    st.plotly_chart(figure, width="stretch", config=_PLAIN, key=f"release_{job.job_id}")
    if job.status == "cancelled":
        st.info(say("release_cancelled"))


def _ended(_shop: ShopkeeperClient, job: Job) -> None:
    st.success(say("now_serves", model=job.params["model"], version=job.params["version"]))
