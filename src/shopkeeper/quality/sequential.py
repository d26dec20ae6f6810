"""Tests that may be looked at whenever one likes: always-valid p values and intervals (Johari et al. 2017).

A fixed test that is looked at every day finds a winner of nothing in a quarter of all experiments. The mixture
sequential probability ratio test (mSPRT, Robbins 1970) weighs the likelihood of all effects, spread as N(0, tau2),
against that of none; under no effect the chance that it ever exceeds 1 / alpha is alpha.
"""

from __future__ import annotations

from math import exp, inf, isfinite, log, nan, sqrt

from shopkeeper.quality.experiments import Compared, Sample


def spread(control: Sample, treatment: Sample, planned: int, alpha: float = 0.05) -> float:
    """`tau2` of the mixture that decides soonest around `planned` units in each group (Howard et al. 2021, eq. 3.7);
    any other is as valid and less quick. Variances count, not means: the choice does not look at the effect."""
    per_unit = control.var + treatment.var
    return per_unit / planned * (2 * log(1 / alpha) + log(1 + 2 * log(1 / alpha)))


def always_valid(control: Sample, treatment: Sample, tau2: float, confidence: float = 0.95) -> Compared:
    """Treatment less control. The p value may be compared with alpha after every unit; the interval holds the true
    difference at all looks together with the confidence asked for. `statistic`: the likelihood ratio.

    The variance is the one that was seen, so it is valid from some hundred units in each group on.
    """
    difference = treatment.mean - control.mean
    variance = control.error2 + treatment.error2
    if not isfinite(variance) or not tau2 > 0 or variance <= 0:
        return Compared(difference, -inf, inf, 1.0, nan)
    both = variance + tau2
    t = difference / sqrt(variance)  # products of variances would leave what a number can hold
    evidence = 0.5 * log(variance / both) + tau2 / both * t * t / 2
    p = exp(-evidence) if evidence > 0 else 1.0
    alpha = 1 - confidence
    half = sqrt(variance) * sqrt(both / tau2 * (2 * log(1 / alpha) + log(both / variance)))
    return Compared(difference, difference - half, difference + half, p, exp(min(evidence, 700.0)))
