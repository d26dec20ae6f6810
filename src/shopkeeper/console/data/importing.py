"""A person's own file: handed over, its guessed mapping looked at and changed, tried, stored, what was refused read."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking, paging, watching
from shopkeeper.console.connection import told
from shopkeeper.console.frame import clock
from shopkeeper.console.plain import plain
from shopkeeper.console.words import say
from shopkeeper.core.errors import Invalid
from shopkeeper.core.records import Job

_KINDS = ("guess", "orders", "sales", "users", "items", "events", "stock", "days", "calendar")
_UNUSED = ""
_A_PAGE = 8
_OPEN = "import_id"
_HANDED_OVER = "imports_handed_over"
_BLOCK = 1 << 20


def show(shop: ShopkeeperClient) -> None:
    asking.notice("import")
    _upload(shop)
    if _OPEN in st.session_state:
        with told():
            _one(shop, shop.get_import(st.session_state[_OPEN]))
    st.markdown(f"#### {say('imports')}")
    _listed(shop)


def _upload(shop: ShopkeeperClient) -> None:
    with st.form("upload"):
        where, what = st.columns([3, 1])
        before: int = st.session_state.setdefault(_HANDED_OVER, 0)
        file = where.file_uploader(say("file"), key=f"import_file_{before}")
        kind = what.selectbox(say("holds"), _KINDS, format_func=_kind, key="import_kind", help=say("holds_help"))
        if not st.form_submit_button(say("hand_over"), type="primary"):
            return
    if file is None:
        st.warning(say("no_file"))
        return
    with tempfile.TemporaryDirectory() as folder, st.spinner(say("hand_over")):
        path = Path(folder, Path(file.name).name)
        with path.open("wb") as out:
            shutil.copyfileobj(file, out, _BLOCK)
        try:
            made = shop.upload(path, None if kind == "guess" else kind)
        except Invalid as error:
            st.error(plain(error.message))
            return
    _free(file)
    st.session_state[_OPEN] = made["import_id"]
    st.session_state[_HANDED_OVER] = before + 1
    st.rerun()


def _free(file: UploadedFile) -> None:
    """The console's own copy, which it would keep in memory as long as the session lives."""
    context = get_script_run_ctx()
    if context is not None and isinstance(context.uploaded_file_mgr, MemoryUploadedFileManager):
        context.uploaded_file_mgr.remove_file(context.session_id, file.file_id)


def _kind(kind: str) -> str:
    return say("guess_it") if kind == "guess" else kind


def _one(shop: ShopkeeperClient, one: dict[str, Any]) -> None:
    with st.container(border=True):
        st.text(f"{one['filename']} · {one['kind']} · {one['rows']:,} {say('rows')} · {one['status']}")
        for note in one["notes"]:
            st.text(note)
        if one["status"] == "new":
            mapping = _mapping(shop, one)
            fine = _preview(shop, one["import_id"], mapping)
            if st.button(say("store_rows"), type="primary", disabled=not fine, key="import_start"):
                _start(shop, one["import_id"], mapping)
        if one["status"] == "failed" and st.button(say("go_on_import"), type="primary", key="import_go_on"):
            _start(shop, one["import_id"], {})
        job = f"import_{one['import_id']}_job"
        if one["job_id"]:
            st.session_state.setdefault(job, one["job_id"])
        watching.watch(job, ended=lambda shop, job: _stored(shop, one["import_id"], job))


def _mapping(shop: ShopkeeperClient, one: dict[str, Any]) -> dict[str, str | None]:
    """What differs from what was guessed: our field -> the file's column, None where it shall have none."""
    key = f"mapping_{one['import_id']}"
    added: dict[str, str] = st.session_state.setdefault(f"{key}_added", {})
    guesses = {guess["field"]: guess for guess in one["guesses"]}
    missing = shop.preview_import(one["import_id"])["missing"]
    known: dict[str, str] = {**one["mapping"], **dict.fromkeys(missing, _UNUSED), **added}
    st.markdown(f"**{say('mapping')}**")
    changed: dict[str, str | None] = {}
    places = st.columns(4)
    for place, (field, column) in enumerate(known.items()):
        if field.startswith("@"):
            continue
        choices = list(dict.fromkeys([column, *one["columns"], _UNUSED]))
        guess = guesses.get(field)
        about = f"{guess['confidence']:.0%}: {plain(guess['reason'])}" if guess else None
        label = f"{plain(field)} *" if field in missing else plain(field)
        said = places[place % 4].selectbox(label, choices, format_func=_column, key=f"{key}_{field}", help=about)
        if said != one["mapping"].get(field, _UNUSED):
            changed[field] = said or None
    _another(key, one["columns"], added)
    return changed


