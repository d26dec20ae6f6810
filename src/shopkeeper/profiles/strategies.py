"""What to do for one user: the actions of the rules that match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shopkeeper.core.records import Rule
from shopkeeper.profiles.conditions import Condition


def suggestions(strategies: Sequence[tuple[Rule, Condition]], row: Mapping[str, Any], otherwise: str) -> list[str]:
    """The actions that match, in the order of `strategies`, each once; `otherwise` alone when none does."""
    found = dict.fromkeys(rule.action for rule, condition in strategies if condition.one(row))
    return list(found) or [otherwise]
