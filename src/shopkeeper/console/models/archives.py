"""Versions as files: out of the shop, into it, and gone."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking
from shopkeeper.console.connection import told
from shopkeeper.console.models.chosen import version as choose
from shopkeeper.console.words import say
from shopkeeper.core.errors import ShopkeeperError, Unavailable
from shopkeeper.core.records import ModelInfo, Version

_GONE = "removed"


def show(shop: ShopkeeperClient, model: ModelInfo) -> None:
    asking.notice("models")
    out, bring = st.columns(2, gap="large")
    with out, told():
        versions = [one for one in shop.versions(model.name, scope=model.scope) if one.status != _GONE]
        one = choose(say("version"), versions, f"archive_{model.name}_{model.scope}")
        if one is not None:
            _one(shop, one)
    with bring, told():
        _bring_in(shop, model)


def _one(shop: ShopkeeperClient, one: Version) -> None:
    st.caption(say("bytes_in_all", n=f"{sum(file.bytes for file in one.files):,}"))
    export, remove = st.columns(2)
    if export.button(say("export_version"), key="archive_export", width="stretch"):
        name = f"{one.model}-v{one.version}.tar.gz"
        st.download_button(say("download"), _archive(shop, one, name), name, "application/gzip", key="archive_download")
    if remove.button(say("delete"), key="archive_delete", width="stretch"):
        question = say("delete_version", model=one.model, version=one.version)
        asking.confirm(question, lambda: _delete(shop, one))


def _archive(shop: ShopkeeperClient, one: Version, name: str) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        shop.export_version(one.model, one.version, path, scope=one.scope)
        return path.read_bytes()


def _delete(shop: ShopkeeperClient, one: Version) -> None:
    shop.delete_version(one.model, one.version, scope=one.scope)
    asking.tell("models", say("version_deleted", model=one.model, version=one.version))


def _bring_in(shop: ShopkeeperClient, model: ModelInfo) -> None:
    given = st.file_uploader(say("import_version", model=model.name), ["gz", "tgz"], key="archive_import")
    st.caption(say("import_note"))
    if st.button(say("import_do"), disabled=given is None, key="archive_import_do") and given is not None:
        try:
            made = _imported(shop, model, given)
        except Unavailable:
            raise
        except ShopkeeperError as error:
            st.error(error.message)
            return
        st.success(say("imported", model=made.model, version=made.version))


def _imported(shop: ShopkeeperClient, model: ModelInfo, given: Any) -> Version:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "version.tar.gz"
        path.write_bytes(given.getvalue())
        return shop.import_version(model.name, path, scope=model.scope)
