"""Finding the ids of one person in text and bytes, however they were written there, and blotting them out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

BLOT = "[erased]"
_Text = TypeVar("_Text", str, bytes)
_ENCODINGS = ("utf-8", "gb18030", "cp1252", "utf-16-le", "utf-16-be")
_WHO = frozenset({"user", "user_id", "anonymous_id", "from_user_id", "into_user_id"})
_WHO_ALL = frozenset({"users", "user_ids", "anonymous_ids"})  # lists; a number there is a count
_ALONE = 8  # an id this long may stand within `order_{id}_3`; a shorter one counts only as a word of its own
# What comes right before or after is not more of it: `customer-1` is not `customer-17`. An escape is no letter.
_BEFORE = r"(?:(?<![0-9A-Za-z])|(?<=%[0-9A-Fa-f]{2})|(?<=\\[bfnrt])|(?<=\\u[0-9A-Fa-f]{4}))"
_AFTER = r"(?![0-9A-Za-z])"
_NAME = re.compile(r"[A-Za-z_-]+")  # as fields, models and people's first names are written


class Words:
    """Ids as they stand in plain text, JSON, CSV and addresses. Short ids (`17`) count only as whole words.

    There may be thousands of them: what is searched is searched for each as a piece of text, and only those that are
    there are looked at as words.
    """

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids = frozenset(ids)
        self.forms = _longest_first(form for id in self.ids for form in _forms(id))
        self._sure = _longest_first(form for id in self.ids if _is_sure(id) for form in _forms(id))
        self._raw = [
            form for form in _longest_first(_coded(form, code) for form in self.forms for code in _ENCODINGS) if form
        ]
        self.longest = max(map(len, self._raw), default=0)

    def unmistakable(self) -> Words:
        """Those of the ids that can be nothing else: long, and not letters only, as `birthday` is."""
        return Words(id for id in self.ids if _is_sure(id))

    def in_text(self, text: str) -> bool:
        return _pattern(self.forms, text).search(text) is not None

    def in_bytes(self, data: bytes) -> bool:
        return self._in_bytes(data).search(data) is not None

    def blotted(self, text: str) -> str:
        """The text without the ids."""
        return _pattern(self.forms, text).sub(BLOT, text)

    def _in_bytes(self, data: bytes) -> re.Pattern[bytes]:
        return re.compile(b"|".join(_word_bytes(form) for form in self._raw if form in data) or rb"(?!)")

    def out_of(self, value: Any, *, who: bool = False) -> Any:
        """A JSON value without the ids. What else could be meant stays: `17` is a number of days as well as a person.

        Blotted are sentences word by word, long ids anywhere, and short ones where the key says that it is about
        somebody (`who`).
        """
        match value:
            case dict():
                return {self._surely(key): self.out_of(one, who=_is_who(key, one)) for key, one in value.items()}
            case list():
                return [self.out_of(one, who=who) for one in value]
            case str() if who and value in self.ids:
                return BLOT
            case str() if any(mark.isspace() for mark in value):
                return self.blotted(value)
            case str():
                return self._surely(value)
            case int() if who and str(value) in self.ids:
                return BLOT
        return value

    def _surely(self, text: str) -> str:
        return _pattern(self._sure, text).sub(BLOT, text)

    def starred(self, data: bytes) -> bytes:
        """As many bytes, with stars where an id stood: a file may be overwritten while others append to it."""
        return self._in_bytes(data).sub(lambda found: b"*" * len(found[0]), data)


def _pattern(forms: Iterable[str], text: str) -> re.Pattern[str]:
    return re.compile("|".join(_word(form) for form in forms if form in text) or r"(?!)")


def _is_who(key: str, value: Any) -> bool:
    return key in _WHO or (key in _WHO_ALL and isinstance(value, list))


def _is_sure(id: str) -> bool:
    return len(id) >= _ALONE and _NAME.fullmatch(id) is None


def _longest_first(forms: Iterable[_Text]) -> list[_Text]:
    return sorted(set(forms), key=len, reverse=True)


def _forms(id: str) -> set[str]:
    """As it is, within JSON (both ways), doubled quotes of CSV, percent signs of an address."""
    json_ = (msgspec.json.encode(id).decode()[1:-1], json.dumps(id)[1:-1])
    return {id, *json_, id.replace('"', '""'), quote(id, safe=""), quote(id)}


def _word(form: str) -> str:
    found = re.escape(form)
    return f"{_BEFORE}{found}{_AFTER}" if len(form) >= _ALONE else rf"(?<!\w){found}(?!\w)"


def _word_bytes(form: bytes) -> bytes:
    found = re.escape(form)
    if len(form) >= _ALONE:
        return _BEFORE.encode() + found + _AFTER.encode()
    return rb"(?<![0-9A-Za-z_])" + found + rb"(?![0-9A-Za-z_])"


def _coded(form: str, encoding: str) -> bytes:
    """Empty where the encoding has no such characters."""
    try:
        return form.encode(encoding)
    except UnicodeEncodeError:
        return b""
