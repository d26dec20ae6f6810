"""The numbers of one profile: the fused score, the two sides of it, the chance of an order and the expected spend."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from shopkeeper.core.records import Rule
from shopkeeper.explain.contributions import probability
from shopkeeper.features.state import FeatureState
from shopkeeper.profiles.conditions import Condition, fields_of
from shopkeeper.profiles.fusing import Fuser
from shopkeeper.profiles.fusion.inputs import gather_one
from shopkeeper.profiles.rulebook import RuleBook
from shopkeeper.profiles.scoring import rules_version
from shopkeeper.profiles.table import ProfileTable


class Scores:
    """Used on one thread, as the features are: each answer is gathered from the live state, exact to the last event."""

    def __init__(self, features: FeatureState, rulebook: RuleBook, fuser: Fuser) -> None:
        self._features = features
        self._rulebook = rulebook
        self._fuser = fuser
        self._rules: Sequence[tuple[Rule, Condition]] = ()
        self._facts = _facts_of(self._rules)

    def within(self, features: FeatureState, fuser: Fuser) -> Scores:
        """The same rules over another state and other items."""
        other = copy.copy(self)
        other._features, other._fuser = features, fuser
        return other

    def of(self, row: int, table: ProfileTable) -> dict[str, Any]:
        """`{final_score, probability, gate, f_rule, f_nn, expected_spend, rules {name: weight or 0}, versions}` of the
        table's one user. Without a model the gate is 1 and no spend is expected (None)."""
        rules = self._rulebook.compiled()
        if rules is not self._rules:
            self._rules, self._facts = rules, _facts_of(rules)
        weights, names, fields, version = self._facts
        values = table.row(fields)
        matched = np.fromiter((condition.one(values) for _, condition in rules), dtype=np.bool_, count=len(rules))
        each = dict(zip(names, np.where(matched, weights, 0.0).tolist(), strict=True))
        fusing = self._fuser.current()
        if fusing is None:
            score = sum(each.values())
            sides = {"gate": 1.0, "f_rule": score, "f_nn": 0.0, "expected_spend": None}
            versions = {"rules": version, "embedding": None, "fusion": None}
            return {
                "final_score": score,
                "probability": probability(score),
                **sides,
                "rules": each,
                "versions": versions,
            }
        fused = fusing.model.fuse(gather_one(fusing.frame, table, weights, matched, self._features, row))
        return {
            "final_score": float(fused.score[0]),
            "probability": probability(float(fused.score[0])),
            "gate": float(fused.gate[0]),
            "f_rule": float(fused.f_rule[0]),
            "f_nn": float(fused.f_nn[0]),
            "expected_spend": float(fused.spend[0]),
            "rules": each,
            "versions": {"rules": version, "embedding": fusing.embedding, "fusion": fusing.version},
        }


def _facts_of(rules: Sequence[tuple[Rule, Condition]]) -> tuple[Any, list[str], frozenset[str], str]:
    """(weights float64 (rules,), names, the fields that they read, the version of them all)."""
    weights = np.array([rule.weight for rule, _ in rules], dtype=np.float64)
    names = [rule.name for rule, _ in rules]
    return weights, names, fields_of(condition for _, condition in rules), rules_version([rule for rule, _ in rules])
