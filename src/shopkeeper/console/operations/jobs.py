"""All jobs, newest first, page by page; one of them looked at with its progress, log and result."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, get_args

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import paging, watching
from shopkeeper.console.connection import told
from shopkeeper.console.words import say
from shopkeeper.core.records import Job, JobStatus

_EVERY_S = 3.0
_A_PAGE = 15
_NEWEST = 100
"""So many can be chosen by name; the id of any other is typed."""
_JOB = "looked_at_job"


def show(shop: ShopkeeperClient) -> None:
    kind, state, _ = st.columns([2, 2, 3])
    wanted = kind.text_input(say("kind"), key="jobs_kind").strip() or None
    status = state.selectbox(say("state"), ["", *get_args(JobStatus)], format_func=_state_name, key="jobs_state")
    st.fragment(_listed, run_every=_EVERY_S)(shop, wanted, status or None)
    newest = {job.job_id: job for job in shop.jobs(kind=wanted, status=status or None, limit=_NEWEST)}
    chosen = st.selectbox(
        say("one_job"), list(newest), None, format_func=lambda id: _name(id, newest.get(id)), key="jobs_one",
        accept_new_options=True, placeholder=say("one_job_help"),
    )  # fmt: skip
    if chosen:
        st.session_state[_JOB] = chosen.strip()
        watching.watch(_JOB, ended=_result)


def _name(job_id: str, job: Job | None) -> str:
    """What tells a job from others; of an id that was typed, the id."""
    return job_id if job is None else " · ".join(filter(None, (job.kind, job.params.get("model"), job_id)))


def _listed(shop: ShopkeeperClient, kind: str | None, status: str | None) -> None:
    key = f"jobs_{kind}_{status}"
    with told():
        page = shop.jobs_page(kind=kind, status=status, limit=_A_PAGE, cursor=paging.cursor(key))
        if not page.items:
            st.info(say("no_jobs"))
            paging.turn(key, None)
            return
        bar = st.column_config.ProgressColumn(min_value=0, max_value=100, format="%.0f %%")
        rows = [_row(job) for job in page.items]
        st.dataframe(rows, hide_index=True, width="stretch", column_config={say("progress"): bar})
        paging.turn(key, page.next_cursor)


def _row(job: Job) -> dict[str, Any]:
    return {
        say("job_id"): job.job_id,
        say("kind"): job.kind,
        say("model"): job.params.get("model", ""),
        say("state"): watching.state(job),
        say("progress"): 100.0 if job.status == "done" else job.progress.percent,
        say("note"): job.error or job.progress.message,
        say("started_at"): _time(job.started_at),
        say("finished_at"): _time(job.finished_at),
        say("by"): job.requested_by,
    }


def _time(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}" if time else ""


def _state_name(status: str) -> str:
    if not status:
        return say("any")
    return watching.state(Job(job_id="", job_url="", kind="", status=status))  # type: ignore[arg-type]


def _result(_shop: ShopkeeperClient, job: Job) -> None:
    if job.result:
        with st.expander(say("result")):
            st.code(json.dumps(job.result, indent=1, ensure_ascii=False, default=str), language="json", height=300)
