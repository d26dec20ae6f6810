"""Imports of a person's own files: hand over, look, correct, begin, read what was refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from shopkeeper.client.wire import Page, Wire, escaped

_IMPORTS = "/api/v1/data/imports"


class ImportDoors(Wire):
    """One method a door."""

    def upload(self, path: Path, kind: str | None = None, mapping: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Hands a file over; the answer shows what was guessed about it. `start_import` then begins."""
        fields = {"kind": kind} if kind else {}
        if mapping:
            fields["mapping"] = msgspec.json.encode(mapping).decode()
        return self.send_file(_IMPORTS, path, dict[str, Any], fields)

    def preview_import(
        self, import_id: str, mapping: Mapping[str, str | None] | None = None, kind: str | None = None
    ) -> dict[str, Any]:
        body = {"mapping": mapping, "kind": kind}
        return self.call("POST", f"{_IMPORTS}/{escaped(import_id)}/preview", dict[str, Any], body)

    def start_import(
        self, import_id: str, mapping: Mapping[str, str | None] | None = None, kind: str | None = None
    ) -> dict[str, Any]:
        body = {"mapping": mapping, "kind": kind}
        return self.call("POST", f"{_IMPORTS}/{escaped(import_id)}/start", dict[str, Any], body)

    def imports(self, *, limit: int = 50, cursor: str | None = None) -> Page[dict[str, Any]]:
        """Newest first."""
        return self.get(_IMPORTS, Page[dict[str, Any]], {"limit": limit, "cursor": cursor})

    def get_import(self, import_id: str) -> dict[str, Any]:
        return self.get(f"{_IMPORTS}/{escaped(import_id)}", dict[str, Any])

    def import_rejects(self, import_id: str) -> str:
        """CSV: row, reason, raw columns."""
        return self.send_request("GET", f"{_IMPORTS}/{escaped(import_id)}/rejects", repeat=True).text

    def delete_import(self, import_id: str) -> None:
        """The import and its file are forgotten, not the rows it brought. Raises NotFound, Conflict while it runs."""
        self.send_request("DELETE", f"{_IMPORTS}/{escaped(import_id)}")
