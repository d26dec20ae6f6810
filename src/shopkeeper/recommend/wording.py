"""The words of an item: what its name, category, price and attributes say, as terms that two items may share."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

NAME, CATEGORY, ATTRIBUTE, PRICE = 1.0, 1.5, 1.0, 0.5
"""How much a term of each field counts beside the others."""
MOST_TERMS = 64
_WORD = re.compile(r"[a-z0-9]+|[\u0400-\u04ff]+|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
_LONGEST = 40


def words(text: str) -> Iterator[str]:
    """Words of letters and digits without plural s, Chinese, Japanese and Korean text as pairs of characters."""
    for word in _WORD.findall(text.casefold()):
        if word[0] >= "\u3040" and not "\u0400" <= word[0] <= "\u04ff":
            yield from (word[at : at + 2] for at in range(max(len(word) - 1, 1)))
        elif len(word) > 1 or word.isdigit():
            yield _single(word)[:_LONGEST]


def terms(name: str, category: str | None, price: float, attributes: Mapping[str, Any]) -> dict[str, float]:
    """At most 64 terms with their weights. A word counts alike in the name and as the value of an attribute, so that a
    search finds it; a category, and `key=value` of an attribute, are terms of their own beside their words."""
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
    if price > 0 and math.isfinite(price):
        found[f"price={round(2 * math.log2(price))}"] = PRICE
    return dict(list(found.items())[-MOST_TERMS:]) if len(found) > MOST_TERMS else found


def _single(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
