"""The rule score of one user, and its explanation. Until a model is fused in, the rules are all of it: gate 1."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from shopkeeper.core.records import Explanation, Rule, RuleTrace
from shopkeeper.explain.contributions import Contributions, probability
from shopkeeper.profiles.conditions import Condition


def contributions(rules: Sequence[tuple[Rule, Condition]], row: Mapping[str, Any]) -> Contributions:
    """The weights of the rules that match. The score is their sum, so these are its exact Shapley values."""
    values = tuple(rule.weight if condition.one(row) else 0.0 for rule, condition in rules)
    return Contributions(tuple(rule.name for rule, _ in rules), values)


def explanation(
    user_id: str, rules: Sequence[tuple[Rule, Condition]], row: Mapping[str, Any], k: int = 5
) -> Explanation:
    """base_value + sum(shap_values) = final_score. `k`: length of the two top lists."""
    parts = contributions(rules, row)
    score = parts.total
    return Explanation(
        user_id=user_id,
        final_score=score,
        shap_values=parts.by_name(),
        top_positive=parts.top(k, positive=True),
        top_negative=parts.top(k, positive=False),
        gate=1.0,
        f_rule=score,
        f_nn=0.0,
        rule_details=[
            _detail(rule, condition, row, value) for (rule, condition), value in zip(rules, parts.values, strict=True)
        ],
        base_value=parts.base_value,
        probability=probability(score),
        versions={"rules": rules_version([rule for rule, _ in rules]), "embedding": None, "fusion": None},
    )


def rules_version(rules: Sequence[Rule]) -> str:
    """A short name of exactly these rule versions."""
    text = "\n".join(f"{rule.name}/{rule.version}" for rule in rules)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _detail(rule: Rule, condition: Condition, row: Mapping[str, Any], value: float) -> RuleTrace:
    found = condition.trace(row)
    return RuleTrace(
        name=rule.name,
        matched=found.matched,
        weight=rule.weight,
        value=value,
        why=found.why,
        what_would_change=found.what_would_change,
    )
