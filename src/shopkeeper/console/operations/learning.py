"""Learning on request: refresh, fused score, graph model. Forms as the server describes them; one job at a time is
watched, with its curve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import charts, watching
from shopkeeper.console.connection import told
from shopkeeper.console.fields import described, fields
from shopkeeper.console.plain import plain
from shopkeeper.console.words import say
from shopkeeper.core.records import Job

_JOB = "learning_job"
_REFRESH, _FUSION, _HGT = "/api/v1/graph/refresh", "/api/v1/operations/fusion/train", "/api/v1/operations/training/hgt"
_SAMPLE = ("sample_ratio", "random_seed")
_RETRAIN = ("retrain_epochs", "temperature", "learning_rate", "warm_start")
_TUNING = {"sample_size": 256, "epochs": 3, "lr": 1e-3, "batch_size": 64}
"""What the door of the fused score does where nothing is said; its form shows it."""
_TRAINING = ("epochs", "train_ratio", "val_ratio", "negative_ratio", "temperature", "learning_rate", "seed")
_PARTS = ("metis_num_parts", "metis_imbalance_factor", "metis_seed", "metis_partition_id", "metis_recursive")
_PLAIN = {"displayModeBar": False}


def show(shop: ShopkeeperClient) -> None:
    forms, watch = st.columns([3, 2], gap="large")
    with forms:
        titles = {"refresh": say("refresh"), "fusion": say("fused_score"), "hgt": say("graph_model")}
        which = st.radio(
            say("learning"), list(titles), format_func=titles.__getitem__, horizontal=True, key="learning_form",
            label_visibility="collapsed",
        )  # fmt: skip
        with st.container(border=True), told():
            {"fusion": fusion_form, "hgt": hgt_form}.get(which, refresh_form)(shop)
    with watch:
        watching.watch(_JOB, curve=_curve, ended=_ended)


def refresh(shop: ShopkeeperClient) -> None:
    """The form with its job below it, for other pages."""
    refresh_form(shop)
    watching.watch(_JOB, curve=_curve, ended=_ended)


def refresh_form(shop: ShopkeeperClient) -> None:
    """All vectors anew; what only a sample or a new model reads is asked for there alone."""
    rules = described(shop, _REFRESH)
    st.caption(say("refresh_note"))
    form = fields("refresh", rules, ("mode", "graph_scope"), columns=2)
    asked = [
        *(_SAMPLE if form["graph_scope"] == "sampled" else ()),
        "include_edge_timestamp",
        *(_RETRAIN if form["mode"] == "full_retrain" else ()),
        "fusion_epochs",
    ]
    form |= fields("refresh", rules, asked)
    _begin("refresh", lambda: shop.refresh(**form))


def fusion_form(shop: ShopkeeperClient) -> None:
    st.caption(say("fusion_note"))
    form = fields("fusion", described(shop, _FUSION), list(_TUNING), given=_TUNING, columns=2)
    _begin("fusion", lambda: shop.train_fusion(**form))


def hgt_form(shop: ShopkeeperClient) -> None:
    rules = described(shop, _HGT)
    st.caption(say("hgt_note"))
    form: dict[str, Any] = fields("hgt", rules, ("training_mode",), columns=2)
    asked = (*_TRAINING, *(_PARTS if form["training_mode"] == "metis_sampling" else ()))
    form |= fields("hgt", rules, asked)
    _begin("hgt", lambda: shop.train_hgt(**form))


def _begin(key: str, do: Callable[[], Job]) -> None:
    if st.button(say("begin"), type="primary", key=f"{key}_begin"):
        st.session_state[_JOB] = do().job_id


def _curve(shop: ShopkeeperClient, job: Job) -> None:
    """The loss, where this job is the one that its channel speaks of."""
    channels = shop.operations_metrics()
    for name in ("hgt_training", "fusion_training"):
        channel = channels.get(name) or {}
        if channel.get("job_id") == job.job_id and len(channel.get("loss") or ()) > 1:
            figure = charts.loss_chart(channel["loss"], [])
            st.plotly_chart(figure, width="stretch", height=260, config=_PLAIN, key=f"{name}_loss")


def _ended(_shop: ShopkeeperClient, job: Job) -> None:
    result = job.result or {}
    if result.get("promoted"):
        st.success(f"{say('job_over')} {say('serves')}")
    elif result.get("why_not"):
        st.info(f"{say('job_over')} {say('serves_not', reason=plain(result['why_not']))}")
    else:
        st.success(say("job_over"))
