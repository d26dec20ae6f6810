"""Texts of people as text."""

from __future__ import annotations

import re


def plain(text: str) -> str:
    """A condition, a name or a reason as text, not as Markdown."""
    return re.sub(r"([\\*_~`$\[\]<>:])", r"\\\1", text)
