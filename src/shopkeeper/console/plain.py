"""Texts of people as text."""

from __future__ import annotations

import re

_PUNCTUATION = re.compile(r"((?!(?<=[^\W_])_(?=[^\W_]))[!-/:-@\[-`{-~])")
"""But an underscore within a word, which is text anyway: who listens to a label hears no backslash."""
_SPACE = re.compile(r"\s+")
_ADDRESS = re.compile(r"https?(?=\\:)|www(?=\\\.)|\\@", re.IGNORECASE)
"""Where an address begins that Markdown would make a link of, escaped or not (GFM, 6.9), in a text that is escaped."""
_NOTHING = ":small[]"
"""An element without any content: no address goes on beyond it, and what a person copies is the text as it was."""


def plain(text: str) -> str:
    """A condition, a name or a reason as text on one line, not as Markdown. Any ASCII punctuation may be escaped there
    (CommonMark, 2.4); addresses are looked for in what was unescaped, so they are broken apart."""
    escaped = _PUNCTUATION.sub(r"\\\1", _SPACE.sub(" ", text))
    return _ADDRESS.sub(rf"\g<0>{_NOTHING}", escaped)


def drawn(text: str) -> str:
    """The same within a picture, whose texts know some HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
