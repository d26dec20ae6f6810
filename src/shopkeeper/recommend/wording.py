"""The words of an item: what its name, category, price and attributes say, as terms that two items may share."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

NAME, CATEGORY, ATTRIBUTE, PRICE = 1.0, 1.5, 1.0, 0.5
"""How much a term of each field counts beside the others."""
MOST_TERMS = 64
_PAIRED = r"\u0900-\u0fff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
"""Indian, Thai, Japanese, Chinese and Korean letters."""
_WORD = re.compile(rf"([{_PAIRED}]+)|[^\W_{_PAIRED}]+")
_ACCENT = re.compile(r"[\u0300-\u036f]")
_LONGEST = 40


def words(text: str) -> Iterator[str]:
    """Words of letters and digits without accents and plural s; where words are not written apart, or are made of
    letters and signs, pairs of characters."""
    for found in _WORD.finditer(_plain(text)):
        word = found[0]
        if found[1]:
            yield from (word[at : at + 2] for at in range(max(len(word) - 1, 1)))
        elif len(word) > 1 or word.isdigit():
            yield _single(word)[:_LONGEST]


def terms(name: str, category: str | None, price: float, attributes: Mapping[str, Any]) -> dict[str, float]:
    """At most 64 terms with their weights, the first that are met. A word counts alike in the name and as the value of
    an attribute, so that a search finds it; a category, and `key=value` of an attribute, are terms of their own beside
    their words."""
    found: dict[str, float] = dict.fromkeys(words(name), NAME)
    if category:
        found[f"category={category.casefold()[:100]}"] = CATEGORY
        for word in words(category):
            found.setdefault(word, CATEGORY / 2)
    for key, value in attributes.items():
        if isinstance(value, bool | str):
            said = str(value).casefold()[:100]
            found[f"{key.casefold()[:40]}={said}"] = ATTRIBUTE
            if isinstance(value, str):
                for word in words(said):
                    found.setdefault(word, ATTRIBUTE / 2)
        if len(found) >= MOST_TERMS:
            break
    if len(found) >= MOST_TERMS:
        found = dict(islice(found.items(), MOST_TERMS - 1))
    if price > 0 and math.isfinite(price):
        found[f"price={round(2 * math.log2(price))}"] = PRICE
    return found


def _plain(text: str) -> str:
    """One spelling of what is written alike: small letters, no accents."""
    if text.isascii():
        return text.casefold()
    return unicodedata.normalize("NFC", _ACCENT.sub("", unicodedata.normalize("NFKD", text).casefold()))


def _single(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
