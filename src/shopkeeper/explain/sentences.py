"""An explanation in sentences, from the strongest contribution down."""

from __future__ import annotations

from shopkeeper.core.records import Explanation, RuleTrace


def sentences(explanation: Explanation, k: int = 3) -> list[str]:
    """First the score, then up to k rules that raised it, up to k that lowered it, and what would change it most."""
    traces = {trace.name: trace for trace in explanation.rule_details}
    lines = [_headline(explanation)]
    lines += [_because(name, value, traces.get(name), "raised") for name, value in explanation.top_positive[:k]]
    lines += [_because(name, value, traces.get(name), "lowered") for name, value in explanation.top_negative[:k]]
    missed = _nearest_miss(explanation.rule_details)
    return lines if missed is None else [*lines, missed]


def _headline(explanation: Explanation) -> str:
    matched = sum(trace.matched for trace in explanation.rule_details)
    score, chance = explanation.final_score, explanation.probability
    return f"Score {score:+.2f} (probability {chance:.0%}): {matched} of {len(explanation.rule_details)} rules match."


def _because(name: str, value: float, trace: RuleTrace | None, verb: str) -> str:
    why = f" because {trace.why}" if trace is not None else ""
    return f"{name} {verb} it by {abs(value):.2f}{why}."


def _nearest_miss(traces: list[RuleTrace]) -> str | None:
    """The heaviest rule that does not match, and what is missing."""
    missed = [trace for trace in traces if not trace.matched and trace.what_would_change and trace.weight]
    if not missed:
        return None
    heaviest = max(missed, key=lambda trace: abs(trace.weight))
    return f"{heaviest.name} ({heaviest.weight:+.2f}) would match with {heaviest.what_would_change}."
