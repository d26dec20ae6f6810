"""Every text of the console, by key, from one catalogue a language. `say("key")` gives it in the session's language."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import streamlit as st

LANGUAGES = {"en": "English", "zh": "中文"}


@cache
def catalogue(code: str) -> dict[str, str]:
    """The texts of one language."""
    found: dict[str, str] = json.loads((Path(__file__).parent / "catalogue" / f"{code}.json").read_text("utf-8"))
    return found


def language() -> str:
    return str(st.session_state.get("language", "en"))


def say(key: str, **values: object) -> str:
    """The text with its blanks filled in."""
    text = catalogue(language())[key]
    return text.format(**values) if values else text
