"""Visits to the simulated shop: an agent learns in them, or is measured. One job of an agent is watched at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import charts, losses, watching
from shopkeeper.console.fields import described, fields
from shopkeeper.console.models.trying import tried
from shopkeeper.console.plain import plain
from shopkeeper.console.words import say
from shopkeeper.core.records import Job

SESSION: Final[Mapping[str, Any]] = {"states": "vector", "state_size": 16, "action_size": 4}
"""What such a visit is to an agent; of other sizes it cannot be trained there."""
_DOOR = "/api/v1/qlearning/agents/{agent_id}"
_PLAIN = {"displayModeBar": False}


def show(shop: ShopkeeperClient, agent: Mapping[str, Any]) -> None:
    st.markdown(f"**{say('simulated_visits')}**")
    if any(agent["config"][name] != value for name, value in SESSION.items()):
        st.caption(say("no_simulated_visits"))
        return
    st.caption(say("simulated_visits_note"))
    key = f"agent_job_{agent['agent_id']}"
    if agent["job_id"]:  # begun here or elsewhere
        st.session_state[key] = agent["job_id"]
    busy = key in st.session_state and st.session_state.get(f"{key}_seen_end") != st.session_state[key]
    with st.container(border=True):
        _train(shop, agent["agent_id"], key, busy=busy)
    with st.container(border=True):
        _measure(shop, agent["agent_id"], key, busy=busy)
    watching.watch(key, curve=_curve, ended=_ended)


def _train(shop: ShopkeeperClient, agent_id: str, key: str, *, busy: bool) -> None:
    rules = described(shop, f"{_DOOR}/training/start")
    form = fields(f"{agent_id}_train", rules, ("max_episodes", "patience"), columns=2)
    if st.button(say("train"), type="primary", disabled=busy, key=f"{agent_id}_train"):
        _begin(key, lambda: shop.train_agent(agent_id, **form))


def _measure(shop: ShopkeeperClient, agent_id: str, key: str, *, busy: bool) -> None:
    form = fields(f"{agent_id}_measure", described(shop, f"{_DOOR}/evaluation"), ("num_episodes",), columns=2)
    if st.button(say("measure_agent"), disabled=busy, key=f"{agent_id}_measure"):
        _begin(key, lambda: shop.evaluate_agent(agent_id, **form))


def _begin(key: str, do: Callable[[], Job]) -> None:
    def begun() -> None:
        st.session_state[key] = do().job_id

    if tried(begun):
        st.rerun()


def _curve(shop: ShopkeeperClient, job: Job) -> None:
    """The mean reward as it learned; measuring has none."""
    if job.kind != "train_agent":
        return
    points = losses.by_epoch(shop, job)
    numbers = sorted(points)
    if len(numbers) > 1:
        lines = {say("mean_reward"): [points[number].get("mean_reward") for number in numbers]}
        figure = charts.lines_chart(numbers, lines, say("mean_reward"), x_title=say("episodes"), zero=False)
        st.plotly_chart(figure, width="stretch", height=240, config=_PLAIN, key=f"rewards_{job.job_id}")


def _ended(_shop: ShopkeeperClient, job: Job) -> None:
    result = job.result or {}
    n, mean = f"{result.get('episodes', 0):,}", f"{result.get('mean_reward', 0.0):.2f}"
    if job.kind != "train_agent":
        st.success(plain(say("agent_measured", n=n, mean=mean, std=f"{result.get('std_reward', 0.0):.2f}")))
    elif result.get("stopped") == "patience":
        st.success(plain(say("agent_trained_enough", n=n, mean=mean)))
    else:
        st.success(plain(say("agent_trained", n=n, mean=mean)))
