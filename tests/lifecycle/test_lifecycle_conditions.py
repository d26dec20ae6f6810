"""Conditions against a real log."""

import pytest

from shopkeeper.core.clock import DAY, HOUR, StoppedClock, moment
from shopkeeper.core.errors import Invalid
from shopkeeper.core.records import Event
from shopkeeper.lifecycle.conditions import check, read_condition
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.vocabulary import Vocabularies

NOW = 1_790_000_000_000_000


@pytest.fixture
def log(db):
    return EventLog(db, Vocabularies.load(db), StoppedClock(NOW))


@pytest.fixture
def look(db, log):
    def look(given, *, done_seq=0, now=NOW):
        with db.read() as connection:
            condition = read_condition(given)
            return check(connection, condition, last_seq=log.last_seq, done_seq=done_seq, now=now, wall=NOW)

    return look


def fill(log, event_type, count, days_ago):
    at = moment(NOW - int(days_ago * DAY))
    log.append([Event(event_type=event_type, user_id=f"u{n % 7}", item_id="i", time=at) for n in range(count)]).result()


def test_new_events_are_counted_from_the_last_run(log, look):
    fill(log, "view", 10, 1)
    assert look({"new_events": 10}).met
    found = look({"new_events": 5}, done_seq=6)
    assert (found.met, found.values, found.why) == (False, {"new_events": 4}, "4 new events, 5 are asked")


@pytest.mark.parametrize(("clicks", "met"), [(20, False), (19, True), (10, True), (30, False)])
def test_a_fall_of_the_click_through_is_relative_to_the_days_before(log, look, clicks, met):
    fill(log, "view", 200, 10)
    fill(log, "click", 20, 10)
    fill(log, "view", 200, 3)
    fill(log, "click", clicks, 3)
    fill(log, "order", 50, 3)  # neither of the two
    fill(log, "click", 500, 15)  # before both spans
    found = look({"metric": "ctr", "drop": 0.05, "days": 7})
    assert found.met is met
    assert found.values["ctr_before"] == pytest.approx(0.1)
    assert found.values["ctr"] == pytest.approx(clicks / 200)
    assert (found.values["views"], found.values["views_before"]) == (200, 200)
    assert found.values["drop"] == pytest.approx(1 - clicks / 20)


def test_the_spans_touch_and_do_not_overlap(log, look):
    fill(log, "view", 100, 7)  # the very moment that divides them belongs to the later one
    fill(log, "view", 100, 14)
    found = look({"metric": "ctr", "days": 7})
    assert (found.values["views"], found.values["views_before"]) == (100, 100)
    assert look({"metric": "ctr", "days": 7}, now=NOW + HOUR).values["views_before"] == 100


def test_few_views_say_nothing(log, look):
    fill(log, "view", 200, 10)
    fill(log, "click", 20, 10)
    fill(log, "view", 99, 3)
    found = look({"metric": "ctr"})
    assert not found.met
    assert "99 views in 7 days say nothing, 100 are asked" in found.why
    assert look({"metric": "ctr", "min_views": 99}).met


def test_no_clicks_before_is_no_fall(log, look):
    fill(log, "view", 200, 10)
    fill(log, "view", 200, 3)
    assert not look({"metric": "ctr"}).met


def test_conversion_is_orders_per_view_and_both_parts_must_hold(log, look):
    fill(log, "view", 200, 10)
    fill(log, "order", 20, 10)
    fill(log, "view", 200, 3)
    both = {"metric": "conversion", "new_events": 420}
    assert look(both).met
    assert not look({**both, "new_events": 421}).met


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "condition"),
        ({"days": 3}, "condition"),
        ({"metric": "luck"}, "condition.metric"),
        ({"metric": "ctr", "drop": 0}, "condition.drop"),
        ({"metric": "ctr", "days": "7"}, "condition.days"),
        ({"new_events": 0}, "condition.new_events"),
        ({"new_event": 1}, "condition"),
    ],
)
def test_a_bad_condition_is_refused_with_its_place(given, field):
    with pytest.raises(Invalid) as refused:
        read_condition(given)
    assert refused.value.field == field
