"""Names for clusters: words for what sets one apart from the customers as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from shopkeeper.profiles.clusters.habits import HABITS
from shopkeeper.rules.vectors import Numbers

WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "orders": ("few orders", "frequent"),
    "average_order": ("small baskets", "large baskets"),
    "pieces_per_line": ("single pieces", "by the case"),
    "distinct_items": ("few products", "wide range"),
    "return_rate": ("keeps everything", "returns often"),
    "days_between_orders": ("in quick succession", "long pauses"),
    "sessions_per_order": ("decides fast", "looks around"),
    "morning": ("", "mornings"),
    "afternoon": ("", "afternoons"),
    "evening": ("", "evenings"),
    "weekend": ("", "weekends"),
}
"""Below and above the mean of all; nothing is said of a time at which few come."""
_NOTABLE = 0.5
"""Standard deviations from the mean of all, from which a habit is worth a word."""
_WORDS = 2


def named(centres: Sequence[Numbers] | Numbers) -> tuple[str, ...]:
    """A name for each centre (k, h), in standard deviations: its most notable words, more where two would be the same,
    a number where nothing tells them apart."""
    spoken = [_words(np.asarray(centre)) for centre in centres]
    names = [", ".join(words[:_WORDS]) or "average" for words in spoken]
    for more in range(_WORDS + 1, len(HABITS) + 1):
        names = [
            ", ".join(words[:more]) or "average" if names.count(name) > 1 else name
            for name, words in zip(names, spoken, strict=True)
        ]
    seen: dict[str, int] = {}
    for place, name in enumerate(names):
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            names[place] = f"{name} {seen[name]}"
    return tuple(names)


def _words(centre: Numbers) -> list[str]:
    order = np.argsort(-np.abs(centre), kind="stable")
    words = [WORDS[HABITS[at]][int(centre[at] > 0)] for at in order.tolist() if abs(centre[at]) >= _NOTABLE]
    return [word for word in words if word]