def _column(column: str) -> str:
    return column or say("unused")


def _another(key: str, columns: list[str], added: dict[str, str]) -> None:
    """A field that nothing was found for; one that there is not is answered with those that there are."""
    field, column, add = st.columns([2, 2, 1], vertical_alignment="bottom")
    name = field.text_input(say("another_field"), key=f"{key}_more", help=say("another_field_help")).strip()
    said = column.selectbox(say("column"), columns, key=f"{key}_more_column")
    if add.button(say("add"), disabled=not name, key=f"{key}_more_add", width="stretch"):
        added[name] = said
        st.rerun()


def _preview(shop: ShopkeeperClient, import_id: str, mapping: dict[str, str | None]) -> bool:
    """Shows the first rows as they would be stored. Whether they can be."""
    try:
        seen = shop.preview_import(import_id, mapping or None)
    except Invalid as error:
        st.error(plain(error.message))
        st.session_state[f"mapping_{import_id}_added"].clear()
        return False
    if seen["missing"]:
        st.warning(say("missing_fields", names=plain(", ".join(seen["missing"]))))
        return False
    for note in seen["notes"]:
        st.text(note)
    good, bad = st.columns([3, 2])
    with good:
        st.caption(say("first_rows"))
        st.dataframe(seen["rows"], hide_index=True, width="stretch", height=260)
    with bad:
        st.caption(say("refused_rows"))
        rows = [{say("row"): one["row"], say("reason"): one["reason"]} for one in seen["rejects"]]
        if rows:
            st.dataframe(rows, hide_index=True, width="stretch", height=260)
        else:
            st.success(say("none_refused"))
    return True


def _start(shop: ShopkeeperClient, import_id: str, mapping: dict[str, str | None]) -> None:
    queued = shop.start_import(import_id, mapping or None)
    st.session_state[f"import_{import_id}_job"] = queued["job_id"]
    st.rerun()


def _stored(shop: ShopkeeperClient, import_id: str, _job: Job) -> None:
    now = shop.get_import(import_id)
    counts = {
        say("stored"): now["accepted"],
        say("refused"): now["rejected"],
        say("known_already"): now["duplicates"],
        say("without_sale"): now["without_sale"],
    }
    for column, (name, count) in zip(st.columns(len(counts)), counts.items(), strict=True):
        column.metric(name, f"{count:,}")
    if now["rejected"]:
        file = shop.import_rejects(import_id).encode()
        st.download_button(say("rejects_file"), file, file_name=f"rejects-{import_id}.csv", mime="text/csv")


def _listed(shop: ShopkeeperClient) -> None:
    page = shop.imports(limit=_A_PAGE, cursor=paging.cursor("imports"))
    if not page.items:
        st.info(say("no_imports"))
        paging.turn("imports", None)
        return
    st.dataframe([_row(one) for one in page.items], hide_index=True, width="stretch")
    paging.turn("imports", page.next_cursor)
    names = {one["import_id"]: f"{one['filename']} · {clock(one['created_at'])}" for one in page.items}
    which, see, forget = st.columns([3, 1, 1], vertical_alignment="bottom")
    chosen = which.selectbox(say("one_import"), list(names), format_func=names.__getitem__, key="import_chosen")
    if see.button(say("see"), key="import_see", width="stretch"):
        st.session_state[_OPEN] = chosen
        st.rerun()
    if forget.button(say("delete"), key="import_delete", width="stretch"):
        asking.confirm(say("delete_import", name=plain(names[chosen])), lambda: _delete(shop, chosen, names[chosen]))


def _delete(shop: ShopkeeperClient, import_id: str, name: str) -> None:
    shop.delete_import(import_id)
    if st.session_state.get(_OPEN) == import_id:
        del st.session_state[_OPEN]
    asking.tell("import", say("deleted", name=plain(name)))


def _row(one: dict[str, Any]) -> dict[str, Any]:
    return {
        say("file"): one["filename"],
        say("holds"): one["kind"],
        say("rows"): one["rows"],
        say("state"): one["status"],
        say("stored"): one["accepted"],
        say("refused"): one["rejected"],
        say("time"): clock(one["created_at"]),
    }
