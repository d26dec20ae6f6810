"""Finding the ids of one person in text and bytes, however they were written there, and blotting them out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import msgspec

BLOT = "[erased]"
_ENCODINGS = ("utf-8", "gb18030", "cp1252", "utf-16-le", "utf-16-be")
_WHO = frozenset(
    {"user", "users", "user_id", "user_ids", "anonymous_id", "anonymous_ids", "from_user_id", "into_user_id"}
)
_ALONE = 8  # an id this long is looked for inside of other words too; a shorter one only as a word of its own


class Words:
    """Ids as they stand in plain text, JSON, CSV and addresses. Short ids (`17`) count only as whole words."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids = frozenset(ids)
        forms = sorted({form for id in self.ids for form in _forms(id)}, key=len, reverse=True)
        self._text = re.compile("|".join(_word(form) for form in forms) or r"(?!)")
        raw = sorted(
            {_coded(form, encoding) for form in forms for encoding in _ENCODINGS} - {b""}, key=len, reverse=True
        )
        sure = [form for form in forms if len(form) >= _ALONE]
        self._sure = re.compile("|".join(map(re.escape, sure)) or r"(?!)")
        self._bytes = re.compile(b"|".join(_word_bytes(form) for form in raw) or rb"(?!)")
        self._raw = raw
        self.forms = forms
        self.longest = max(map(len, raw), default=0)

    def unmistakable(self) -> Words:
        """Those of the ids that are long enough to be nothing else."""
        return Words(id for id in self.ids if len(id) >= _ALONE)

    def in_text(self, text: str) -> bool:
        return self._text.search(text) is not None

    def in_bytes(self, data: bytes) -> bool:
        return any(form in data for form in self._raw) and self._bytes.search(data) is not None

    def blotted(self, text: str) -> str:
        """The text without the ids."""
        return self._text.sub(BLOT, text)

    def out_of(self, value: Any, *, who: bool = False) -> Any:
        """A JSON value without the ids. What else could be meant stays: `17` is a number of days as well as a person.

        Blotted are sentences word by word, long ids anywhere, and short ones where the key says that it is about
        somebody (`who`).
        """
        match value:
            case dict():
                return {self._key(key): self.out_of(one, who=key in _WHO) for key, one in value.items()}
            case list():
                return [self.out_of(one, who=who) for one in value]
            case str() if who and value in self.ids:
                return BLOT
            case str() if any(mark.isspace() for mark in value):
                return self.blotted(value)
            case str():
                return self._sure.sub(BLOT, value)
            case int() if who and str(value) in self.ids:
                return BLOT
        return value

    def _key(self, key: str) -> str:
        return self._sure.sub(BLOT, key)

    def starred(self, data: bytes) -> bytes:
        """As many bytes, with stars where an id stood: a file may be overwritten while others append to it."""
        return self._bytes.sub(lambda found: b"*" * len(found[0]), data)


def _forms(id: str) -> set[str]:
    """As it is, within JSON (both ways), doubled quotes of CSV, percent signs of an address."""
    json_ = (msgspec.json.encode(id).decode()[1:-1], json.dumps(id)[1:-1])
    return {id, *json_, id.replace('"', '""'), quote(id, safe=""), quote(id)}


def _word(form: str) -> str:
    found = re.escape(form)
    return found if len(form) >= _ALONE else rf"(?<!\w){found}(?!\w)"


def _word_bytes(form: bytes) -> bytes:
    found = re.escape(form)
    return found if len(form) >= _ALONE else rb"(?<![0-9A-Za-z_])" + found + rb"(?![0-9A-Za-z_])"


def _coded(form: str, encoding: str) -> bytes:
    """Empty where the encoding has no such characters."""
    try:
        return form.encode(encoding)
    except UnicodeEncodeError:
        return b""
