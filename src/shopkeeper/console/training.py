"""Training a forecast model: a form of its parameters, what it learns while it learns, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import charts, forms, watching
from shopkeeper.console.algorithms import algorithms
from shopkeeper.console.connection import told
from shopkeeper.console.plain import plain
from shopkeeper.console.words import say
from shopkeeper.core.errors import ShopkeeperError, Unavailable
from shopkeeper.core.records import AlgorithmInfo, Job
from shopkeeper.core.scopes import Scope

_JOB = "forecast_job"
_FIRST = ("auto", "lightgbm")
"""Offered first, where they are."""


def page(shop: ShopkeeperClient, scope: Scope, ids: Mapping[str, str | None]) -> None:
    """The form for one scope, which the stock paths know by `ids`; beside it the last training that was begun here."""
    known = _algorithms(shop)
    name = st.selectbox(say("algorithm"), list(known), format_func=lambda name: f"{name} · {known[name].description}")
    form, watch = st.columns([3, 2], gap="large")
    if name is not None:
        with form, told():
            _form(shop, known[name], scope, ids)
    with watch:
        watching.watch(_JOB, curve=_curve, ended=ended)


def _algorithms(shop: ShopkeeperClient) -> dict[str, AlgorithmInfo]:
    """Those that forecast."""
    found = {one.name: one for one in algorithms(shop) if one.task == "forecast"}
    return {name: found[name] for name in sorted(found, key=lambda name: (name not in _FIRST, name))}


def _form(shop: ShopkeeperClient, algorithm: AlgorithmInfo, scope: Scope, ids: Mapping[str, str | None]) -> None:
    if not algorithm.available:
        st.warning(say("not_installed", needs=plain(algorithm.needs or "")))
        return
    with st.form(f"train_{algorithm.name}"):
        changed, rest = forms.fields(algorithm)
        st.caption(say("train_note", scope=plain(str(scope))))
        if st.form_submit_button(say("train"), type="primary"):
            try:
                params = forms.together(changed, rest)
                task = shop.train_forecast(
                    algorithm.name,
                    product_id=ids["product_id"],
                    store_id=ids["store_id"],
                    category=ids["category"],
                    epochs=params.get("epochs"),
                    hyperparameters=params,
                )
            except Unavailable:
                raise
            except ShopkeeperError as error:
                st.error(plain(error.message))
            else:
                st.session_state[_JOB] = task["task_id"]


def _curve(shop: ShopkeeperClient, job: Job) -> None:
    points = shop.training_loss(job.job_id)
    if points:
        figure = charts.loss_chart([one["train"] for one in points], [one["val"] for one in points])
        st.plotly_chart(figure, width="stretch", height=260, config={"displayModeBar": False}, key="loss")


def ended(_shop: ShopkeeperClient, job: Job) -> None:
    """Which version it is, and whether it serves."""
    result = job.result or {}
    learned = say("learned", model=plain(job.params.get("model", "")), version=result.get("version", "–"))
    if result.get("promoted"):
        st.success(f"{learned} {say('serves')}")
    else:
        st.info(f"{learned} {say('serves_not', reason=plain(result.get('why_not', '')))}")
