"""Traces in English and Chinese: the same facts, the same numbers, each in its own words."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest
from hypothesis import given, settings
from rule_trees import SCHEMA, profiles, rules

from shopkeeper.core.language import LANGS, preferred
from shopkeeper.rules.parser import parse
from shopkeeper.rules.phrases import PHRASES, Phrases
from shopkeeper.rules.trace import trace
from shopkeeper.rules.tree import Node

NUMBER = re.compile(r"\d+(?:[.,]\d+)*(?:e[+-]?\d+)?")


@pytest.mark.parametrize(
    ("text", "why", "change"),
    [
        ("a > 10", "a 为 4（<= 10）", "a > 10（现为 4，还需增加 6）"),
        ("a >= 4 and b < 5", "a 为 4（>= 4），且 b 为 1（< 5）", "a < 4（现为 4，正好在界限上）"),
        ("'6G' in plan", "plan 为 '5G'：不包含 '6G'", "plan 包含 '6G'"),
        ("plan in ['a', 'b']", "plan 为 '5G'：不属于 'a'、'b'", "plan 属于 'a'、'b'"),
        ("not vip", "vip 为假", "vip 为真"),
        ("b in 7 days > 2", "b in 7 days 缺失", "b in 7 days 有值，且 b in 7 days > 2"),
        ("'click' in counts", "counts 不含 'click'", "counts 含有 'click'"),
        ("city is None", "city 缺失", "city 有值"),
        ("1 > 2", "1（<= 2）", "1 > 2（现为 1，还需增加 1）"),
        ("True", "恒成立", "无法改变：规则本身如此"),
    ],
)
def test_chinese(text: str, why: str, change: str) -> None:
    found = trace(parse(text, SCHEMA), SCHEMA.row({"a": 4, "b": 1, "plan": "5G", "counts": {"order": 3}}), "zh")
    assert (found.why, found.what_would_change) == (why, change)


@settings(max_examples=300, deadline=None)
@given(rules, profiles)
def test_both_languages_say_the_same(rule: Node, person: dict) -> None:
    row = SCHEMA.row(person)
    en, zh = trace(rule, row, "en"), trace(rule, row, "zh")
    assert (en.matched, len(en.leaves), len(en.changes)) == (zh.matched, len(zh.leaves), len(zh.changes))
    for ours, theirs in zip(en.leaves, zh.leaves, strict=True):
        assert (ours.text, ours.holds, ours.distance, ours.effort) == (
            theirs.text, theirs.holds, theirs.distance, theirs.effort,
        )  # fmt: skip
        assert sorted(NUMBER.findall(ours.says)) == sorted(NUMBER.findall(theirs.says))
        assert sorted(NUMBER.findall(ours.would)) == sorted(NUMBER.findall(theirs.would))


def test_every_phrase_has_the_same_blanks_in_every_language() -> None:
    for field in fields(Phrases):
        blanks = {lang: getattr(PHRASES[lang], field.name).count("{}") for lang in LANGS}
        assert len(set(blanks.values())) == 1, (field.name, blanks)
        if field.name not in ("would", "comma"):
            assert PHRASES["zh"].__getattribute__(field.name) != getattr(PHRASES["en"], field.name)


@pytest.mark.parametrize(
    ("accept", "lang"),
    [
        (None, "en"),
        ("", "en"),
        ("zh", "zh"),
        ("zh-Hans-CN, en;q=0.9", "zh"),
        ("en;q=0.1, zh;q=0.2", "zh"),
        ("zh; q=0.5, en; q=0.6", "en"),
        ("zh;q=2", "en"),
        ("zh;level=1", "en"),
        ("ja, ko", "en"),
        ("ZH", "zh"),
        (",".join(["x"] * 10_000) + ",zh", "en"),
    ],
)
def test_the_preferred_language(accept: str | None, lang: str) -> None:
    assert preferred(accept) == lang
