"""Job rows: claimed once, finished once, numbered without a gap."""

import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shopkeeper.core.clock import SECOND
from shopkeeper.core.errors import Busy, Invalid, NotFound, Overloaded
from shopkeeper.core.ids import ulid
from shopkeeper.core.records import Progress
from shopkeeper.stores import jobs as table

NOW = 1_700_000_000 * SECOND


def add(db, job_id=None, *, now=NOW, work_key=None, kind="train", queue_limit=1000):
    def write(connection):
        return table.add(
            connection,
            job_id or ulid(),
            kind,
            {"n": 1},
            requested_by="anna",
            work_key=work_key,
            now=now,
            queue_limit=queue_limit,
        )

    return db.writer.run(write)


def claim(db, worker="w1", now=NOW):
    return db.writer.run(lambda c: table.claim(c, worker, now=now, lease_until=now + SECOND))


def finish(db, job_id, status="done", **more):
    return db.writer.run(lambda c: table.finish(c, job_id, status, now=NOW + 1, **more))


def test_the_oldest_is_claimed_first_and_only_once(db):
    ids = [add(db, now=NOW + offset).job_id for offset in (2, 0, 1)]
    claimed = [claim(db) for _ in range(4)]
    assert [job.job_id for job in claimed[:3]] == [ids[1], ids[2], ids[0]]
    assert claimed[3] is None
    assert {job.status for job in claimed[:3]} == {"running"}


def test_two_workers_never_get_the_same_job(db):
    ids = {add(db).job_id for _ in range(20)}
    got: list[str] = []

    def work(name):
        while (job := claim(db, name)) is not None:
            got.append(job.job_id)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 20
    assert set(got) == ids


@given(ends=st.lists(st.sampled_from(["done", "failed", "cancelled"]), min_size=1, max_size=5))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_first_end_stays(db, ends):
    job = add(db)
    assert [finish(db, job.job_id, end) for end in ends] == [True] + [False] * (len(ends) - 1)
    with db.read() as connection:
        assert table.get(connection, job.job_id).status == ends[0]
        assert not db.writer.run(lambda c: table.requeue(c, job.job_id, count_attempt=True))


def test_result_and_error_are_kept(db):
    good, bad = add(db), add(db)
    finish(db, good.job_id, result={"version": 3})
    finish(db, bad.job_id, "failed", error="the file is empty")
    with db.read() as connection:
        assert table.get(connection, good.job_id).result == {"version": 3}
        kept = table.get(connection, bad.job_id)
    assert (kept.result, kept.error, kept.params, kept.requested_by) == (None, "the file is empty", {"n": 1}, "anna")


def test_unfinished_work_is_busy_until_it_ends(db):
    first = add(db, work_key="k")
    for _ in range(2):
        with pytest.raises(Busy) as caught:
            add(db, work_key="k")
        assert caught.value.job_id == first.job_id
        claim(db)
    finish(db, first.job_id)
    add(db, work_key="k")


def test_the_queue_is_bounded(db):
    add(db, queue_limit=1)
    with pytest.raises(Overloaded):
        add(db, queue_limit=1)
    claim(db)
    add(db, queue_limit=1)


def test_orphans_are_those_whose_lease_is_over_or_whose_worker_is_another(db):
    job = add(db)
    claim(db, "w1")

    def orphans(now, not_of=None):
        with db.read() as connection:
            return [
                (j.job_id, attempt, cancel) for j, attempt, cancel in table.orphans(connection, now=now, not_of=not_of)
            ]

    assert orphans(NOW) == []
    assert orphans(NOW + 2 * SECOND) == [(job.job_id, 1, False)]
    assert orphans(NOW, not_of="w1") == []
    assert orphans(NOW, not_of="w2") == [(job.job_id, 1, False)]
    assert not db.writer.run(lambda c: table.renew(c, job.job_id, "w1", lease_until=NOW + 9 * SECOND))
    assert orphans(NOW + 2 * SECOND) == []
    db.writer.run(lambda c: table.request_cancel(c, job.job_id))
    assert db.writer.run(lambda c: table.renew(c, job.job_id, "w1", lease_until=NOW))
    assert orphans(NOW + 2 * SECOND) == [(job.job_id, 1, True)]


def test_an_attempt_that_our_closing_ended_does_not_count(db):
    job = add(db)
    for counted, expected in ((False, 0), (True, 1), (True, 2)):
        claim(db)
        db.writer.run(lambda c, counted=counted: table.requeue(c, job.job_id, count_attempt=counted))
        claim(db)
        with db.read() as connection:
            ((_, attempt, _),) = table.orphans(connection, now=NOW + 2 * SECOND)
        assert attempt == expected + 1
        db.writer.run(lambda c: table.requeue(c, job.job_id, count_attempt=False))


@given(batches=st.lists(st.integers(0, 4), max_size=8))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_events_are_numbered_without_a_gap_and_read_from_any_number(db, batches):
    job = add(db)
    for size in batches:
        events = [("progress", {"step": n}) for n in range(size)]
        db.writer.run(lambda c, events=events: table.add_events(c, job.job_id, events, now=NOW))
    total = sum(batches)
    with db.read() as connection:
        for after in range(total + 1):
            assert [e.seq for e in table.events(connection, job.job_id, after_seq=after)] == list(
                range(after + 1, total + 1)
            )


def test_progress_of_a_finished_job_stays(db):
    job = add(db)
    claim(db)
    db.writer.run(lambda c: table.save_progress(c, job.job_id, Progress(step=2, of=4, percent=50.0)))
    finish(db, job.job_id)
    db.writer.run(lambda c: table.save_progress(c, job.job_id, Progress(step=3, of=4)))
    with db.read() as connection:
        assert table.get(connection, job.job_id).progress.step == 2


def test_pages_go_through_all_jobs(db):
    ids = sorted((add(db, kind="a" if n % 2 else "b").job_id for n in range(7)), reverse=True)
    found, cursor = [], None
    with db.read() as connection:
        while True:
            page, cursor, total = table.page(connection, kind=None, status=None, limit=3, cursor=cursor)
            assert total == 7
            found += [job.job_id for job in page]
            if cursor is None:
                break
        assert table.page(connection, kind="a", status="queued", limit=9, cursor=None)[2] == 3
        with pytest.raises(Invalid):
            table.page(connection, kind=None, status="sleeping", limit=3, cursor=None)
        with pytest.raises(NotFound):
            table.get(connection, "nothing")
    assert found == ids
