"""The gate: may a candidate take the champion's place? A pure function of both sets of measures.

PROMOTE   every rule holds
HOLD      not worse than the champion, and yet not proven: loses to the naive baseline, or cannot be compared
REJECT    worse than the champion, or its measures are missing or not finite

Both sets are measured on the same untouched rows. A family's `judge` is one of the functions at the end of this file,
or `judge` with rules of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Literal, TypeAlias

from shopkeeper.core.records import Gate

Verdict: TypeAlias = Literal["PROMOTE", "HOLD", "REJECT"]
_SEVERITY: dict[Verdict, int] = {"PROMOTE": 0, "HOLD": 1, "REJECT": 2}


@dataclass(frozen=True)
class Finding:
    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class AtLeast:
    """Higher is better: the candidate must reach `share` of the champion's value, e.g. AUC >= 0.99 x champion."""

    metric: str
    share: float = 1.0

    def check(self, candidate: Mapping[str, float], champion: Mapping[str, float] | None) -> Finding:
        return _against_champion(self.metric, self.share, candidate, champion, higher=True)


@dataclass(frozen=True)
class AtMost:
    """Lower is better: the candidate may be at most `share` times the champion's value, e.g. log-loss <= 1.01 x."""

    metric: str
    share: float = 1.0

    def check(self, candidate: Mapping[str, float], champion: Mapping[str, float] | None) -> Finding:
        return _against_champion(self.metric, self.share, candidate, champion, higher=False)


@dataclass(frozen=True)
class Beats:
    """The candidate must be at least as good as a baseline measured beside it; losing to it is a HOLD."""

    metric: str
    baseline: str
    higher: bool = True

    def check(self, candidate: Mapping[str, float], _champion: Mapping[str, float] | None) -> Finding:
        value, naive = candidate.get(self.metric), candidate.get(self.baseline)
        if value is None or not isfinite(value):
            return _missing(self.metric, value)
        if naive is None or not isfinite(naive):
            return Finding("HOLD", f"{self.baseline} was not measured: nothing to compare {self.metric} with")
        good = value >= naive if self.higher else value <= naive
        word = "reaches" if good else "does not reach"
        return Finding("PROMOTE" if good else "HOLD", f"{self.metric} {value:.4g} {word} {self.baseline} {naive:.4g}")


@dataclass(frozen=True)
class Surely:
    """Higher is better, and known up to an interval: METRIC_low to METRIC_high, told from `effective` rounds, of which
    `rewarded` brought anything.

    PROMOTE when the lower bound reaches the champion's value less `tolerance` of it, REJECT when the upper one lies
    below that value; HOLD between, and below `least` rounds or `least_rewarded` of them that brought anything: where
    rewards are rare, the interval of too few is too narrow. The first policy is compared with what was logged, so that
    none takes over that is worse than what the shop does already.
    """

    metric: str
    tolerance: float = 0.1
    least: float = 200.0
    least_rewarded: float = 20.0

    def check(self, candidate: Mapping[str, float], champion: Mapping[str, float] | None) -> Finding:
        said = {name: candidate.get(name, nan) for name in (f"{self.metric}{end}" for end in ("", "_low", "_high"))}
        for name, number in said.items():
            if not isfinite(number):
                return _missing(name, candidate.get(name))
        value, low, high = said.values()
        whose, best = "what was logged", candidate.get("logged", nan)
        if champion is not None:
            whose, best = "the champion", champion.get(self.metric, nan)
        if not isfinite(best):
            return Finding("HOLD", f"{whose} has no {self.metric}: cannot be compared")
        for name, least in (("effective", self.least), ("rewarded", self.least_rewarded)):
            if not (rounds := candidate.get(name, 0.0)) >= least:
                return Finding("HOLD", f"{rounds:.0f} {name} rounds, required >= {least:.0f}")
        bound = best - self.tolerance * abs(best)
        told = f"{self.metric} {value:.4g} ({low:.4g} to {high:.4g}), {whose} has {best:.4g}"
        if high < best:
            return Finding("REJECT", f"{told}: it surely lies below")
        if low >= bound:
            return Finding("PROMOTE", f"{told}, surely >= {bound:.4g}")
        return Finding("HOLD", f"{told}: >= {bound:.4g} is required and not sure; more rounds are needed")


Rule: TypeAlias = AtLeast | AtMost | Beats | Surely


def judge(rules: Sequence[Rule], candidate: Mapping[str, float], champion: Mapping[str, float] | None) -> Gate:
    """The worst verdict of all rules, and every rule's sentence."""
    findings = [rule.check(candidate, champion) for rule in rules]
    worst = max(findings, key=lambda finding: _SEVERITY[finding.verdict], default=Finding("HOLD", "no rule"))
    return Gate(verdict=worst.verdict, reasons=[finding.reason for finding in findings] or [worst.reason])


def held(gate: Gate, reason: str) -> Gate:
    """The same gate, no better than HOLD, with one more reason."""
    verdict: Verdict = "HOLD" if gate.verdict == "PROMOTE" else gate.verdict
    return Gate(verdict=verdict, reasons=[*gate.reasons, reason])


def ranking(
    candidate: Mapping[str, float], champion: Mapping[str, float] | None, *, auc: str = "auc", loss: str = "log_loss"
) -> Gate:
    """AUC >= 0.99 x champion and log-loss <= 1.01 x champion."""
    return judge([AtLeast(auc, 0.99), AtMost(loss, 1.01)], candidate, champion)


def retrieval(
    candidate: Mapping[str, float], champion: Mapping[str, float] | None, *, recall: str = "recall@20"
) -> Gate:
    """Recall >= 0.98 x champion: retrieval and embedding models."""
    return judge([AtLeast(recall, 0.98)], candidate, champion)


def forecast(
    candidate: Mapping[str, float],
    champion: Mapping[str, float] | None,
    *,
    error: str = "wape",
    loss: str | None = "pinball",
    naive: str = "naive_wape",
) -> Gate:
    """Error (and quantile loss) <= 1.01 x champion, and error no greater than the seasonal naive's."""
    rules: list[Rule] = [AtMost(error, 1.01), Beats(error, naive, higher=False)]
    if loss is not None:
        rules.insert(1, AtMost(loss, 1.01))
    return judge(rules, candidate, champion)


def judge_policy(
    candidate: Mapping[str, float], champion: Mapping[str, float] | None, *, value: str = "dr", tolerance: float = 0.1
) -> Gate:
    """A policy, by the interval of what it would bring: see `Surely`."""
    return judge([Surely(value, tolerance)], candidate, champion)


def _against_champion(
    metric: str, share: float, candidate: Mapping[str, float], champion: Mapping[str, float] | None, *, higher: bool
) -> Finding:
    value = candidate.get(metric)
    if value is None or not isfinite(value):
        return _missing(metric, value)
    if champion is None:
        return Finding("PROMOTE", f"{metric} {value:.4g}, no champion yet")
    best = champion.get(metric)
    if best is None or not isfinite(best):
        return Finding("HOLD", f"the champion has no {metric}: cannot be compared")
    good = value >= share * best if higher else value <= share * best
    sign = ">=" if higher else "<="
    return Finding(
        "PROMOTE" if good else "REJECT",
        f"{metric} {value:.4g}, the champion has {best:.4g}, required {sign} {share * best:.4g}",
    )


def _missing(metric: str, value: float | None) -> Finding:
    return Finding("REJECT", f"{metric} is {'missing' if value is None else value}: a finite number is expected")
