"""Train: any algorithm of any task; what it learns while it learns, and what the gate says in the end."""

from __future__ import annotations

from typing import Any

import msgspec
import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import forms, gates, losses, training, watching
from shopkeeper.console.algorithms import algorithms
from shopkeeper.console.connection import client, told
from shopkeeper.console.frame import clock
from shopkeeper.console.models.chosen import named
from shopkeeper.console.plain import plain
from shopkeeper.console.words import say
from shopkeeper.core.errors import Invalid, NotFound, ShopkeeperError, Unavailable
from shopkeeper.core.records import AlgorithmInfo, Gate, Job

_JOB = "train_job"
_LISTED = 30


def page() -> None:
    with told():
        shop = client()
        algorithm = _chosen(shop)
        form, watch = st.columns([3, 2], gap="large")
        with form, told():
            _form(shop, algorithm)
        with watch, told():
            _earlier(shop)
            watching.watch(_JOB, curve=losses.show, ended=_ended)


def _chosen(shop: ShopkeeperClient) -> AlgorithmInfo:
    known = algorithms(shop)
    tasks = sorted({one.task for one in known})
    which, what = st.columns([1, 3])
    task = which.selectbox(say("task"), tasks, key="train_task")
    by_name = {one.name: one for one in known if one.task == task}
    name = what.selectbox(
        say("algorithm"), list(by_name), key=f"train_algorithm_{task}",
        format_func=lambda name: f"{name} · {by_name[name].description}" if name in by_name else name,
    )  # fmt: skip
    return by_name[str(name)]


def _form(shop: ShopkeeperClient, algorithm: AlgorithmInfo) -> None:
    if not algorithm.available:
        st.warning(say("not_installed", needs=algorithm.needs or ""))
        return
    names, scopes = _names(shop, algorithm)
    scoped = algorithm.task == "forecast"
    model, kind, *scope = st.columns(3 if scoped else 2)
    name = model.selectbox(
        say("model"), names, accept_new_options=True, help=say("model_name_help"), key=f"train_model_{algorithm.name}"
    )
    of = "all"
    if scoped:
        of = scope[0].selectbox(
            say("scope"), scopes, accept_new_options=True, help=say("scope_help"), key="train_scope"
        )
    begin = _beginning(shop, algorithm, str(name), str(of))
    source = _source(kind.selectbox(say("rows_from"), ["shop", "file"], format_func=_source_name, key="train_source"))
    with st.form(f"train_any_{algorithm.name}"):
        changed, rest = forms.fields(algorithm)
        left, right = st.columns(2)
        seed = int(left.number_input(say("seed"), 0, 2**31 - 1, 42, step=1, help=say("seed_help"), key="train_seed"))
        label = right.text_input(say("called"), key="train_label_of", help=say("called_help")).strip()
        promote = st.toggle(say("promote_if_better"), value=True, key="train_promote")
        if st.form_submit_button(say("train"), type="primary"):
            more = {"start_from": begin, "version": label or None}
            _begin(shop, algorithm, changed, rest, model=str(name), scope=str(of), source=source, seed=seed,
                   promote=promote, **{field: value for field, value in more.items() if value is not None})  # fmt: skip


def _names(shop: ShopkeeperClient, algorithm: AlgorithmInfo) -> tuple[list[str], list[str]]:
    """Names that a model of this algorithm may have, first one that has them by it; and scopes that are in use."""
    models = shop.models(algorithm.task)
    own = [one.name for one in models if one.algorithm == algorithm.name]
    names = list(dict.fromkeys([*own, algorithm.name, *(one.name for one in models)]))
    return names, list(dict.fromkeys(["all", *(one.scope for one in models)]))


def _beginning(shop: ShopkeeperClient, algorithm: AlgorithmInfo, model: str, scope: str) -> int | None:
    """The version whose training goes on, where the algorithm can and there is one. None: anew."""
    if not algorithm.continues:
        return None
    try:
        found = shop.versions(model, scope=scope)
    except (NotFound, Invalid):  # a name that is being typed
        return None
    own = {one.version: one for one in found if one.algorithm == algorithm.name and one.status == "ready"}
    if not own:
        return None
    return st.selectbox(
        say("begin_with"), [None, *own], help=say("begin_with_help"), key=f"train_begin_{model}_{scope}",
        format_func=lambda number: say("begin_anew") if number not in own else named(own[number]),
    )  # fmt: skip


def _source_name(kind: str) -> str:
    return {"shop": say("from_shop"), "file": say("from_file")}[kind]


def _source(kind: str | None) -> dict[str, Any] | None:
    """Of the shop's own log, or a file on the server."""
    if kind != "file":
        return None
    path, label = st.columns([2, 1])
    given = {
        "path": path.text_input(say("path"), key="train_path", help=say("path_help")).strip(),
        "label": label.text_input(say("label_column"), key="train_label", help=say("label_help")).strip(),
    }
    return {"kind": "file", **{name: value for name, value in given.items() if value}}


def _begin(
    shop: ShopkeeperClient, algorithm: AlgorithmInfo, changed: dict[str, Any], rest: str, *, model: str, **asked: Any
) -> None:
    try:
        params = forms.together(changed, rest)
        st.session_state[_JOB] = shop.train(model, algorithm.name, params=params, **asked).job_id
    except Unavailable:
        raise
    except ShopkeeperError as error:
        st.error(_wrong(error))


def _wrong(error: ShopkeeperError) -> str:
    """The server's words, and the field that they are about where they do not name it."""
    field = (error.field or "").rpartition(".")[2]
    told = plain(error.message)
    return told if not field or field in error.message else f"**{plain(field)}**: {told}"


def _earlier(shop: ShopkeeperClient) -> None:
    """Trainings by anybody, the newest first; the one that is chosen is looked at."""
    jobs = {job.job_id: job for job in shop.jobs(kind="train", limit=_LISTED)}
    held = st.session_state.get(_JOB)
    if held is not None and held not in jobs:
        jobs[held] = shop.job(held)
    if not jobs:
        st.info(say("no_trainings"))
        return
    st.session_state["train_looked"] = held if held is not None else next(iter(jobs))
    st.selectbox(
        say("trainings"), list(jobs), key="train_looked", on_change=_look,
        format_func=lambda id: _title(jobs[id]) if id in jobs else id,
    )  # fmt: skip
    st.session_state[_JOB] = st.session_state["train_looked"]


def _look() -> None:
    st.session_state[_JOB] = st.session_state["train_looked"]


def _title(job: Job) -> str:
    begun = clock(None if job.created_at is None else job.created_at.isoformat())
    return f"{job.params.get('model', job.job_id)} · {begun} · {watching.state(job)}"


def _ended(shop: ShopkeeperClient, job: Job) -> None:
    training.ended(shop, job)
    result = job.result or {}
    gate = None if result.get("gate") is None else msgspec.convert(result["gate"], Gate)
    gates.show(gate)
    gates.measures(result.get("metrics", {}), result.get("champion_metrics"), gate)
