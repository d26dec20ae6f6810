"""Cron lines in a shop's time zone, through both changes of the clocks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from shopkeeper.core.clock import micros, moment
from shopkeeper.core.errors import Invalid
from shopkeeper.lifecycle.cron import next_run

BERLIN = ZoneInfo("Europe/Berlin")


def after(cron, local, zone=BERLIN, fold=0):
    """The next run after a local time, in local time."""
    start = datetime.fromisoformat(local).replace(tzinfo=zone, fold=fold)
    return moment(next_run(cron, micros(start), zone)).astimezone(zone).strftime("%Y-%m-%d %H:%M %z")


@pytest.mark.parametrize(
    ("cron", "local", "expected"),
    [
        ("0 2 * * *", "2026-01-05 01:59", "2026-01-05 02:00 +0100"),
        ("0 2 * * *", "2026-01-05 02:00", "2026-01-06 02:00 +0100"),
        ("*/15 9-17 * * MON-FRI", "2026-01-09 17:50", "2026-01-12 09:00 +0100"),
        ("30 4 L * *", "2026-02-01 00:00", "2026-02-28 04:30 +0100"),
        ("0 0 29 2 *", "2026-01-01 00:00", "2028-02-29 00:00 +0100"),
        ("30 2 * * *", "2026-03-28 12:00", "2026-03-29 03:00 +0200"),  # 02:30 does not exist on that day
        ("30 2 * * *", "2026-03-29 03:00", "2026-03-30 02:30 +0200"),
        ("0 2 * * *", "2026-10-24 12:00", "2026-10-25 02:00 +0200"),  # the first of two
    ],
)
def test_the_next_run_is_local(cron, local, expected):
    assert after(cron, local) == expected


def test_a_time_that_comes_twice_runs_once():
    at = datetime(2026, 10, 24, 12, tzinfo=BERLIN)
    runs = []
    for _ in range(3):
        at = moment(next_run("30 2 * * *", micros(at), BERLIN))
        runs.append(at.astimezone(BERLIN).strftime("%d %H:%M"))
    assert runs == ["25 02:30", "26 02:30", "27 02:30"]


def test_inside_the_second_pass_of_a_repeated_hour_nothing_lies_behind_us():
    assert after("30 2 * * *", "2026-10-25 02:10", fold=1) == "2026-10-26 02:30 +0100"


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_every_hour_runs_as_often_as_the_day_has_hours(day, hours):
    at = micros(datetime.fromisoformat(day).replace(tzinfo=BERLIN)) - 1
    end = micros((datetime.fromisoformat(day) + timedelta(days=1)).replace(tzinfo=BERLIN))
    runs = 0
    while (at := next_run("0 * * * *", at, BERLIN)) < end:
        runs += 1
    assert runs == hours


def test_zones_count():
    at = micros(datetime(2026, 1, 5, tzinfo=UTC))
    assert next_run("0 2 * * *", at, ZoneInfo("Asia/Shanghai")) == micros(datetime(2026, 1, 5, 18, tzinfo=UTC))


@pytest.mark.parametrize("cron", ["", "0 2 * *", "0 2 * * * *", "61 * * * *", "@daily", "a b c d e", "0 0 31 2 *"])
def test_a_bad_line_is_refused_with_an_example(cron):
    with pytest.raises(Invalid, match=r"0 2 \* \* \*") as refused:
        next_run(cron, 0, BERLIN)
    assert refused.value.field == "cron"
