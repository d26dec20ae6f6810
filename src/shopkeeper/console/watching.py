"""A job while it runs: how far it is, what it says, its curve; and what came of it. Used by whatever begins one."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking
from shopkeeper.console.connection import client, told
from shopkeeper.console.plain import plain
from shopkeeper.console.words import say
from shopkeeper.core.records import FINISHED, Job

Part = Callable[[ShopkeeperClient, Job], None]
_LOG_LINES = 200
_NAMING = ("algorithm", "model", "scope", "mode")
"""Parameters of a job that tell it from others."""


def nothing(_shop: ShopkeeperClient, _job: Job) -> None:
    """Where a job has nothing more to show."""


def watch(key: str, *, curve: Part = nothing, ended: Part = nothing) -> None:
    """The job whose id stands in the session under `key`, looked at once a second while it runs and not at all
    afterwards. `curve` shows what it learns; `ended` what came of it, when it was done."""
    if key not in st.session_state:
        return
    running = st.session_state.get(f"{key}_seen_end") != st.session_state[key]
    st.fragment(_look, run_every=1.0 if running else None)(key, curve, ended)


def _look(key: str, curve: Part, ended: Part) -> None:
    with told():
        shop = client()
        job = shop.job(st.session_state[key])
        about = " · ".join(str(job.params[name]) for name in _NAMING if name in job.params)
        running = job.status not in FINISHED
        new = st.session_state.get(f"{key}_seen_end") != job.job_id  # or has just ended, until the page is made anew
        head = st.container()
        if new:
            st.progress(min(max(job.progress.percent / 100, 0.0), 1.0), text=plain(job.progress.message) or None)
        learned = st.container()
        stop = new and st.button(say("cancel"), key=f"{key}_cancel", disabled=not running)
        head.markdown(f"**{plain(about or job.kind)}** · `{job.job_id}` · {state(job)}")
        with learned:
            curve(shop, job)
        if not running:
            _end(key, shop, job, ended)
        elif stop:
            shop.cancel_job(job.job_id)
        if st.toggle(say("log"), key=f"{key}_log"):
            st.code(shop.job_logs(job.job_id, _LOG_LINES) or "–", language=None, height=260)


def _end(key: str, shop: ShopkeeperClient, job: Job, ended: Part) -> None:
    if job.status == "failed":
        st.error(plain(job.error or say("job_failed")))
    elif job.status == "done":
        ended(shop, job)
    if st.session_state.get(f"{key}_seen_end") != job.job_id:
        st.session_state[f"{key}_seen_end"] = job.job_id
        asking.again()


def state(job: Job) -> str:
    """The state of a job in words."""
    words = {
        "queued": say("job_queued"),
        "running": say("job_running"),
        "done": say("job_done"),
        "failed": say("job_failed"),
        "cancelled": say("job_cancelled"),
    }
    return words[job.status]
