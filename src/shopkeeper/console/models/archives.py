"""Versions as files: out of the shop, into it, and gone."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking
from shopkeeper.console.connection import told
from shopkeeper.console.models import chosen
from shopkeeper.console.models.chosen import version as choose
from shopkeeper.console.models.trying import tried
from shopkeeper.console.plain import plain
from shopkeeper.console.words import say
from shopkeeper.core.records import ModelInfo, Version

_GONE = "removed"


def show(shop: ShopkeeperClient, model: ModelInfo) -> None:
    asking.notice("models")
    out, bring = st.columns(2, gap="large")
    with out, told():
        st.markdown(f"**{say('one_version')}**")
        versions = [one for one in shop.versions(model.name, scope=model.scope) if one.status != _GONE]
        one = choose(say("version"), versions, f"archive_{model.name}_{model.scope}")
        if one is not None:
            _one(shop, one)
    with bring, told():
        _bring_in(shop, model)
    st.divider()
    with told():
        _whole(shop, model)


def _one(shop: ShopkeeperClient, one: Version) -> None:
    st.caption(say("bytes_in_all", n=f"{sum(file.bytes for file in one.files):,}"))
    export, remove = st.columns(2)
    if export.button(say("export_version"), key="archive_export", width="stretch"):
        name = f"{one.model}-v{one.version}.tar.gz"
        st.download_button(say("download"), _archive(shop, one, name), name, "application/gzip", key="archive_download")
    serves = "champion" in one.aliases
    if remove.button(
        say("delete"), key="archive_delete", width="stretch", disabled=serves,
        help=say("serving_stays") if serves else None,
    ):  # fmt: skip
        question = say("delete_version", model=one.model, version=one.version)
        if one.aliases:
            question += " " + say("names_it_has", names=", ".join(one.aliases))
        asking.confirm(question, lambda: _delete(shop, one))


def _whole(shop: ShopkeeperClient, model: ModelInfo) -> None:
    """The model with all its versions; one that serves goes only when a person has read what stops."""
    st.markdown(f"**{say('whole_model')}**")
    st.caption(say("whole_model_note", n=model.versions))
    serves = "champion" in model.aliases
    if st.button(say("delete_model"), key="archive_delete_model", icon=":material/delete_forever:"):
        question = say("delete_model_sure", model=_named(model), n=model.versions)
        if serves:
            question += " " + say("delete_model_serves", version=model.aliases["champion"])
        asking.confirm(question, lambda: _delete_model(shop, model, serves=serves))


def _delete_model(shop: ShopkeeperClient, model: ModelInfo, *, serves: bool) -> None:
    """By force only where the question said that it serves."""
    shop.delete_model(model.name, scope=model.scope, force=serves)
    asking.tell("models", say("deleted", name=_named(model)))


def _named(model: ModelInfo) -> str:
    return plain(chosen.title((model.name, model.scope)))


def _archive(shop: ShopkeeperClient, one: Version, name: str) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        shop.export_version(one.model, one.version, path, scope=one.scope)
        return path.read_bytes()


def _delete(shop: ShopkeeperClient, one: Version) -> None:
    shop.delete_version(one.model, one.version, scope=one.scope, force=bool(one.aliases))
    asking.tell("models", say("version_deleted", model=one.model, version=one.version))


def _bring_in(shop: ShopkeeperClient, model: ModelInfo) -> None:
    st.markdown(f"**{say('bring_one_in')}**")
    key = f"archive_import_{model.name}_{model.scope}"  # a file that was chosen for one model is none for another
    given = st.file_uploader(say("import_version", model=model.name), ["gz", "tgz"], key=key)
    st.caption(say("import_note"))
    if st.button(say("import_do"), disabled=given is None, key="archive_import_do") and given is not None:
        made: list[Version] = []
        if tried(lambda: made.append(_imported(shop, model, given))):
            st.success(say("imported", model=made[0].model, version=made[0].version))


def _imported(shop: ShopkeeperClient, model: ModelInfo, given: Any) -> Version:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "version.tar.gz"
        path.write_bytes(given.getvalue())
        return shop.import_version(model.name, path, scope=model.scope)
