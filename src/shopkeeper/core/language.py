"""The languages in which the shop explains itself, and the one a caller wants."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Lang: TypeAlias = Literal["en", "zh"]
LANGS: tuple[Lang, ...] = get_args(Lang)


def preferred(accept: str | None) -> Lang:
    """The language that an Accept-Language header likes best, of those that are spoken here; else English."""
    best: Lang = "en"
    liked = 0.0
    for part in (accept or "")[:1000].split(","):
        tag, _, parameters = part.strip().partition(";")
        primary = tag.strip().lower().split("-")[0]
        spoken = next((lang for lang in LANGS if lang == primary), None)
        weight = _weight(parameters)
        if spoken is not None and weight > liked:
            best, liked = spoken, weight
    return best


def _weight(parameters: str) -> float:
    """`q=0.8` -> 0.8; nothing -> 1; what is no number -> 0."""
    name, _, value = parameters.strip().partition("=")
    if not name:
        return 1.0
    try:
        weight = float(value)
    except ValueError:
        return 0.0
    return weight if name.strip() == "q" and 0.0 <= weight <= 1.0 else 0.0
