"""The gate never lets a worse model pass, and says why."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopkeeper.quality import gate

measure = st.floats(0.01, 1.0)
anything = st.floats(allow_nan=True, allow_infinity=True)


def test_the_first_version_passes_when_its_measures_are_sound():
    assert gate.ranking({"auc": 0.7, "log_loss": 0.5}, None).verdict == "PROMOTE"


def test_slightly_worse_is_allowed_and_clearly_worse_is_rejected():
    champion = {"auc": 0.80, "log_loss": 0.50}
    assert gate.ranking({"auc": 0.793, "log_loss": 0.504}, champion).verdict == "PROMOTE"
    assert gate.ranking({"auc": 0.791, "log_loss": 0.50}, champion).verdict == "REJECT"
    assert gate.ranking({"auc": 0.85, "log_loss": 0.51}, champion).verdict == "REJECT"


def test_reasons_name_both_values_and_the_bound():
    verdict = gate.ranking({"auc": 0.7, "log_loss": 0.5}, {"auc": 0.8, "log_loss": 0.5})
    assert verdict.reasons[0] == "auc 0.7, the champion has 0.8, required >= 0.792"


def test_a_forecast_that_loses_to_naive_is_held_even_without_a_champion():
    assert gate.forecast({"wape": 0.5, "pinball": 0.2, "naive_wape": 0.4}, None).verdict == "HOLD"
    assert gate.forecast({"wape": 0.4, "pinball": 0.2, "naive_wape": 0.4}, None).verdict == "PROMOTE"
    worse = gate.forecast({"wape": 0.5, "pinball": 0.2, "naive_wape": 0.4}, {"wape": 0.3, "pinball": 0.2})
    assert worse.verdict == "REJECT"


def test_a_champion_without_the_measure_holds():
    verdict = gate.retrieval({"recall@20": 0.3}, {"ndcg": 0.1})
    assert verdict.verdict == "HOLD"
    assert "cannot be compared" in verdict.reasons[0]


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_a_measure_that_is_no_number_rejects(value):
    metrics = {} if value is None else {"recall@20": value}
    assert gate.retrieval(metrics, None).verdict == "REJECT"


def test_no_rule_holds_and_held_never_improves():
    assert gate.judge([], {"auc": 1.0}, None).verdict == "HOLD"
    promote = gate.ranking({"auc": 0.7, "log_loss": 0.5}, None)
    reject = gate.ranking({"auc": 0.1, "log_loss": 0.5}, {"auc": 0.7, "log_loss": 0.5})
    assert gate.held(promote, "why").verdict == "HOLD"
    assert gate.held(reject, "why").verdict == "REJECT"
    assert gate.held(promote, "why").reasons[-1] == "why"


@given(anything, anything, measure, measure)
def test_promoted_means_within_both_bounds(auc, loss, best_auc, best_loss):
    verdict = gate.ranking({"auc": auc, "log_loss": loss}, {"auc": best_auc, "log_loss": best_loss}).verdict
    within = math.isfinite(auc) and math.isfinite(loss) and auc >= 0.99 * best_auc and loss <= 1.01 * best_loss
    assert (verdict == "PROMOTE") == within


@given(measure, measure, measure, st.floats(0.0, 0.5))
def test_a_better_candidate_is_never_judged_harder(error, champion, naive, gain):
    order = {"REJECT": 0, "HOLD": 1, "PROMOTE": 2}

    def verdict(value):
        return order[gate.forecast({"wape": value, "naive_wape": naive}, {"wape": champion}, loss=None).verdict]

    assert verdict(error * (1 - gain)) >= verdict(error)


POLICY = {"dr": 0.10, "dr_low": 0.09, "dr_high": 0.11, "effective": 500.0, "rewarded": 50.0, "logged": 0.08}


def test_a_policy_is_promoted_when_its_interval_says_that_it_does_not_fall_behind():
    assert gate.judge_policy(POLICY, {"dr": 0.095}).verdict == "PROMOTE"
    assert gate.judge_policy(POLICY, {"dr": 0.10}).verdict == "PROMOTE"
    assert gate.judge_policy(POLICY, {"dr": 0.101}).verdict == "HOLD"
    assert gate.judge_policy(POLICY, {"dr": 0.11}).verdict == "HOLD"
    assert gate.judge_policy(POLICY, {"dr": 0.111}).verdict == "REJECT"


def test_a_policy_that_surely_falls_behind_is_rejected_even_within_the_tolerance():
    sharp = POLICY | {"dr_low": 0.0999, "dr_high": 0.1001}
    assert gate.judge_policy(sharp, {"dr": 0.1005}).verdict == "REJECT"
    assert gate.judge_policy(sharp, {"dr": 0.1}).verdict == "PROMOTE"


def test_a_policy_is_held_on_few_rounds_whatever_they_say():
    few = gate.judge_policy(POLICY | {"effective": 199.0}, {"dr": 0.01})
    assert few.verdict == "HOLD"
    assert few.reasons == ["199 effective rounds, required >= 200"]
    rare = gate.judge_policy(POLICY | {"rewarded": 3.0, "dr": 0.0, "dr_low": 0.0, "dr_high": 0.0}, {"dr": 0.01})
    assert (rare.verdict, rare.reasons) == ("HOLD", ["3 rewarded rounds, required >= 20"])
    for name in ("effective", "rewarded"):
        unknown = {each: value for each, value in POLICY.items() if each != name}
        assert gate.judge_policy(unknown, {"dr": 0.01}).verdict == "HOLD"


def test_the_first_policy_is_compared_with_what_was_logged():
    assert gate.judge_policy(POLICY, None).verdict == "PROMOTE"
    assert gate.judge_policy(POLICY | {"logged": 0.12}, None).verdict == "REJECT"
    assert gate.judge_policy(POLICY | {"logged": math.nan}, None).verdict == "HOLD"


@pytest.mark.parametrize("name", ["dr", "dr_low", "dr_high"])
@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_a_policy_without_a_finite_interval_is_rejected(name, value):
    measures = {**POLICY, name: value}
    if value is None:
        del measures[name]
    found = gate.judge_policy(measures, {"dr": 0.01})
    assert found.verdict == "REJECT"
    assert name in found.reasons[0]


def test_a_policy_can_be_judged_by_another_estimator():
    measures = {"snips": 0.2, "snips_low": 0.19, "snips_high": 0.21, "effective": 1e3, "rewarded": 1e2}
    assert gate.judge_policy(measures, {"snips": 0.2}, value="snips").verdict == "PROMOTE"
    assert gate.judge_policy(measures, {"dr": 0.2}, value="snips").verdict == "HOLD"
