"""What people type into a form, as the server takes it: rows of small tables, and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import streamlit as st


def parsed(text: str) -> Any:
    """What is no JSON goes to the server as it is, which says what it expects."""
    try:
        return json.loads(text) if text.strip() else {}
    except ValueError:
        return text


def rows(now: list[dict[str, Any]], fields: Sequence[str], key: str, **columns: Any) -> list[dict[str, Any]]:
    """A small table that people add to, change and take from. Rows without their first field are not meant yet."""
    import pandas as pd

    table = pd.DataFrame(now, columns=list(fields))
    changed = st.data_editor(
        table, num_rows="dynamic", hide_index=True, width="stretch", column_config=columns, key=key
    )
    found = changed.astype(object).where(changed.notna(), None).to_dict("records")
    return [_whole({name: row[name] for name in fields}) for row in found if row[fields[0]]]


def _whole(row: dict[str, Any]) -> dict[str, Any]:
    """A column with a gap makes numbers of pieces into fractions; they are whole again."""
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value for name, value in row.items()
    }
