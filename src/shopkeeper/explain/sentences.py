"""An explanation in sentences, from the strongest contribution down."""

from __future__ import annotations

from collections.abc import Mapping

from shopkeeper.core.language import Lang
from shopkeeper.core.records import Explanation, RuleTrace
from shopkeeper.explain.phrases import PHRASES, Phrases

_SHOWN = 0.005
"""What is less would be told as 0.00."""


def sentences(
    explanation: Explanation, k: int = 3, lang: Lang = "en", reasons: Mapping[str, str] | None = None
) -> list[str]:
    """First the score, then up to k that raised it, up to k that lowered it, and what would change it most.

    `reasons` says why a player stands as it does; without it the traces of the rules do. Write traces and reasons in
    `lang` beforehand.
    """
    words = PHRASES[lang]
    why = {trace.name: trace.why for trace in explanation.rule_details} if reasons is None else reasons
    lines = [_headline(explanation, words), *_beginnings(explanation, words)]
    for verb, strongest in ((words.raised, explanation.top_positive), (words.lowered, explanation.top_negative)):
        for player, value in (one for one in strongest[:k] if abs(one[1]) >= _SHOWN):
            because = words.because.format(why=why[player]) if player in why else ""
            lines.append(verb.format(name=label(player, explanation, words), value=abs(value), because=because))
    missed = _nearest_miss(explanation.rule_details, words)
    return lines if missed is None else [*lines, missed]


def label(player: str, explanation: Explanation, words: Phrases) -> str:
    """A player as a reader knows it: `rules:spending` -> Rules on spending, `item:MUG` -> Interest in MUG. Where each
    rule is a player it bears the rule's own name."""
    if explanation.game == "rules" and explanation.level in ("groups", "inputs"):
        return player
    if player in words.players:
        return words.players[player]
    kind, _, name = player.partition(":")
    return words.kinds[kind].format(name)


def _headline(explanation: Explanation, words: Phrases) -> str:
    matched, total = explanation.rules_matched, explanation.rules_total
    score, chance = explanation.final_score, explanation.probability
    return words.headline.format(score=score, chance=chance, matched=matched, total=total)


def _beginnings(explanation: Explanation, words: Phrases) -> list[str]:
    """What the numbers are measured from, where a model has a say."""
    if explanation.game == "rules":
        return []
    shares = words.shares.format(f_rule=explanation.f_rule, f_nn=explanation.f_nn, gate=explanation.gate)
    compared = words.frozen if explanation.game == "gate frozen" else words.compared
    return [shares, compared.format(base=explanation.base_value)]


def _nearest_miss(traces: list[RuleTrace], words: Phrases) -> str | None:
    """The heaviest rule that does not match, and what is missing."""
    missed = [trace for trace in traces if not trace.matched and trace.what_would_change and trace.weight]
    if not missed:
        return None
    heaviest = max(missed, key=lambda trace: abs(trace.weight))
    return words.miss.format(name=heaviest.name, weight=heaviest.weight, change=heaviest.what_would_change)
