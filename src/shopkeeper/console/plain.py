"""Texts of people as text."""

from __future__ import annotations

import re

_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_SPACE = re.compile(r"\s+")


def plain(text: str) -> str:
    """A condition, a name or a reason as text on one line, not as Markdown. Any ASCII punctuation may be escaped there
    (CommonMark, 2.4)."""
    return _PUNCTUATION.sub(r"\\\1", _SPACE.sub(" ", text))


def drawn(text: str) -> str:
    """The same within a picture, whose texts know some HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
