import math

import pytest

from shopkeeper.core.records import Explanation, RuleTrace
from shopkeeper.explain.contributions import Contributions, probability
from shopkeeper.explain.sentences import sentences


def test_top_lists_are_by_strength_and_leave_zeros_out() -> None:
    found = Contributions(("a", "b", "c", "d", "e"), (0.5, -1.0, 0.0, 2.0, -3.0), base_value=0.25)
    assert found.top(5, positive=True) == [("d", 2.0), ("a", 0.5)]
    assert found.top(1, positive=False) == [("e", -3.0)]
    assert found.total == 0.25 + sum(found.by_name().values())


@pytest.mark.parametrize("logit", [-1000.0, -2.0, 0.0, 2.0, 1000.0])
def test_probability_never_overflows(logit: float) -> None:
    assert probability(logit) + probability(-logit) == pytest.approx(1.0)
    assert math.isfinite(probability(logit))


def test_sentences_name_what_raised_what_lowered_and_the_nearest_miss() -> None:
    details = [
        RuleTrace(name="rich", matched=True, weight=1.0, value=1.0, why="spend is 9 (> 5)", what_would_change="x"),
        RuleTrace(name="gone", matched=True, weight=-0.5, value=-0.5, why="away", what_would_change="y"),
        RuleTrace(name="far", matched=False, weight=0.1, value=0.0, why="no", what_would_change="p"),
        RuleTrace(name="loyal", matched=False, weight=0.8, value=0.0, why="no", what_would_change="orders >= 6"),
    ]
    explanation = Explanation(
        user_id="u", final_score=0.5, shap_values={"rich": 1.0, "gone": -0.5}, top_positive=[("rich", 1.0)],
        top_negative=[("gone", -0.5)], gate=1.0, f_rule=0.5, f_nn=0.0, rule_details=details, base_value=0.0,
        probability=0.62, versions={}, rules_total=4, rules_matched=2,
    )  # fmt: skip
    assert sentences(explanation) == [
        "Score +0.50 (probability 62%): 2 of 4 rules match.",
        "rich raised it by 1.00 because spend is 9 (> 5).",
        "gone lowered it by 0.50 because away.",
        "loyal (+0.80) would match with orders >= 6.",
    ]
