"""The rule score of one user, and the name of the rules that made it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from shopkeeper.core.records import Rule
from shopkeeper.explain.contributions import Contributions
from shopkeeper.profiles.conditions import Condition


def contributions(rules: Sequence[tuple[Rule, Condition]], row: Mapping[str, Any]) -> Contributions:
    """The weights of the rules that match. The score is their sum, so these are its exact Shapley values."""
    values = tuple(rule.weight if condition.one(row) else 0.0 for rule, condition in rules)
    return Contributions(tuple(rule.name for rule, _ in rules), values)


def rules_version(rules: Sequence[Rule]) -> str:
    """A short name of exactly these rule versions."""
    text = "\n".join(f"{rule.name}/{rule.version}" for rule in rules)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
