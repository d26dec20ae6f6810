"""The name of the rules that made a score."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from shopkeeper.core.records import Rule


def rules_version(rules: Sequence[Rule]) -> str:
    """A short name of exactly these rule versions."""
    text = "\n".join(f"{rule.name}/{rule.version}" for rule in rules)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
