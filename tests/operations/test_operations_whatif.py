"""What-if: what it says is what comes when the events are sent, and asking leaves no trace."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from supposed_world import CUSTOMERS, ITEMS, NOW, World, event

from shopkeeper.core.clock import DAY, MINUTE, moment
from shopkeeper.core.errors import Invalid, NotFound, Refused
from shopkeeper.core.records import Event, User
from shopkeeper.operations.whatif import Side, Supposed, _side
from shopkeeper.recommend.scoring import QUICKENING

SCENARIOS = ("home", "content", "reorder", "content_discovery")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("supposed"))
    world.fill()
    world.train()
    world.recommend.top("u0", 1, "home")
    for thread in threading.enumerate():  # from then on a row gets the same score to the last bit
        if thread.name == QUICKENING:
            thread.join(60)
    yield world
    world.close()


@pytest.fixture
def world(tmp_path) -> Iterator[World]:
    world = World(tmp_path)
    world.fill()
    yield world
    world.close()


def side(world: World, user: str, scenario: str = "home") -> Side:
    """As the profile and a slate tell it now."""
    found = world.profiles.profile(user)
    assert world.profiles.standing(user).scores == found["scores"]
    assert world.profiles.standing(user).segments == found["segments"]
    return _side(world.profiles.standing(user), world.recommend.top(user, 10, scenario))


def sent(world: World, user: str, events: list[Event]) -> int:
    own = [msgspec.structs.replace(one, user_id=user) for one in events]
    return world.log.append(own).result().accepted


def same(one: Any, other: Any) -> None:
    """To the last bit."""
    assert msgspec.to_builtins(one) == msgspec.to_builtins(other)


@st.composite
def wishes(draw: st.DrawFn) -> list[Event]:
    kinds = st.sampled_from(["order", "order", "view", "click", "return", "dislike", "call", "fresh"])
    found = []
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(kinds)
        known = st.integers(0, ITEMS - 1).map(lambda item: f"I{item}")
        target = draw(st.one_of(known, known, known, st.integers(0, 10**6).map(lambda item: f"N{item}")))
        more: dict[str, Any] = {"event_type": kind if kind != "fresh" else f"kind{draw(st.integers(0, 10**6))}"}
        if kind == "call":
            more |= {"target_kind": "user", "target_id": draw(st.sampled_from(["u1", "u2", "somebody new"]))}
        elif target.startswith("N"):
            more |= {"target_kind": draw(st.sampled_from(["product", "app"])), "target_id": target}
        else:
            more["item_id"] = target
        ago = draw(st.one_of(st.none(), st.integers(0, 400 * DAY), st.sampled_from([0, 1, DAY, 7 * DAY, 90 * DAY])))
        more["time"] = None if ago is None else moment(NOW - ago)
        more["quantity"] = draw(st.sampled_from([None, 1.0, 3.0, -1.0, 40.0]))
        more["unit_price"] = draw(st.sampled_from([None, 0.0, 5.0, 7.25]))
        more["value"] = draw(st.sampled_from([None, 0.1, 10.0, 500.0]))
        more["event_id"] = draw(st.sampled_from([None, None, None, "0-0", "once"]))
        more["store_id"] = draw(st.sampled_from([None, "shop-1"]))
        found.append(Event(**more))
    return found


USERS = st.one_of(st.integers(0, CUSTOMERS - 1).map(lambda user: f"u{user}"), st.sampled_from(["new", "visited"]))


@pytest.mark.slow
@settings(max_examples=60, deadline=None, phases=[Phase.generate])
@given(USERS, wishes(), st.sampled_from(SCENARIOS), st.integers(0, 2 * MINUTE))
def test_it_says_what_comes_when_the_events_are_sent(
    trained: World, user: str, events: list[Event], scenario: str, later: int
) -> None:
    world = trained
    world.users.put(User(user_id="new")).result()
    world.log.append([event("view", "visited", "I1", 3, id="visit")]).result()
    world.clock.advance(later)
    before = side(world, user, scenario)
    found = world.what_if.ask(user, events, scenario=scenario)
    same(found.before, before)
    same(side(world, user, scenario), before)
    assert sent(world, user, events) == found.accepted
    assert found.accepted + found.duplicates == len(events)
    same(found.after, side(world, user, scenario))


def test_the_answer_is_told_apart_from_the_state(world: World) -> None:
    seq, version, users = world.log.last_seq, world.features.version, len(world.vocab.users)
    kinds, items = len(world.vocab.event_types), len(world.vocab.items)
    asked = [
        event("order", None, "brand new"),
        event("glance", None, "I3"),
        event("call", None, "who", target_kind="user"),
    ]
    found = world.what_if.ask("u1", asked)
    assert found.accepted == 3
    assert "callers" in found.change.entered
    assert (world.log.last_seq, world.features.version, len(world.vocab.users)) == (seq, version, users)
    assert (len(world.vocab.event_types), len(world.vocab.items)) == (kinds, items)
    assert "callers" not in world.profiles.profile("u1")["segments"]
    assert world.tracker.sizes()["callers"] == 0


def test_what_changes_is_told(world: World) -> None:
    """Enough orders move the score by what the rules say, enter segments, and bring other items."""
    asked = [event("order", None, f"I{2 * n + 1}", n) for n in range(6)]
    found = world.what_if.ask("u1", asked, n=5)
    assert found.change.score == found.after.score - found.before.score > 0
    assert found.change.probability == found.after.probability - found.before.probability
    assert "frequent" in found.change.entered
    assert found.change.left == []
    shown, would = ([item.item_id for item in one.top_items] for one in (found.before, found.after))
    assert len(would) == 5
    assert sorted(found.change.items_in) == sorted(set(would) - set(shown))
    assert sorted(found.change.items_out) == sorted(set(shown) - set(would))
    assert found.change.items_out


def test_events_that_the_log_has_already_change_nothing(world: World) -> None:
    known = world.log.recent(user_id="u0", limit=1)[0]
    twice = [event("order", None, "I2", id="one"), event("order", None, "I4", id="one")]
    found = world.what_if.ask("u0", [event("order", None, "I2", id=known.event_id)])
    assert (found.accepted, found.duplicates) == (0, 1)
    same(found.before, found.after)
    assert world.what_if.ask("u0", twice).duplicates == 1


def test_scores_are_measured_by_the_bounds_that_a_new_customer_brings(tmp_path) -> None:
    """In a small shop the bounds of the RFM scores are taken anew at once when somebody orders for the first time."""
    world = World(tmp_path)
    for user, orders in (("poor", 1), ("rich", 9)):
        world.log.append([event("order", user, "I1", n, id=f"{user}-{n}") for n in range(orders)]).result()
    world.users.put(User(user_id="new")).result()
    world.profiles.rulebook.create("middle", "monetary_score == 2", weight=0.5).result()
    world.profiles.segmentbook.create("middling", "frequency_score == 2").result()
    asked = [event("order", None, "I1", n, id=f"n{n}") for n in range(5)]
    found = world.what_if.ask("new", asked)
    assert (found.change.score, found.change.entered) == (0.5, ["middling"])
    assert sent(world, "new", asked) == 5
    same(found.after, side(world, "new"))
    world.close()


def test_a_product_that_only_the_event_names_may_be_suggested(world: World) -> None:
    asked = [event("order", None, "brand new", 3, id="a"), event("order", None, "an app", 3, id="b", target_kind="app")]
    found = world.what_if.ask("u1", asked, scenario="reorder")
    assert "brand new" in found.change.items_in
    assert "an app" not in found.change.items_in
    sent(world, "u1", asked)
    same(found.after, side(world, "u1", "reorder"))


def test_of_whom_nobody_knows_nothing_is_supposed(world: World) -> None:
    with pytest.raises(NotFound, match="no user 'nobody'"):
        world.what_if.ask("nobody", [event("order", None, "I1")])
    world.users.put(User(user_id="gone")).result()
    world.users.delete("gone").result()
    with pytest.raises(NotFound):
        world.what_if.ask("gone", [event("order", None, "I1")])


def test_consent_counts(world: World) -> None:
    world.consents.change("u2", {"profiling": False}).result()
    with pytest.raises(Refused, match="does not agree to profiling"):
        world.what_if.ask("u2", [event("order", None, "I1")])
    world.consents.change("u4", {"personalization": False}).result()
    found = world.what_if.ask("u4", [event("order", None, "I19")])
    same(found.after.top_items, found.before.top_items)  # as a stranger, whatever this user does


@pytest.mark.parametrize(
    ("wrong", "field", "what"),
    [
        (event("order", "u3", "I1"), "events[1].user_id", "is of user 'u3'"),
        (event("order", "nobody", "I1"), "events[1].user_id", "is of user 'nobody'"),
        (Event(event_type="order"), "events[1]", "no target"),
        (Event(event_type="no space", item_id="I1"), "events[1]", "event_type"),
        (Event(event_type="order", item_id="I1", value=float("nan")), "events[1]", "finite"),
        (Event(event_type="order", item_id="I1", time=moment(NOW + DAY)), "events[1]", "future"),
    ],
)
def test_what_the_log_would_refuse_is_refused_with_its_number(
    world: World, wrong: Event, field: str, what: str
) -> None:
    with pytest.raises(Invalid, match=what) as error:
        world.what_if.ask("u0", [event("view", None, "I1"), wrong])
    assert error.value.field == field


def test_an_unknown_scenario_is_refused(world: World) -> None:
    with pytest.raises(Invalid, match="no scenario 'lobby'"):
        world.what_if.ask("u0", [event("view", None, "I1")], scenario="lobby")


def test_a_user_may_be_named_in_the_event(world: World) -> None:
    assert isinstance(world.what_if.ask("u0", [event("view", "u0", "I1")]), Supposed)
