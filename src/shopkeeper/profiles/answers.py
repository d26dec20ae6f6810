"""The answer to "why this score": from facts that were read before, so that any thread can work it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from shopkeeper.core.language import Lang
from shopkeeper.core.records import Audit, Explanation, Rule, RuleTrace
from shopkeeper.explain.audit import audit
from shopkeeper.explain.contributions import Contributions, probability
from shopkeeper.explain.sentences import sentences
from shopkeeper.profiles.conditions import Condition
from shopkeeper.profiles.families import family_of, field_of
from shopkeeper.profiles.fusion.inputs import summary_of
from shopkeeper.profiles.fusion.model import FusionInputs, FusionModel
from shopkeeper.profiles.ladder import Level, rule_values, shared_out
from shopkeeper.profiles.players import Basket, Players, RuleSide
from shopkeeper.rules.leaves import shown
from shopkeeper.rules.phrases import PHRASES
from shopkeeper.rules.trace import Trace
from shopkeeper.rules.vectors import Numbers

MOST_TRACED = 1000
"""Rules that match, and rules that do not, of which the trace is made: the heaviest ones."""
MOST_MISSES = 200
"""Rules that do not match and are told of: the nearest of those that were traced."""


@dataclass(frozen=True)
class Learned:
    """What a fusion model is given for one user beside the rules. `activity` (1, a) standardised, `seen` (1,);
    `values` are the profile fields that the activity numbers are made of."""

    model: FusionModel
    version: str
    basket: Basket
    activity: Numbers
    seen: Numbers
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    """`row` holds every field that the rules read."""

    user_id: str
    k: int
    level: Level
    lang: Lang
    rules: Sequence[tuple[Rule, Condition]]
    rules_version: str
    row: Mapping[str, Any]
    learned: Learned | None

    def answer(self) -> Explanation:
        """Raises Unavailable when an audit is asked for and shap is not installed."""
        matched = [condition.one(self.row) for _, condition in self.rules]
        return self._of_rules(matched) if self.learned is None else self._fused(matched, self.learned)

    def players(self) -> Players | None:
        """The parts of the fused score; None without a model."""
        matched = [condition.one(self.row) for _, condition in self.rules]
        return None if self.learned is None else self._players(matched, self.learned)

    # -- without a model -------------------------------------------------------------------------------------

    def _of_rules(self, matched: list[bool]) -> Explanation:
        """The score is the sum of the matched weights: these are its exact Shapley values, however many rules."""
        each = [rule.weight if held else 0.0 for (rule, _), held in zip(self.rules, matched, strict=True)]
        names = [rule.name for rule, _ in self.rules]
        score = float(sum(each))
        found, checked = self._summed(names, each, score), None
        if self.level == "audit":
            values = np.array(found.values)
            checked = audit(lambda members: members @ values, found)
        values_of = dict(zip(names, each, strict=True))
        return self._told(found, checked, matched, values_of, score=score, gate=1.0, f_rule=score, f_nn=0.0)

    def _summed(self, names: list[str], each: list[float], score: float) -> Contributions:
        if self.level == "two":
            return Contributions(("rules", "neural"), (score, 0.0))
        if self.level != "audit":
            return Contributions(tuple(names), tuple(each))
        sums: dict[str, float] = {}
        for (_, condition), value in zip(self.rules, each, strict=True):
            family = f"rules:{family_of(condition.fields)}"
            sums[family] = sums.get(family, 0.0) + value
        sums = sums or {"rules": 0.0}
        return Contributions(tuple(sums), tuple(sums.values()))

    # -- with a model ----------------------------------------------------------------------------------------

    def _fused(self, matched: list[bool], learned: Learned) -> Explanation:
        players = self._players(matched, learned)
        fused = learned.model.fuse(players.own)
        found, checked = shared_out(players, self.level, fused)
        gate = float(fused.gate[0])
        return self._told(
            found,
            checked,
            matched,
            rule_values(players, gate),
            score=float(fused.score[0]),
            gate=gate,
            f_rule=float(fused.f_rule[0]),
            f_nn=float(fused.f_nn[0]),
        )

    def _players(self, matched: list[bool], learned: Learned) -> Players:
        model, basket = learned.model, learned.basket
        rules = [rule for rule, _ in self.rules]
        held = np.array(matched, dtype=np.bool_)
        side = RuleSide.of(rules, [condition.fields for _, condition in self.rules], held, model)
        # The sum over all rules in their order, as the profile takes it: both show the same score to the last digit.
        score, summary = summary_of(np.array([rule.weight for rule in rules], dtype=np.float64), held)
        own = FusionInputs(
            score=score,
            rules=summary,
            embedding=(basket.weight @ basket.vectors)[None, :].astype(np.float32),
            activity=learned.activity.astype(np.float32),
            seen=learned.seen.astype(np.float32),
        )
        return Players(model, own, side, basket, tuple(field_of(name) for name in model.activity_names))

    # -- in words --------------------------------------------------------------------------------------------

    def _told(
        self,
        found: Contributions,
        checked: Audit | None,
        matched: list[bool],
        values: Mapping[str, float],
        *,
        score: float,
        gate: float,
        f_rule: float,
        f_nn: float,
    ) -> Explanation:
        model = None if self.learned is None else self.learned.version
        vectors = None if self.learned is None else self.learned.model.items.version or model
        made = Explanation(
            user_id=self.user_id,
            final_score=score,
            shap_values=found.by_name(),
            top_positive=found.top(self.k, positive=True),
            top_negative=found.top(self.k, positive=False),
            gate=gate,
            f_rule=f_rule,
            f_nn=f_nn,
            rule_details=self._details(matched, values),
            base_value=found.base_value,
            probability=probability(score),
            versions={"rules": self.rules_version, "embedding": vectors, "fusion": model},
            level=self.level,
            game="rules" if model is None else "gate frozen" if self.level == "inputs" else "full",
            rules_total=len(self.rules),
            rules_matched=sum(matched),
            audit=checked,
        )
        lines = sentences(made, lang=self.lang, reasons=self._reasons(made))
        return msgspec.structs.replace(made, sentences=lines)

    def _details(self, matched: list[bool], values: Mapping[str, float]) -> list[RuleTrace]:
        """The rules that match and the nearest that do not, in the order of the rules."""
        held, missed = (self._traced([at for at, one in enumerate(matched) if one is which]) for which in (True, False))
        nearest = sorted(missed, key=lambda at: _distance(missed[at]))[:MOST_MISSES]
        told = held | {at: missed[at] for at in nearest}
        return [_detail(self.rules[at][0], told[at], values) for at in sorted(told)]

    def _traced(self, places: list[int]) -> dict[int, Trace]:
        """Of the heaviest of these rules, by place."""
        heaviest = sorted(places, key=lambda at: -abs(self.rules[at][0].weight))[:MOST_TRACED]
        return {at: self.rules[at][1].trace(self.row, self.lang) for at in heaviest}

    def _reasons(self, made: Explanation) -> dict[str, str]:
        """Why each player stands as it does: the trace of a rule, the weightiest rule of a family, a field's value."""
        why = {trace.name: trace.why for trace in made.rule_details}
        if made.game == "rules" and self.level in ("groups", "inputs"):
            return why
        if self.level == "inputs" and self.learned is not None:
            stands = PHRASES[self.lang].stands
            values = {name: shown(value, PHRASES[self.lang]) for name, value in self.learned.values.items()}
            fields = {f"activity:{name}": stands.format(name, value) for name, value in values.items()}
            return fields | {f"rule:{name}": reason for name, reason in why.items()}
        return self._of_families(made)

    def _of_families(self, made: Explanation) -> dict[str, str]:
        """Of each family the rule that moves it most in the direction in which the family moved the score."""
        reads = {rule.name: f"rules:{family_of(condition.fields)}" for rule, condition in self.rules}
        best: dict[str, RuleTrace] = {}
        for trace in made.rule_details:
            for player in (reads[trace.name], "rules"):
                along = trace.value * made.shap_values.get(player, 0.0)
                if along > 0 and (player not in best or abs(trace.value) > abs(best[player].value)):
                    best[player] = trace
        named = PHRASES[self.lang].named
        return {player: named.format(trace.name, trace.why) for player, trace in best.items()}


def _detail(rule: Rule, found: Trace, values: Mapping[str, float]) -> RuleTrace:
    return RuleTrace(
        name=rule.name,
        matched=found.matched,
        weight=rule.weight,
        value=values.get(rule.name, 0.0),
        why=found.why,
        what_would_change=found.what_would_change,
    )


def _distance(found: Trace) -> tuple[bool, int, float]:
    """How far a rule is from matching: conditions that would have to turn, and how far they are off."""
    return any(leaf.fixed for leaf in found.changes), len(found.changes), sum(leaf.effort for leaf in found.changes)
