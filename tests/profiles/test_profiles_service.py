from pathlib import Path

import msgspec
import pytest
from profile_world import World

from shopkeeper.core.clock import DAY, SECOND
from shopkeeper.core.errors import Conflict, Invalid, NotFound, Stale
from shopkeeper.explain.sentences import sentences
from shopkeeper.profiles.telecom_defaults import TELECOM
from shopkeeper.rules.defaults import TELECOM_RULES, TELECOM_STRATEGIES


def test_a_profile_has_record_counts_windows_attributes_and_scores(world: World) -> None:
    world.user("ada", country="Norway", level=3)
    world.order("ada", 40, "mug", 2, 10.0)
    world.order("ada", 10, "cup", 3, 5.0)
    world.event("ada", "click", 1)
    world.event("ada", "return", 5, "mug", -1, 10.0)
    found = world.profiles.profile("ada")
    assert found["profile"]["user"] == {"country": "Norway", "level": 3, "user_id": "ada"}
    assert found["profile"]["event_counts"] == {"order": 2, "click": 1, "return": 1}
    assert found["profile"]["last_event_at"].startswith("2023-11-13T")
    assert found["attributes"]["net_spend"] == 25.0
    assert found["attributes"]["days_since_order"] == 10.0
    assert found["attributes"]["days_between_orders"] == 30.0
    assert found["attributes"]["lifecycle"] == "active"
    assert found["windows"]["30d"]["orders"] == 1
    scores = found["scores"]
    assert (scores["final_score"], scores["probability"], scores["f_rule"], scores["rules"]) == (0, 0.5, 0, {})
    assert msgspec.json.decode(msgspec.json.encode(found))["user_id"] == "ada"


def test_a_user_without_events_has_a_profile_with_missing_numbers(world: World) -> None:
    world.user("new", country="Norway")
    found = world.profiles.profile("new")
    assert found["attributes"]["lifecycle"] == "prospect"
    assert found["attributes"]["days_since_order"] is None
    assert found["attributes"]["rfm"] is None
    assert found["profile"]["last_event_at"] is None


def test_a_user_known_from_events_only_has_a_profile(world: World) -> None:
    world.order("walk-in", 3)
    assert world.profiles.profile("walk-in")["profile"]["user"] == {"user_id": "walk-in"}


def test_unknown_and_deleted_users_and_visitors_have_none(world: World) -> None:
    world.user("gone")
    world.order("gone", 3)
    world.users.delete("gone").result()
    world.event(None, "view", 1, anonymous_id="visitor")
    for nobody in ("nobody", "gone", "visitor", "\0visitor"):
        with pytest.raises(NotFound, match="put a record or send an event"):
            world.profiles.profile(nobody)
        with pytest.raises(NotFound):
            world.profiles.explain(nobody)


def test_the_last_event_counts_at_once(world: World) -> None:
    world.order("ada", 3)
    world.profiles.rulebook.create("buyer", "orders >= 2").result()
    assert world.profiles.explain("ada").f_rule == 0.0
    world.order("ada", 0)
    assert world.profiles.explain("ada").f_rule == 1.0


def test_time_alone_changes_windows_and_stages(world: World) -> None:
    world.order("ada", 0)
    world.profiles.rulebook.create("recent", "orders in 7 days >= 1 and lifecycle == 'new'").result()
    assert world.profiles.explain("ada").f_rule == 1.0
    world.clock.advance(7 * DAY)
    assert world.profiles.explain("ada").f_rule == 0.0


def test_scores_compare_with_the_customers_of_today(world: World) -> None:
    world.order("anna", 100)
    assert world.profiles.profile("anna")["attributes"]["recency_score"] == 5
    for n in range(9):
        world.order(f"u{n}", n)
    world.clock.advance(61 * SECOND)
    assert world.profiles.profile("anna")["attributes"]["recency_score"] == 1


def test_an_explanation_adds_up_and_says_why(world: World) -> None:
    world.order("ada", 3, quantity=30, price=1.0)
    for name, condition, weight in [
        ("a", "spend >= 30", 0.1),
        ("b", "orders >= 1", 0.2),
        ("c", "spend > 100", 9.0),
        ("d", "'order' in event_counts", -0.7),
    ]:
        world.profiles.rulebook.create(name, condition, weight=weight).result()
    found = world.profiles.explain("ada", k=1)
    assert found.base_value + sum(found.shap_values.values()) == found.final_score
    assert found.shap_values == {"a": 0.1, "b": 0.2, "c": 0.0, "d": -0.7}
    assert found.top_positive == [("b", 0.2)]
    assert found.top_negative == [("d", -0.7)]
    assert (found.gate, found.f_nn) == (1.0, 0.0)
    missed = found.rule_details[2]
    assert not missed.matched
    assert missed.why == "spend is 30 (<= 100)"
    assert missed.what_would_change == "spend > 100 (now 30, 70 more needed)"
    assert found.versions["rules"]
    assert "c (+9.00) would match with spend > 100 (now 30, 70 more needed)." in sentences(found)


