"""Schedules: what the shop does by itself and when; made, changed, run now and deleted."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking, watching
from shopkeeper.console.holding import held, let_go
from shopkeeper.console.plain import plain
from shopkeeper.console.words import say
from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.core.schedules import Schedule

_NEW = ""
_JOB = "schedule_job"
_KINDS = ("train", "refresh", "backtest", "cleanup", "upload")
"""Those of the shop itself; a kind that was brought along is typed."""


def show(shop: ShopkeeperClient) -> None:
    known = {one.name: one for one in shop.schedules()}
    st.dataframe([_row(one) for one in known.values()], hide_index=True, width="stretch")
    asking.notice("schedule")
    if st.session_state.get("schedule_made") in known:  # what was just made is what is looked at
        st.session_state["schedule_chosen"] = st.session_state.pop("schedule_made")
    name = st.selectbox(
        say("edit"), [*known, _NEW], format_func=lambda name: name or say("new_schedule"), key="schedule_chosen"
    )
    editor, watch = st.columns([3, 2], gap="large")
    with editor:
        chosen = known.get(name or _NEW) or Schedule(name=_NEW, cron="0 3 * * *", kind="refresh")
        _editor(shop, held("schedule", chosen.name, chosen, chosen.version))
    with watch:
        if chosen.name:
            _last(chosen)
        watching.watch(_JOB)


def _editor(shop: ShopkeeperClient, one: Schedule) -> None:
    key = f"schedule_{one.name}_{one.version}"  # another version, or another schedule, begins with what it says
    with st.form(key):
        left, right = st.columns(2)
        name = one.name or left.text_input(say("name"), key=f"{key}_name").strip()
        cron = right.text_input(say("cron"), one.cron, key=f"{key}_cron", help=say("cron_help")).strip()
        kinds = list(dict.fromkeys((one.kind, *_KINDS)))
        kind = left.selectbox(say("kind"), kinds, key=f"{key}_kind", accept_new_options=True)
        enabled = right.toggle(say("enabled"), one.enabled, key=f"{key}_enabled", help=say("enabled_help"))
        params = st.text_area(say("params"), _text(one.params), key=f"{key}_params", help=say("params_help"))
        condition = st.text_area(
            say("schedule_condition"), _text(one.condition), key=f"{key}_condition", help=say("schedule_condition_help")
        )
        retries = left.number_input(say("retries"), 0, 100, one.retries, key=f"{key}_retries")
        wait = right.number_input(say("retry_wait"), 1.0, 86_400.0, one.retry_wait_s, step=60.0, key=f"{key}_wait")
        if st.form_submit_button(say("save"), type="primary"):
            said = {"cron": cron, "kind": kind, "enabled": enabled, "retries": int(retries), "retry_wait_s": wait}
            _save(shop, one, name, said, params, condition)
    if one.name:
        run, remove = st.columns(2)
        if run.button(say("run_now"), key=f"{key}_run", width="stretch"):
            st.session_state[_JOB] = shop.run_schedule(one.name).job_id
        if remove.button(say("delete"), key=f"{key}_delete", width="stretch"):
            asking.confirm(say("delete_schedule", name=plain(one.name)), lambda: _delete(shop, one))


def _save(shop: ShopkeeperClient, one: Schedule, name: str, said: dict[str, Any], params: str, condition: str) -> None:
    try:
        said |= {"params": _object(params) or {}, "condition": _object(condition)}
        if one.name:
            stored = shop.change_schedule(Schedule(name=name, **said), read_at=one.updated_at)
        else:
            stored = shop.create_schedule(name, **said)
            st.session_state["schedule_made"] = stored.name
    except ValueError as error:
        st.error(say("no_json", reason=plain(str(error))))
        return
    except ShopkeeperError as error:
        st.error(say("lost_race") if error.code == "stale" else plain(error.message))
        return
    let_go("schedule")
    asking.tell("schedule", say("saved", name=plain(stored.name), version=stored.version))
    st.rerun()


def _delete(shop: ShopkeeperClient, one: Schedule) -> None:
    shop.delete_schedule(one.name, read_at=one.updated_at)
    let_go("schedule")
    asking.tell("schedule", say("deleted", name=plain(one.name)))


def _last(one: Schedule) -> None:
    """Why it ran or did not, the last time."""
    state = one.state
    if state.run is not None:
        st.info(f"{say('is_running')} · `{state.run.job_id or '–'}` {plain(state.run.problem or '')}")
    if state.last is not None:
        st.markdown(f"**{say('last_run')}** · {state.last.time:%Y-%m-%d %H:%M} · {state.last.status}")
        if state.last.error:
            st.code(state.last.error, language=None, wrap_lines=True)
    if state.check is not None:
        st.markdown(f"**{say('last_check')}** · {state.check.time:%Y-%m-%d %H:%M}")
        st.code(state.check.why, language=None, wrap_lines=True)


def _text(value: dict[str, Any] | None) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) if value else ""


def _object(text: str) -> dict[str, Any] | None:
    """A JSON object, None of an empty text. Raises ValueError."""
    if not text.strip():
        return None
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("a JSON object is expected")
    return found


def _row(one: Schedule) -> dict[str, Any]:
    last = one.state.last
    return {
        say("name"): one.name,
        say("enabled"): one.enabled,
        say("cron"): one.cron,
        say("kind"): one.kind,
        say("params"): json.dumps(one.params, ensure_ascii=False),
        say("schedule_condition"): json.dumps(one.condition, ensure_ascii=False) if one.condition else "",
        say("next_run"): f"{one.next_run:%Y-%m-%d %H:%M} UTC" if one.next_run else "",
        say("last_run"): f"{last.time:%Y-%m-%d %H:%M} UTC" if last else "",
        say("state"): last.status if last else "",
    }
