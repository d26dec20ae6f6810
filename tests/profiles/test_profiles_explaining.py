"""Explanations in a small shop of real parts: fresh at once, bounded, in two languages, with and without a model."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fused_shop import shop

from shopkeeper.core.clock import DAY, SECOND
from shopkeeper.core.records import Explanation
from shopkeeper.profiles.answers import MOST_MISSES, Question
from shopkeeper.profiles.explaining import FRESH_S, Explaining, told_apart
from shopkeeper.profiles.families import FAMILIES, family_of, field_of, term_of
from shopkeeper.profiles.fields import STANDARD
from shopkeeper.profiles.fusion.activity import ACTIVITY
from shopkeeper.profiles.fusion.inputs import gather
from shopkeeper.profiles.ladder import LEVELS, Level

FEW: tuple[Level, ...] = ("two", "groups", "inputs")
CJK = re.compile(r"[\u4e00-\u9fff，。：（）、；]")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("user", ["ada", "new"])
def test_every_level_adds_up_for_everybody(tmp_path: Path, level: Level, fused: bool, user: str) -> None:
    if level == "audit":
        pytest.importorskip("shap")
    world, _ = shop(tmp_path, fused=fused)
    found = world.profiles.explain(user, level=level)
    assert found.base_value + sum(found.shap_values.values()) == pytest.approx(found.final_score, abs=1e-9)
    assert found.level == level
    assert (found.versions["fusion"] is not None) is fused
    assert found.rules_total == len(found.rule_details) == 4
    assert found.sentences
    assert (found.audit is not None) is (level == "audit")
    if found.audit is not None:
        assert found.audit.largest_difference < 1e-9
    if user == "new" or not fused:
        assert found.gate == 1.0
    world.close()


def test_the_score_is_that_of_the_model_as_it_is_trained_and_served(tmp_path: Path) -> None:
    world, models = shop(tmp_path)
    _, table = world.profiles._look_up("ada")
    fusing = world.profiles.fuser.current()
    assert fusing is not None
    row = np.array([world.profiles.people.find("ada").row])
    inputs = gather(fusing.frame, table, world.profiles.rulebook.compiled(), world.features, row)
    fused = models.served["fusion"].model.fuse(inputs)
    for level in FEW:
        found = world.profiles.explain("ada", level=level)
        assert found.final_score == pytest.approx(fused.score[0], abs=1e-12)
        assert found.gate == pytest.approx(fused.gate[0], abs=1e-12)
        assert (found.f_rule, found.f_nn) == pytest.approx((fused.f_rule[0], fused.f_nn[0]), abs=1e-12)
    world.close()


@pytest.mark.parametrize("fused", [True, False])
def test_profile_and_explanation_show_the_same_score_to_the_last_digit(tmp_path: Path, fused: bool) -> None:
    world, _ = shop(tmp_path, fused=fused)
    for at in range(40):  # weights whose sums depend on the order in which they are added
        condition = f"orders >= {at % 7} and total_events > {at % 3}"
        world.profiles.rulebook.create(f"r{at}", condition, weight=0.1 * (-1) ** at * (at or 0.0)).result()
    for user in ("ada", "new"):
        scores = world.profiles.profile(user)["scores"]
        for level in FEW:
            told = world.profiles.explain(user, level=level)
            for name in ("final_score", "probability", "gate", "f_rule", "f_nn"):
                assert getattr(told, name) == scores[name], (user, level, name)
    world.close()


def test_players_have_names_and_no_two_the_same(tmp_path: Path) -> None:
    world, _ = shop(tmp_path)
    groups = world.profiles.explain("ada").shap_values
    assert {"rules:spending", "rules:orders", "rules:recency", "rules:attributes"} <= groups.keys()
    assert {"bought:Mugs", "bought:Cups", "bought:Lights"} <= groups.keys()
    assert {"activity:short term", "activity:long term", "activity:rhythm"} <= groups.keys()
    inputs = world.profiles.explain("ada", level="inputs")
    assert {"item:MUG [a]", "item:MUG [b]", "item:LAMP", "rule:buyer", "activity:spend"} <= inputs.shap_values.keys()
    assert inputs.game == "gate frozen"
    values = {trace.name: trace.value for trace in inputs.rule_details}
    assert {f"rule:{name}": value for name, value in values.items()}.items() <= inputs.shap_values.items()
    world.close()


def test_names_are_told_apart_whatever_they_are() -> None:
    assert told_apart(["A", "B"], ["1", "2"]) == ("A", "B")
    found = told_apart(["A", "A", "A [1]", "A [1]"], ["1", "2", "3", "1"])
    assert len(set(found)) == 4


# -- fresh -----------------------------------------------------------------------------------------------------


def test_the_same_question_is_answered_from_memory(tmp_path: Path) -> None:
    world, _ = shop(tmp_path)
    first = world.profiles.explain("ada")
    assert world.profiles.explain("ada") is first
    assert world.profiles.explain("ada", lang="zh") is not first
    assert world.profiles.explain("ada", k=1) is not first
    assert world.profiles.explaining.clear() == 3
    assert world.profiles.explain("ada") is not first
    assert world.profiles.explain("ada") == first
    world.close()


@pytest.mark.parametrize("change", ["event", "rule", "weight", "record", "model", "time", "field"])
@pytest.mark.parametrize("level", FEW)
def test_whatever_changes_is_in_the_next_answer(tmp_path: Path, change: str, level: Level) -> None:
    world, models = shop(tmp_path)
    before = world.profiles.explain("ada", level=level)
    match change:
        case "event":
            world.order("ada", 0, "c", 3, 10.0)
        case "rule":
            world.profiles.rulebook.create("more", "orders >= 1", weight=0.4).result()
        case "weight":
            world.profiles.rulebook.update("buyer", weight=2.0).result()
        case "record":
            world.user("ada", country="Chile")
        case "model":
            models.put(2, 2, item_ids=("a", "b", "c"))
        case "time":
            world.clock.advance(40 * DAY)
        case "field":
            world.user("new", vip="perhaps", country=7)
            world.user("vip", vip="yes")
            world.profiles.schema.refresh()
    after = world.profiles.explain("ada", level=level)
    assert after is not before
    fresh = Explaining(world.features, world.profiles.rulebook, world.catalog, world.profiles.fuser.current)
    _, table = world.profiles._look_up("ada")
    person = world.profiles.people.find("ada")
    assert fresh.ask(person, table, 5, level, "en").answer() == after
    if change != "field":
        assert after.final_score != before.final_score
    world.close()


def test_time_alone_counts_after_some_seconds(tmp_path: Path) -> None:
    world, _ = shop(tmp_path)
    first = world.profiles.explain("ada")
    world.clock.advance(FRESH_S * SECOND)
    assert world.profiles.explain("ada") is not first
    world.close()


def test_an_answer_that_comes_after_its_person_was_erased_is_not_kept(tmp_path: Path) -> None:
    world, _ = shop(tmp_path)
    explaining = world.profiles.explaining
    explaining.clear()
    asked = world.profiles.ask("ada")
    answer = asked.answer()
    explaining.keep(asked, answer)
    assert explaining.clear() == 1
    world.profiles.forget([asked.key[0]])
    explaining.keep(asked, answer)
    assert explaining.clear() == 0
    world.close()


def test_what_is_kept_is_bounded_and_forgotten_with_a_person(tmp_path: Path) -> None:
    world, _ = shop(tmp_path)
    small = Explaining(
        world.features, world.profiles.rulebook, world.catalog, world.profiles.fuser.current, most_kept=60
    )

    def asked(user: str) -> Any:
        _, table = world.profiles._look_up(user)
        found = small.ask(world.profiles.people.find(user), table, 5, "groups", "en")
        small.keep(found, found.answer())
        return found

    for at in range(20):
        world.user(f"u{at}", country="Norway")
        asked(f"u{at}")
    assert 1 <= small.clear() <= 4
    asked("u1"), asked("u2")
    small.forget([world.profiles.people.find("u1").row])
    assert isinstance(asked("u2").question, Explanation)
    assert isinstance(asked("u1").question, Question)
    world.close()


# -- languages -------------------------------------------------------------------------------------------------


def numbers(text: str) -> Counter[str]:
    return Counter(re.findall(r"\d+(?:[.,]\d+)*", text))


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("level", FEW)
@pytest.mark.parametrize("user", ["ada", "new"])
def test_both_languages_say_the_same_numbers_and_neither_the_other(
    tmp_path: Path, level: Level, fused: bool, user: str
) -> None:
    world, _ = shop(tmp_path, fused=fused)
    en, zh = (world.profiles.explain(user, level=level, lang=lang) for lang in ("en", "zh"))
    assert en.shap_values == zh.shap_values
    assert len(en.sentences) == len(zh.sentences)
    for ours, theirs in zip(en.sentences, zh.sentences, strict=True):
        assert numbers(ours) == numbers(theirs), (ours, theirs)
        assert not CJK.search(ours)
        assert CJK.search(theirs)
    for ours, theirs in zip(en.rule_details, zh.rule_details, strict=True):
        assert (ours.name, ours.matched, ours.weight, ours.value) == (
            theirs.name, theirs.matched, theirs.weight, theirs.value,
        )  # fmt: skip
        assert numbers(ours.why) == numbers(theirs.why)
        assert numbers(ours.what_would_change or "") == numbers(theirs.what_would_change or "")
        for english in (" is ", " and ", "missing", "needed", "none of", "one of", "now "):
            assert english not in theirs.why + (theirs.what_would_change or "")
    world.close()


def test_of_what_was_only_looked_at_nobody_says_that_it_was_bought(tmp_path: Path) -> None:
    world, _ = shop(tmp_path)
    world.event("new", "view", 1, "a")
    for level in FEW:
        told = " ".join(world.profiles.explain("new", level=level).sentences)
        assert "Having bought" not in told
        assert "Purchases of" not in told
        assert "购买过" not in " ".join(world.profiles.explain("new", level=level, lang="zh").sentences)
    assert any(one.startswith("item:MUG") for one in world.profiles.explain("new", level="inputs").shap_values)
    world.close()


def test_chinese_has_no_space_behind_a_full_width_mark_and_no_half_width_colon(tmp_path: Path) -> None:
    world, _ = shop(tmp_path)
    for level in FEW:
        found = world.profiles.explain("ada", level=level, lang="zh")
        for line in (*found.sentences, *(trace.why for trace in found.rule_details)):
            assert not re.search(r"[，。：、；] ?[，。：、；]|： ", line), line
            assert ":" not in line, line
    world.close()


# -- many rules --------------------------------------------------------------------------------------------------


def test_of_very_many_rules_all_that_match_and_the_nearest_misses_are_told(tmp_path: Path) -> None:
    world, _ = shop(tmp_path)
    rules = world.profiles.rulebook
    made = [rules.create(f"m{at:04}", f"spend > {at}", weight=0.001) for at in range(0, 900, 3)]
    for future in made:
        future.result()
    for level in FEW:
        asked = world.profiles.ask("ada", level=level)
        assert asked.heavy
        found = asked.answer()
        held = [trace for trace in found.rule_details if trace.matched]
        missed = [trace for trace in found.rule_details if not trace.matched]
        assert found.rules_total == 304
        assert len(held) == found.rules_matched == sum(at < 100 for at in range(0, 900, 3)) + 2
        assert len(missed) == MOST_MISSES
        assert "m0102" in {trace.name for trace in missed}
        assert "m0897" not in {trace.name for trace in missed}
        assert [trace.name for trace in found.rule_details] == sorted(trace.name for trace in found.rule_details)
        assert f"of {found.rules_total} rules" in found.sentences[0]
    world.close()


# -- families ----------------------------------------------------------------------------------------------------


def test_every_standard_field_has_a_family() -> None:
    named = {field for fields in FAMILIES.values() for field in fields}
    assert {field.name for field in STANDARD} - named == {"user_id"}


def test_a_rule_belongs_where_most_of_its_fields_do() -> None:
    assert family_of(frozenset({"spend in 30 days", "orders"})) == "spending"
    assert family_of(frozenset({"spend", "orders", "pieces in 7 days"})) == "orders"
    assert family_of(frozenset({"monthly_fee"})) == "attributes"
    assert family_of(frozenset()) == "attributes"


def test_activity_numbers_are_made_of_fields(tmp_path: Path) -> None:
    world, _ = shop(tmp_path)
    fields = {field_of(name) for name in ACTIVITY}
    assert fields <= set(world.profiles.schema.current().types)
    assert {term_of(field) for field in fields} == {"short term", "long term", "rhythm"}
    assert term_of("orders in 30 days") == "short term"
    assert term_of("orders in 60 days") == term_of("orders") == "long term"
    assert term_of("days_since_order") == "rhythm"
    world.close()
