"""How many units an experiment needs, what it can find with those that it has. Two-sided tests of two groups."""

from __future__ import annotations

from math import ceil, isfinite, nan, sqrt

from scipy import special

from shopkeeper.core.errors import Invalid

MOST = 10**9


def power_of_means(effect: float, deviation: float, n: float, m: float | None = None, alpha: float = 0.05) -> float:
    """The chance to find a difference of means of `effect`, where one unit's value deviates by `deviation` (same unit),
    with `n` units in one group and `m` (as many) in the other: by the noncentral t distribution."""
    other = n if m is None else m
    if deviation <= 0 or n < 2 or other < 2:
        return nan
    df = n + other - 2
    shift = abs(effect) / (deviation * sqrt(1 / n + 1 / other))
    edge = float(special.stdtrit(df, 1 - alpha / 2))
    if df > 1e6 or shift > 30:  # the same to many digits, where nctdtr gives up
        return float(special.ndtr(shift - edge) + special.ndtr(-shift - edge))
    return float(1 - special.nctdtr(df, shift, edge) + special.nctdtr(df, shift, -edge))


def size_for_means(effect: float, deviation: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """Units in each group to find a difference of means. Raises Invalid when no number would do."""
    _bounds(alpha, power)
    if not effect or not isfinite(effect) or not deviation > 0 or not isfinite(deviation):
        raise _impossible("the effect must not be 0 and the deviation must be above 0", "effect")
    z = float(special.ndtri(1 - alpha / 2) + special.ndtri(power))
    ratio = z * deviation / effect
    n = _bounded(2 * ratio * ratio)  # inf, where a power would raise
    low, high = max(2, int(n) - 2), int(n) + 6
    while high > low:  # the t distribution wants a few more than the normal one
        middle = (low + high) // 2
        if power_of_means(effect, deviation, middle, alpha=alpha) >= power:
            high = middle
        else:
            low = middle + 1
    return high


def size_for_shares(baseline: float, changed: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """Units in each group to tell two shares apart (Fleiss 1981, without correction). Raises Invalid."""
    _bounds(alpha, power)
    for name, rate in (("baseline", baseline), ("effect", changed)):
        if not 0 <= rate <= 1:
            raise _impossible(f"the share comes to {rate:g}, expected 0 to 1", name)
    if baseline == changed:
        raise _impossible("the effect is 0: no number of people would show it", "effect")
    middle = (baseline + changed) / 2
    null = sqrt(2 * middle * (1 - middle))
    other = sqrt(baseline * (1 - baseline) + changed * (1 - changed))
    z = float(special.ndtri(1 - alpha / 2)) * null + float(special.ndtri(power)) * other
    ratio = z / (changed - baseline)
    return ceil(_bounded(ratio * ratio))


def detectable(error: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest true difference that is found with the chance `power`, at the standard error of the difference."""
    return float(special.ndtri(1 - alpha / 2) + special.ndtri(power)) * error


def power_now(effect: float, error: float, alpha: float = 0.05) -> float:
    """The chance to find a true difference of `effect` at a standard error. Not of the effect that was seen: that
    would say nothing that the p value does not say."""
    if not error > 0:
        return nan
    shift, edge = abs(effect) / error, float(special.ndtri(1 - alpha / 2))
    return float(special.ndtr(shift - edge) + special.ndtr(-shift - edge))


def _bounds(alpha: float, power: float) -> None:
    if not 0 < alpha < 1:
        raise _impossible(f"alpha is {alpha:g}, expected above 0 and below 1", "alpha")
    if not alpha < power < 1:
        raise _impossible(f"power is {power:g}, expected above alpha and below 1", "power")


def _bounded(n: float) -> float:
    if not n <= MOST:
        raise _impossible("more than 1,000,000,000 people would be needed; look for a larger effect", "effect")
    return n


def _impossible(why: str, field: str) -> Invalid:
    return Invalid(f"no sample size: {why}", code="no_sample_size", field=field)
