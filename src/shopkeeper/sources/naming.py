"""Readable product names out of the capitals of a till."""

from __future__ import annotations

import re

_SMALL = frozenset(["a", "and", "at", "by", "de", "for", "from", "in", "of", "on", "or", "the", "to", "with"])
_CAPITALS = frozenset(["UK", "USA", "LED", "TV", "CD", "DVD", "BBQ", "NY", "I", "II", "III", "VIP", "OK"])
_WORD = re.compile(r"[^\s/+&,-]+")


def title(description: str) -> str:
    """`WHITE HANGING HEART T-LIGHT HOLDER ` becomes `White Hanging Heart T-Light Holder`.

    Words of grammar are small (not the first), `3D`, `S/4` and `LED` stay as they are, spaces are made single.
    """
    text = " ".join(description.split()).strip(" .,")
    return _WORD.sub(lambda found: _word(found.group(), found.start() == 0), text)


def _word(word: str, first: bool) -> str:
    if word.upper() in _CAPITALS or (word[0].isdigit() and word[1:2].isalpha() and len(word) <= 2):
        return word.upper()
    if word.lower() in _SMALL and not first:
        return word.lower()
    if word[0].isdigit():
        return word.lower()
    return word[:1].upper() + word[1:].lower()
