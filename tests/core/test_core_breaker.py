"""The circuit breaker, also against a plain model of it."""

import threading
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from shopkeeper.core.breaker import Breaker
from shopkeeper.core.clock import HOUR, SECOND, StoppedClock

START = 1_700_000_000 * SECOND


def _breaker(**given: float) -> tuple[Breaker, StoppedClock]:
    clock = StoppedClock(START)
    return Breaker(clock, **{"window_s": 60, "share": 0.5, "least": 10, "recover_s": 30} | given), clock  # type: ignore[arg-type]


def _state(breaker: Breaker) -> str:
    return breaker.state


def _opened() -> tuple[Breaker, StoppedClock]:
    breaker, clock = _breaker()
    for _ in range(10):
        breaker.note(False)
    assert _state(breaker) == "open"
    return breaker, clock


def test_few_failures_do_not_open_it() -> None:
    breaker, _ = _breaker()
    for _ in range(9):
        breaker.note(False)
    assert _state(breaker) == "closed"
    assert breaker.allows()
    assert breaker.retry_after_s == 0


def test_it_opens_at_its_share_of_failures() -> None:
    breaker, _ = _breaker()
    for ok in (True, False) * 4 + (True, True):
        breaker.note(ok)
    assert _state(breaker) == "closed"  # 4 of 10
    breaker.note(False)
    assert _state(breaker) == "closed"  # 5 of 11
    breaker.note(False)
    assert _state(breaker) == "open"  # 6 of 12
    assert not breaker.allows()
    assert breaker.retry_after_s == 30


def test_failures_of_before_the_window_are_forgotten() -> None:
    breaker, clock = _breaker()
    for _ in range(9):
        breaker.note(False)
    clock.advance(61 * SECOND)
    breaker.note(False)
    assert _state(breaker) == "closed"


def test_half_open_lets_one_through_and_closes_when_that_goes_well() -> None:
    breaker, clock = _opened()
    clock.advance(30 * SECOND - 1)
    assert not breaker.allows()
    clock.advance(1)
    assert _state(breaker) == "half_open"
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    breaker.note(True)
    assert _state(breaker) == "closed"
    assert breaker.allows()
    breaker.note(False)
    assert _state(breaker) == "closed"  # it counts from the beginning


def test_half_open_opens_again_when_the_probe_fails() -> None:
    breaker, clock = _opened()
    clock.advance(30 * SECOND)
    assert breaker.allows()
    breaker.note(False)
    assert _state(breaker) == "open"
    assert not breaker.allows()
    clock.advance(30 * SECOND)
    assert breaker.allows()


def test_a_probe_that_is_never_heard_of_does_not_keep_it_open_for_good() -> None:
    breaker, clock = _opened()
    clock.advance(30 * SECOND)
    assert breaker.allows()
    assert not breaker.allows()
    clock.advance(30 * SECOND)
    assert breaker.allows()


def test_late_news_while_it_is_open_change_nothing() -> None:
    breaker, clock = _opened()
    clock.advance(10 * SECOND)
    breaker.note(False)
    breaker.note(True)
    assert _state(breaker) == "open"
    assert breaker.retry_after_s == 20


def test_a_clock_that_steps_does_not_lock_it() -> None:
    breaker, clock = _opened()
    clock.at -= HOUR
    assert not breaker.allows()
    clock.advance(30 * SECOND)
    assert breaker.allows()
    closed, clock = _breaker()
    for _ in range(9):
        closed.note(False)
    clock.at -= HOUR
    closed.note(False)
    assert _state(closed) == "closed"  # what lies ahead of the clock is not of the last minute


def test_one_probe_also_between_threads() -> None:
    breaker, clock = _opened()
    clock.advance(30 * SECOND)
    told: list[bool] = []
    gate = threading.Barrier(8)

    def ask() -> None:
        gate.wait()
        told.append(breaker.allows())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(told) == 1


@dataclass
class _Plain:
    """The same, with every outcome kept."""

    least: int
    share: float
    recover: int
    slot: int
    outcomes: list[tuple[int, bool]] = field(default_factory=list)
    opened: int | None = None
    probed: int | None = None

    def allows(self, now: int) -> bool:
        if self.opened is None:
            return True
        if now < self.opened + self.recover or (self.probed is not None and now < self.probed + self.recover):
            return False
        self.probed = now
        return True

    def note(self, now: int, ok: bool) -> None:
        if self.opened is not None:
            if now >= self.opened + self.recover:
                self.opened, self.probed, self.outcomes = (None if ok else now), None, []
            return
        self.outcomes.append((now, ok))
        counted = [good for at, good in self.outcomes if at // self.slot > now // self.slot - 10]
        if not ok and len(counted) >= self.least and counted.count(False) >= self.share * len(counted):
            self.opened, self.probed, self.outcomes = now, None, []


_STEPS = st.lists(
    st.tuples(st.integers(0, 20 * SECOND), st.sampled_from(["allows", "ok", "bad", "bad"])), min_size=1, max_size=120
)


@given(_STEPS, st.integers(1, 6), st.sampled_from([0.25, 0.5, 1.0]))
def test_it_does_what_the_plain_model_does(steps: list[tuple[int, str]], least: int, share: float) -> None:
    clock = StoppedClock(START)
    breaker = Breaker(clock, window_s=60, share=share, least=least, recover_s=30)
    plain = _Plain(least, share, 30 * SECOND, 6 * SECOND)
    for wait, step in steps:
        clock.advance(wait)
        if step == "allows":
            assert breaker.allows() == plain.allows(clock.at)
        else:
            breaker.note(step == "ok")
            plain.note(clock.at, step == "ok")
        assert (_state(breaker) == "closed") == (plain.opened is None)