def test_rules_are_changed_while_running(world: World) -> None:
    world.order("ada", 1)
    first = world.profiles.rulebook.create("r", "orders >= 1", weight=0.5, by="eve").result()
    before = world.profiles.explain("ada").versions["rules"]
    world.profiles.rulebook.update("r", weight=2.0).result()
    assert world.profiles.explain("ada").f_rule == 2.0
    assert world.profiles.explain("ada").versions["rules"] != before
    world.profiles.rulebook.update("r", condition="orders >= 5").result()
    assert world.profiles.explain("ada").f_rule == 0.0
    world.profiles.rulebook.delete("r").result()
    assert world.profiles.rulebook.all() == []
    assert first.updated_by == "eve"


def test_a_lost_race_and_a_bad_condition_change_nothing(world: World) -> None:
    world.profiles.rulebook.create("r", "orders >= 1").result()
    with pytest.raises(Stale):
        world.profiles.rulebook.update("r", weight=3, if_match='"0"').result()
    with pytest.raises(Invalid, match=r"^at 1: unknown field 'ordrs'; did you mean 'orders'"):
        world.profiles.rulebook.update("r", condition="ordrs > 1")
    with pytest.raises(Invalid, match=r"^at "):
        world.profiles.rulebook.create("s", "spend >")
    with pytest.raises(Invalid, match="exists"):
        world.profiles.rulebook.create("r", "orders > 1").result()
    assert [(rule.condition, rule.version) for rule in world.profiles.rulebook.all()] == [("orders >= 1", 1)]


def test_attributes_of_users_are_fields_of_rules(world: World) -> None:
    world.user("ada", country="Norway", vip=True, points=12, prefs={"tea": 2}, **{"not a name": 1, "orders": "x"})
    world.user("bob", country="Norway", points="many")
    world.user("cy", points=3)
    world.profiles.rulebook.create("r", "country == 'Norway' and vip and points > 10 and prefs['tea'] == 2").result()
    assert world.profiles.explain("ada").f_rule == 1.0
    assert world.profiles.explain("bob").f_rule == 0.0
    fields = {field["name"]: field["type"] for field in world.profiles.schema.fields()}
    assert (fields["country"], fields["vip"], fields["points"], fields["prefs"]) == ("text", "bool", "number", "map")
    assert fields["orders"] == "number"
    assert "not a name" not in fields


def test_a_rule_whose_field_went_away_is_named_and_matches_nobody(world: World) -> None:
    world.user("ada", country="Norway")
    world.profiles.rulebook.create("r", "country == 'Norway'").result()
    assert world.profiles.rulebook.problems() == {}
    world.user("ada")
    world.profiles.schema.refresh()
    assert world.profiles.rulebook.problems()["r"].startswith("at 1: unknown field 'country'")
    assert world.profiles.explain("ada").rule_details[0].why.startswith("cannot run: at 1")


def test_the_telecom_rules_run_verbatim_on_user_records(tmp_path: Path) -> None:
    world = World(tmp_path, defaults=TELECOM)
    for rule in TELECOM_RULES:
        world.profiles.rulebook.create(rule.name, rule.condition, weight=rule.weight).result()
    world.user("ada", plan_type="5G family", monthly_fee=320, tenure_months=40)
    world.event("ada", "app_use")
    for _ in range(10):
        world.event("ada", "click")
    assert world.profiles.explain("ada").f_rule == pytest.approx(1.0 + 0.8 + 0.6)
    world.user("bob", monthly_fee=50, tenure_months=12)
    assert world.profiles.explain("bob").f_rule == pytest.approx(-0.7)
    world.close()


def test_the_telecom_strategies_suggest_what_was_asked_for(tmp_path: Path) -> None:
    world = World(tmp_path, defaults=TELECOM)
    for rule in TELECOM_STRATEGIES:
        made = world.profiles.rulebook.create(rule.name, rule.condition, weight=rule.weight, action=rule.action)
        assert made.result().action
    world.user("ada", monthly_fee=99.9)
    world.order("ada", 3)
    for _ in range(6):
        world.event("ada", "app_use")
    assert world.profiles.suggestions("ada") == ["suggest a data pack", "suggest an upgrade to a 5G plan"]
    world.user("bob", monthly_fee=100)
    assert world.profiles.suggestions("bob") == ["send a coupon for the first purchase"]
    world.order("bob", 1)
    assert world.profiles.suggestions("bob") == ["keep the present plan"]
    world.close()


