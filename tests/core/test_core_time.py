import threading
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shopkeeper.core.clock import DAY, HOUR, SECOND, ReplayClock, StoppedClock, micros, moment, rfc3339
from shopkeeper.core.days import date_of, day_number, day_of, day_start, days_of

LONDON = ZoneInfo("Europe/London")
MOMENTS = st.integers(min_value=0, max_value=4_000_000_000_000_000)


@given(MOMENTS)
def test_moment_and_micros_are_inverse(us):
    assert micros(moment(us)) == us


def test_a_naive_datetime_is_read_as_utc():
    assert micros(datetime(1970, 1, 2)) == DAY


def test_rfc3339_says_utc():
    assert rfc3339(1_500_000) == "1970-01-01T00:00:01.500000Z"


@given(st.lists(MOMENTS, max_size=50))
def test_days_of_many_equal_day_of_each(moments):
    many = days_of(np.array(moments, dtype=np.int64), LONDON)
    assert many.tolist() == [day_of(us, LONDON) for us in moments]


def test_a_summer_evening_belongs_to_the_next_local_day():
    late = micros(datetime(2011, 7, 1, 23, 30, tzinfo=UTC))
    assert date_of(day_of(late, LONDON)) == date(2011, 7, 2)


@given(st.integers(min_value=0, max_value=30_000))
def test_a_day_begins_at_its_start_and_not_before(day):
    start = day_start(day, LONDON)
    assert day_of(start, LONDON) == day
    assert day_of(start - 1, LONDON) == day - 1


def test_day_numbers_count_from_1970():
    assert day_number(date(1970, 1, 1)) == 0
    assert date_of(day_number(date(2026, 11, 21))) == date(2026, 11, 21)


def test_a_stopped_clock_moves_when_told():
    clock = StoppedClock(10)
    clock.advance(HOUR)
    assert clock.now() == clock.wall() == 10 + HOUR


def test_a_replay_clock_never_passes_real_time():
    clock = ReplayClock(start=0, speed=1e15, wall_start=0)
    assert 0 < clock.now() <= clock.wall()


def test_a_replay_clock_of_speed_zero_stands_still():
    clock = ReplayClock(start=123, speed=0)
    assert clock.now() == 123
    assert clock.now() == 123


def test_a_replay_clock_runs_at_its_speed():
    wall = ReplayClock(0, 0).wall()
    clock = ReplayClock(start=1000, speed=2, wall_start=wall - 10_000_000)
    assert 20_001_000 <= clock.now() <= 1000 + 2 * (clock.wall() - wall + 10_000_000)


def test_a_replay_clock_skips_ahead_but_never_back_nor_beyond_real_time():
    clock = ReplayClock(start=1000, speed=0)
    clock.skip_to(500)
    assert clock.now() == 1000
    clock.skip_to(clock.wall() + 10**12)
    assert clock.now() == 1000
    clock.skip_to(5000)
    assert clock.now() == 5000


def test_a_clock_that_is_stopped_while_it_skips_stands_still():
    class Meanwhile(ReplayClock):
        """Is stopped from another thread at the worst moment of a skip."""

        stops = None

        @property
        def speed(self):
            found = super().speed
            if self.stops is None:
                self.stops = threading.Thread(target=self.pace, args=(0.0,))
                self.stops.start()
                self.stops.join(0.3)
            return found

    clock = Meanwhile(0, 60.0)
    clock.skip_to(SECOND)
    assert clock.stops is not None
    clock.stops.join()
    assert clock.speed == 0.0
    assert SECOND <= clock.now() == clock.now()
