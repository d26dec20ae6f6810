"""Training a forecast model: a form of its parameters, what it learns while it learns, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import charts, watching
from shopkeeper.console.connection import told
from shopkeeper.console.words import say
from shopkeeper.core.records import AlgorithmInfo, Job
from shopkeeper.core.scopes import Scope

_JOB = "forecast_job"
_FIRST = ("auto", "lightgbm")
"""Offered first, where they are."""


def page(shop: ShopkeeperClient, scope: Scope, ids: Mapping[str, str | None]) -> None:
    """The form for one scope, which the stock paths know by `ids`; beside it the last training that was begun here."""
    algorithms = _algorithms(shop)
    name = st.selectbox(
        say("algorithm"), list(algorithms), format_func=lambda name: f"{name} · {algorithms[name].description}"
    )
    form, watch = st.columns([3, 2], gap="large")
    if name is not None:
        with form, told():
            _form(shop, algorithms[name], scope, ids)
    with watch:
        watching.watch(_JOB, curve=_curve, ended=_ended)


def _algorithms(shop: ShopkeeperClient) -> dict[str, AlgorithmInfo]:
    """Those that forecast, asked for once a session."""
    held: dict[str, AlgorithmInfo] | None = st.session_state.get("forecasters")
    if held is None:
        found = {one.name: one for one in shop.forecast_types()}
        held = {name: found[name] for name in sorted(found, key=lambda name: (name not in _FIRST, name))}
        st.session_state["forecasters"] = held
    return held


def _form(shop: ShopkeeperClient, algorithm: AlgorithmInfo, scope: Scope, ids: Mapping[str, str | None]) -> None:
    if not algorithm.available:
        st.warning(say("not_installed", needs=algorithm.needs or ""))
        return
    with st.form(f"train_{algorithm.name}"):
        params = _fields(algorithm)
        st.caption(say("train_note", scope=str(scope)))
        if st.form_submit_button(say("train"), type="primary"):
            task = shop.train_forecast(
                algorithm.name,
                product_id=ids["product_id"],
                store_id=ids["store_id"],
                category=ids["category"],
                epochs=params.get("epochs"),
                hyperparameters=params,
            )
            st.session_state[_JOB] = task["task_id"]


def _fields(algorithm: AlgorithmInfo) -> dict[str, Any]:
    """A field for every parameter that is a number, a choice or a switch. Only what was changed is sent."""
    changed: dict[str, Any] = {}
    columns = st.columns(3)
    shown = 0
    for name, rule in algorithm.params_schema.get("properties", {}).items():
        with columns[shown % len(columns)]:
            value = _field(f"{algorithm.name}.{name}", name, rule)
        if value is not None:
            shown += 1
            if value != rule.get("default"):
                changed[name] = value
    return changed


def _field(key: str, name: str, rule: dict[str, Any]) -> Any:
    """What stands in the field; None for a parameter without a simple one."""
    default, about = rule.get("default"), rule.get("description")
    if "enum" in rule:
        place = rule["enum"].index(default) if default in rule["enum"] else 0
        return st.selectbox(name, rule["enum"], index=place, help=about, key=key)
    if rule.get("type") == "boolean":
        return st.toggle(name, value=bool(default), help=about, key=key)
    if rule.get("type") == "integer" and default is not None:
        low, high = rule.get("minimum"), rule.get("maximum")
        return int(st.number_input(name, low, high, int(default), step=1, help=about, key=key))
    if rule.get("type") == "number" and default is not None:
        low, high = rule.get("minimum"), rule.get("maximum")
        low, high = (None if bound is None else float(bound) for bound in (low, high))
        return float(st.number_input(name, low, high, float(default), step=None, format="%g", help=about, key=key))
    return None


def _curve(shop: ShopkeeperClient, job: Job) -> None:
    points = shop.training_loss(job.job_id)
    if points:
        figure = charts.loss_chart([one["train"] for one in points], [one["val"] for one in points])
        st.plotly_chart(figure, width="stretch", height=260, config={"displayModeBar": False}, key="loss")


def _ended(_shop: ShopkeeperClient, job: Job) -> None:
    result = job.result or {}
    learned = say("learned", model=job.params.get("model", ""), version=result.get("version", "–"))
    if result.get("promoted"):
        st.success(f"{learned} {say('serves')}")
    else:
        st.info(f"{learned} {say('serves_not', reason=result.get('why_not', ''))}")
