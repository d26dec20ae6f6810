"""Who may use the loop for a slate, and when."""

import asyncio

from own_loop import on_a_loop

from shopkeeper.core.errors import Overloaded
from shopkeeper.recommend.admission import Admission


async def _turns(admission: Admission, asked: list[tuple[str, object]], seconds: float = 0.002) -> list[str]:
    """The names in the order of their turns; each works so long (told, not slept)."""
    order: list[str] = []

    async def one(name: str, whose: object) -> None:
        await admission.turn(60.0, whose)
        order.append(name)
        admission.done(seconds)

    await asyncio.gather(*(one(name, whose) for name, whose in asked))
    return order


@on_a_loop
async def test_whoever_comes_first_is_first() -> None:
    names = [f"r{k}" for k in range(50)]
    assert await _turns(Admission(), [(name, None) for name in names]) == names


@on_a_loop
async def test_a_socket_that_asks_much_takes_turns_with_the_others() -> None:
    crowd = [(f"a{k}", "a") for k in range(20)]
    order = await _turns(Admission(), [*crowd, ("b0", "b"), ("c0", None), ("b1", "b")])
    assert [name for name in order if name[0] == "a"] == [name for name, _ in crowd]
    assert max(order.index(name) for name in ("b0", "c0", "b1")) < 8


@on_a_loop
async def test_the_loop_is_looked_after_between_turns() -> None:
    admission, others = Admission(), 0

    async def other() -> None:
        nonlocal others
        while len(done) < 30:
            others += 1
            await asyncio.sleep(0)

    done: list[int] = []

    async def one() -> None:
        await admission.turn(60.0)
        done.append(others)
        admission.done(0.002)

    await asyncio.gather(*(one() for _ in range(30)), other())
    assert len(set(done)) >= 28  # the other one was there between nearly any two


@on_a_loop
async def test_small_work_is_done_at_once() -> None:
    admission = Admission()
    for _ in range(5):
        await admission.turn(0.0)
        admission.done(0.00001)
    assert admission.waiting == 0


async def _at_once(admission: Admission, patience: list[float]) -> list[BaseException | None]:
    """What comes of requests that all arrive while the loop is busy."""

    async def one(patience_s: float) -> None:
        await admission.turn(patience_s)
        admission.done(0.0)

    asked = [asyncio.ensure_future(one(each)) for each in patience]
    await admission.turn(1.0)
    admission.done(1.0)
    return await asyncio.gather(*asked, return_exceptions=True)


@on_a_loop
async def test_a_full_queue_sends_away_with_a_time_to_come_back() -> None:
    outcomes = await _at_once(Admission(most_waiting=3, pause_s=0.0), [60.0] * 5)
    assert outcomes[:3] == [None] * 3
    for refused in outcomes[3:]:
        assert isinstance(refused, Overloaded)
        assert refused.code == "queue_full"
        assert refused.retry_after_s >= 1


@on_a_loop
async def test_who_would_wait_in_vain_is_sent_away_at_the_door() -> None:
    admission = Admission(pause_s=0.0)
    *served, refused = await _at_once(admission, [*[60.0] * 20, 0.001])
    assert served == [None] * 20
    assert isinstance(refused, Overloaded)
    assert "allow a longer deadline_ms" in refused.message
    assert admission.waiting == 0


@on_a_loop
async def test_a_short_crowd_is_over_before_anybody_is_sent_away() -> None:
    admission = Admission(most_waiting=3)
    assert await _at_once(admission, [60.0] * 5) == [None] * 5
    assert admission.waiting == admission._paused == 0


@on_a_loop
async def test_clients_that_go_away_hold_nobody_up() -> None:
    admission = Admission()
    order: list[int] = []
    asked: list[asyncio.Future[None]] = []

    async def one(number: int) -> None:
        await admission.turn(60.0)
        order.append(number)
        for gone in (1, 2, 5):  # 1 is next
            asked[gone].cancel()
        admission.done(0.002)

    asked += [asyncio.ensure_future(one(number)) for number in range(7)]
    await asyncio.gather(*asked, return_exceptions=True)
    assert order == [0, 3, 4, 6]
    assert await _turns(admission, [("later", None)]) == ["later"]


@on_a_loop
async def test_one_that_goes_away_when_its_turn_has_just_come_passes_it_on() -> None:
    admission = Admission()
    first = asyncio.ensure_future(admission.turn(60.0))
    second = asyncio.ensure_future(admission.turn(60.0))
    await admission.turn(1.0)
    admission.done(1.0)
    await asyncio.sleep(0)  # both wait, and the first has just been told
    assert admission._granted
    first.cancel()
    await second
    admission.done(0.0)
    assert first.cancelled()


@on_a_loop
async def test_a_crowd_that_is_sent_away_keeps_nobody_from_an_answer() -> None:
    """Time is told: a slate takes 2 ms, sending somebody away 0.15 ms, and whoever was sent away asks again at once."""
    clock = [0.0]
    admission = Admission(now=lambda: clock[0], pause_s=0.0)
    good: list[tuple[float, float]] = []
    refused = 0

    async def client() -> None:
        nonlocal refused
        while clock[0] < 10.0:
            asked_at = clock[0]
            try:
                await admission.turn(0.3)
            except Overloaded:
                refused += 1
                clock[0] += 0.00015
                await asyncio.sleep(0)
                continue
            clock[0] += 0.002
            admission.done(0.002)
            good.append((asked_at, clock[0] - asked_at))

    await asyncio.gather(*(client() for _ in range(1000)))
    assert refused > len(good)
    assert len(good) > 0.3 * 10.0 / 0.002  # of what one could do who is alone
    late = sorted(waited for asked_at, waited in good if asked_at > 2.0)  # the first crowd comes unforeseen
    assert late[int(0.99 * len(late))] < 0.9  # three times their patience


@on_a_loop
async def test_what_was_slow_is_forgotten_when_nobody_waits() -> None:
    clock = [0.0]
    admission = Admission(now=lambda: clock[0])

    async def one() -> None:
        await admission.turn(60.0)
        clock[0] += 0.5
        admission.done(0.01)

    await asyncio.gather(*(one() for _ in range(20)))
    await asyncio.sleep(0)
    await admission.turn(0.0)
    admission.done(0.0)
    assert admission._pace < 0.02
