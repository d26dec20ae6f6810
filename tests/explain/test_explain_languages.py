"""Sentences in English and Chinese: the same slots, the same players."""

from __future__ import annotations

import re
from dataclasses import fields

from shopkeeper.core.language import LANGS
from shopkeeper.core.records import Explanation, RuleTrace
from shopkeeper.explain.contributions import Contributions
from shopkeeper.explain.phrases import PHRASES, Phrases
from shopkeeper.explain.sentences import sentences


def explanation(**changes: object) -> Explanation:
    trace = RuleTrace(name="rich", matched=False, weight=0.9, value=0.0, why="no", what_would_change="spend > 5")
    facts = {
        "user_id": "u", "final_score": 0.5, "shap_values": {"rules": 0.7, "neural": -0.001, "a": 0.2},
        "top_positive": [("rules", 0.7), ("bought:Tea", 0.2)], "top_negative": [("neural", -0.001)], "gate": 0.25,
        "f_rule": 0.5, "f_nn": 0.1, "rule_details": [trace], "base_value": -0.4, "probability": 0.62,
        "versions": {"fusion": "fusion/1"}, "game": "full", "rules_total": 4, "rules_matched": 2,
    }  # fmt: skip
    return Explanation(**{**facts, **changes})


def test_every_slot_is_in_every_language() -> None:
    en, zh = PHRASES["en"], PHRASES["zh"]
    for field in fields(Phrases):
        one, other = getattr(en, field.name), getattr(zh, field.name)
        if isinstance(one, str):
            assert sorted(re.findall(r"{\w+", one)) == sorted(re.findall(r"{\w+", other)), field.name
        else:
            assert one.keys() == other.keys()


def test_with_a_model_it_says_what_it_is_compared_with() -> None:
    assert sentences(explanation()) == [
        "Score +0.50 (probability 62%): 2 of 4 rules match.",
        "The rules alone say +0.50, purchases and behaviour +0.10; the rules carry 25.0%.",
        "It is compared with the average customer of the training, who scores -0.40.",
        "Rules raised it by 0.70.",
        "Interest in Tea raised it by 0.20.",
        "rich (+0.90) would match with spend > 5.",
    ]
    assert sentences(explanation(), lang="zh", reasons={"rules": "甲"}) == [
        "得分 +0.50（概率 62%）：共 4 条规则，匹配 2 条。",
        "仅看规则为 +0.50，仅看行为与购买为 +0.10；规则占 25.0%。",
        "参照对象是训练数据中的平均顾客，其得分为 -0.40。",
        "规则：得分升高 0.70，因为 甲。",
        "对 Tea 类商品的兴趣：得分升高 0.20。",
        "rich（+0.90）的匹配条件尚缺：spend > 5。",
    ]


def test_a_rule_may_bear_the_name_of_a_player() -> None:
    named = explanation(game="rules", top_positive=[("rules", 0.7), ("rules:orders", 0.1)], top_negative=[])
    assert sentences(named)[1:3] == ["rules raised it by 0.70.", "rules:orders raised it by 0.10."]


def test_what_would_read_as_nothing_is_not_told() -> None:
    for lang in LANGS:
        assert not [line for line in sentences(explanation(), lang=lang) if "0.00" in line]


def test_an_answer_read_back_is_the_same_contributions() -> None:
    found = Contributions.of(explanation())
    assert found.names == ("rules", "neural", "a")
    assert found.base_value == -0.4
    assert found.by_name() == explanation().shap_values