def test_segments_with_members_and_pages(world: World) -> None:
    for k in range(7):
        world.order(f"u{k}", days_ago=k * 10)
    world.user("quiet")
    made = world.profiles.segmentbook.create("recent", "days_since_order <= 30", description="d").result()
    assert made.version == 1
    assert [(s.name, s.size) for s in world.segments.all()] == [("recent", 4)]
    page, cursor, total = world.segments.members("recent", limit=3)
    assert ([row["user_id"] for row in page], total) == (["u0", "u1", "u2"], 4)
    page, cursor, total = world.segments.members("recent", limit=3, cursor=cursor)
    assert ([row["user_id"] for row in page], cursor) == (["u3"], None)
    assert world.profiles.segments_of("u3") == ["recent"]
    assert world.profiles.profile("u4")["segments"] == []
    with pytest.raises(NotFound):
        world.segments.members("nothing")
    with pytest.raises(Invalid, match="cursor"):
        world.segments.members("recent", cursor="!!")
    with pytest.raises(Conflict):
        world.profiles.segmentbook.create("recent", "orders > 1").result()


def test_visitors_and_removed_users_are_no_members(world: World) -> None:
    world.event(None, "view", 1, anonymous_id="visitor")
    world.user("gone")
    world.order("gone", 3)
    world.users.delete("gone").result()
    world.user("quiet")
    world.profiles.segmentbook.create("all", "total_events >= 0").result()
    members, _, _ = world.segments.members("all")
    assert [row["user_id"] for row in members] == ["quiet"]


def test_who_enters_while_we_look_has_a_time(world: World) -> None:
    world.order("ada", 1)
    world.profiles.segmentbook.create("twice", "orders >= 2").result()
    world.order("bob", 2)
    world.order("bob", 1)
    assert world.segments.members("twice")[0] == [{"user_id": "bob", "entered_at": "2023-11-14T22:13:20.000000Z"}]
    world.clock.advance(6 * SECOND)
    world.order("ada", 0)
    entered = {row["user_id"]: row["entered_at"] for row in world.segments.members("twice")[0]}
    assert entered == {"bob": "2023-11-14T22:13:20.000000Z", "ada": "2023-11-14T22:13:26.000000Z"}


def test_defaults_are_seeded_once_and_all_run(world: World) -> None:
    world.profiles.seed_defaults()
    assert world.profiles.rulebook.problems() == {}
    scoring = [rule.name for rule, _ in world.profiles.rulebook.compiled()]
    assert scoring == ["at_risk_churn", "bulk_buyer", "high_value", "loyal"]
    suggesting = [rule.name for rule, _ in world.profiles.rulebook.strategies()]
    assert suggesting == ["first_purchase", "volume_price", "win_back"]
    assert len(world.profiles.rulebook.all()) == 7
    world.profiles.rulebook.delete("loyal").result()
    world.profiles.seed_defaults()
    assert len(world.profiles.rulebook.all()) == 6
    assert {segment.name for segment in world.segments.all()} >= {"champions", "at_risk", "lost"}


def test_every_rule_says_the_same_of_one_user_and_of_all(world: World) -> None:
    """The one-user source and the all-users source are two readings of the same history."""
    world.profiles.seed_defaults()
    for k in range(12):
        world.user(f"u{k}", points=k)
        for j in range(k):
            world.order(f"u{k}", days_ago=(j * 37 + k * 11) % 300, item=f"i{j % 3}", quantity=5 * k, price=1.5 * j)
        if k % 3 == 0:
            world.event(f"u{k}", "return", 1, "i0", -2, 3.0)
    world.profiles.segmentbook.create(
        "windows", "orders in 90 days >= 2 and spend in 180 days > 20 or points == 3"
    ).result()
    world.profiles.segmentbook.create(
        "counts", "(event_counts in 30 days).get('order', 0) > 1 or 'return' in event_counts"
    ).result()
    inside = {s.name: {row["user_id"] for row in world.segments.members(s.name)[0]} for s in world.segments.all()}
    for k in range(12):
        mine = {name for name, members in inside.items() if f"u{k}" in members}
        assert set(world.profiles.segments_of(f"u{k}")) == mine
    assert any(inside.values())
