"""The simulated shop: what its next world is made of, and making it. Any other shop says that it has none."""

from __future__ import annotations

from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking, watching
from shopkeeper.console.fields import described, fields
from shopkeeper.console.plain import plain
from shopkeeper.console.words import say
from shopkeeper.core.errors import Conflict, ShopkeeperError
from shopkeeper.core.records import Job

_JOB = "regeneration_job"
_DOOR = "/api/v1/data/config"


def show(shop: ShopkeeperClient) -> None:
    try:
        now = shop.simulation()
    except Conflict as error:
        st.info(f"{say('not_simulated')} {plain(error.message)}", icon=":material/block:")
        return
    asking.notice("simulation")
    form, world = st.columns([3, 2], gap="large")
    with form:
        _form(shop, now)
    with world:
        _regenerate(shop)


def _form(shop: ShopkeeperClient, now: dict[str, int]) -> None:
    st.caption(say("simulation_note"))
    rules = described(shop, _DOOR)
    with st.form("simulation"):
        config: dict[str, Any] = {**now, **fields("simulation", rules, list(rules), given=now)}
        if st.form_submit_button(say("save"), type="primary"):
            try:
                shop.configure_simulation(config)
            except ShopkeeperError as error:
                st.error(plain(error.message))
            else:
                asking.tell("simulation", say("simulation_saved"))
                st.rerun()


def _regenerate(shop: ShopkeeperClient) -> None:
    st.markdown(f"**{say('regenerate')}**")
    st.caption(say("regenerate_note"))
    seed = st.number_input(say("seed"), 0, 2**31 - 1, None, key="simulation_seed", placeholder=say("by_itself"))
    if st.button(say("regenerate"), key="regenerate"):
        asking.confirm(say("regenerate_sure"), lambda: _begin(shop, seed))
    watching.watch(_JOB, ended=_made)


def _begin(shop: ShopkeeperClient, seed: int | None) -> None:
    st.session_state[_JOB] = shop.regenerate(seed=seed).job_id


def _made(_shop: ShopkeeperClient, job: Job) -> None:
    st.success(plain((job.result or {}).get("message", "")))
