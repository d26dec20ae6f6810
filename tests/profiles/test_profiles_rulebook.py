"""Many rules: a change compiles what it changed, previews and strategies read the present ones."""

from __future__ import annotations

import pytest
from profile_world import World

from shopkeeper.core.errors import Conflict, Invalid, NotFound
from shopkeeper.core.records import Rule
from shopkeeper.stores.rules import MOST_RULES


def conditions(world: World) -> dict[str, object]:
    return {rule.name: condition for rule, condition in world.profiles.rulebook.compiled()}


def test_a_change_compiles_that_rule_only(world: World) -> None:
    book = world.profiles.rulebook
    book.create_many([Rule(name=f"r{k}", condition=f"orders >= {k}") for k in range(20)]).result()
    before = conditions(world)
    book.update("r3", condition="spend > 3").result()
    book.delete("r4").result()
    book.update("r5", weight=9).result()
    after = conditions(world)
    assert after.keys() == before.keys() - {"r4"}
    assert [name for name in after if after[name] is not before[name]] == ["r3"]


def test_a_field_that_changes_its_type_compiles_its_readers_only(world: World) -> None:
    world.user("ada", level=1)
    book = world.profiles.rulebook
    book.create("reads", "level > 0").result()
    book.create("other", "orders > 0").result()
    before = conditions(world)
    assert before["reads"].problem is None  # type: ignore[attr-defined]
    world.user("ada", level="gold", town="Ulm")
    world.profiles.schema.refresh()
    after = conditions(world)
    assert after["other"] is before["other"]
    assert book.problems()["reads"].startswith("at 7: > compares a text with a number")
    world.user("ada", level=2)
    world.profiles.schema.refresh()
    assert book.problems() == {}
    assert world.profiles.explain("ada").f_rule == 1.0


def test_rules_are_found_by_name(world: World) -> None:
    book = world.profiles.rulebook
    assert book.find("a") is None
    book.create_many([Rule(name=name, condition="orders > 1") for name in ("b", "d", "ö", "a b")]).result()
    for name in ("b", "d", "ö", "a b"):
        found = book.find(name)
        assert found is not None
        assert found[0].name == name
    for name in ("a", "c", "e", "", "z\U0010ffff"):
        assert book.find(name) is None


def test_strategies_come_by_weight_then_name_and_each_action_once(world: World) -> None:
    world.order("ada", 1)
    book = world.profiles.rulebook
    for name, weight, action in (("b", 0.0, "two"), ("a", 0.0, "three"), ("z", -2.0, "one"), ("c", 0.0, "two")):
        book.create(name, "orders >= 1", weight=weight, action=action).result()
    book.create("not hers", "orders >= 2", weight=5, action="never").result()
    assert world.profiles.suggestions("ada") == ["one", "three", "two"]
    assert [rule.name for rule, _ in book.compiled()] == ["not hers", "z"]
    assert world.profiles.explain("ada").f_rule == -2.0
    with pytest.raises(NotFound):
        world.profiles.suggestions("nobody")


def test_whom_no_strategy_matches_gets_the_declared_default(world: World) -> None:
    world.order("ada", 1)
    world.profiles.seed_defaults()
    assert world.profiles.suggestions("ada") == ["keep in touch: nothing special is called for now"]
    world.user("new")
    assert world.profiles.suggestions("new") == ["send a coupon for the first purchase"]


def test_a_revert_is_a_new_version_and_must_fit_the_fields(world: World) -> None:
    world.user("ada", level=1)
    book = world.profiles.rulebook
    book.create("r", "level > 0", weight=2).result()
    book.update("r", condition="orders > 0", weight=1).result()
    assert book.revert("r", 1).result().version == 3
    book.update("r", condition="orders > 0").result()
    world.user("ada")
    with pytest.raises(Invalid, match="unknown field 'level'"):
        book.revert("r", 1)
    assert book.get("r").condition == "orders > 0"
    with pytest.raises(NotFound):
        book.revert("r", 99)


def test_a_preview_leaves_out_who_is_no_customer(world: World) -> None:
    for k in range(50):
        world.order(f"u{k:02d}", k)
    world.user("listed")
    world.user("gone")
    world.users.delete("gone").result()
    world.event(None, "view", 1, anonymous_id="visitor")
    told = world.profiles.preview("orders >= 0", weight=1.5)()
    assert (told.matches, told.total, len(told.sample)) == (51, 51, 20)
    assert len(set(told.sample)) == 20
    assert "gone" not in told.sample
    assert told.score_shift.mean == 1.5
    with pytest.raises(Invalid, match="at 1: unknown field 'nothing'"):
        world.profiles.preview("nothing > 1")


def test_a_preview_reads_scores_as_segments_do(world: World) -> None:
    for k in range(10):
        world.order(f"u{k}", k, price=10.0 * k)
    world.profiles.segmentbook.create("top", "monetary_score == 5").result()
    members = [f"u{k}" for k in range(10) if "top" in str(world.profiles.profile(f"u{k}")["segments"])]
    assert len(members) == 2
    assert sorted(world.profiles.preview("monetary_score == 5")().sample) == members


@pytest.mark.slow
def test_a_shop_with_as_many_rules_as_it_may_have(world: World) -> None:
    world.order("ada", 1)
    book = world.profiles.rulebook
    texts = ("orders >= {}", "spend in 30 days > {}", "net_spend > {} and not lifecycle == 'lost'")
    for part in range(10):
        numbers = range(part * 1000, part * 1000 + 1000)
        rules = [Rule(name=f"r{k:05d}", condition=texts[k % 3].format(k), weight=0.001) for k in numbers]
        assert all(isinstance(one, Rule) for one in book.create_many(rules).result())
    with pytest.raises(Conflict, match="10,000 rules already"):
        book.create("one more", "orders > 1").result()
    before = conditions(world)
    assert len(book.all()) == len(before) == MOST_RULES
    assert world.profiles.profile("ada")["scores"]["final_score"] == pytest.approx(0.001 * 7)
    assert world.profiles.explain("ada").final_score == pytest.approx(0.001 * 7)
    assert world.profiles.preview("orders >= 1", weight=1.0, name="r00000")().score_shift.mean == pytest.approx(0.999)
    book.update("r05000", condition="orders >= 1").result()
    after = conditions(world)
    assert [name for name in after if after[name] is not before[name]] == ["r05000"]
