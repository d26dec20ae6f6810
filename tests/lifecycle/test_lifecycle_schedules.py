"""Schedules over a real database and real jobs, stepped by a clock that the test moves."""

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from lifecycle_waiting import eventually

from shopkeeper.core.clock import DAY, HOUR, MINUTE, SECOND, StoppedClock, SystemClock, micros, moment
from shopkeeper.core.errors import Busy, Conflict, Invalid, NotFound, Overloaded, Stale
from shopkeeper.core.schedules import Schedule
from shopkeeper.lifecycle.exchange import Exchange
from shopkeeper.lifecycle.publishing import Publishing
from shopkeeper.lifecycle.releasing import Releases
from shopkeeper.lifecycle.removal import Removal
from shopkeeper.lifecycle.retention import Keep, Retention
from shopkeeper.lifecycle.schedule import Schedules
from shopkeeper.lifecycle.serving import Serving
from shopkeeper.lifecycle.works import Work
from shopkeeper.operations.refresh import Refresh
from shopkeeper.operations.scheduled import works
from shopkeeper.stores import schedules as table
from shopkeeper.stores.etags import etag
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.sql import open_database
from shopkeeper.stores.vocabulary import Vocabularies

START = micros(datetime(2026, 3, 1, 12, tzinfo=UTC))
TWO = datetime(2026, 3, 2, 2, tzinfo=UTC)


def check_steps(params):
    if not isinstance(params.get("steps", 1), int):
        raise Invalid("steps is no number", field="steps")


@pytest.fixture
def clock():
    return StoppedClock(START)


@pytest.fixture
def jobs(make_jobs):
    return make_jobs()


@pytest.fixture
def log(db, clock):
    return EventLog(db, Vocabularies.load(db), clock)


@pytest.fixture
def make(db, clock, jobs, log):
    """Makes services over one database, each as another process would."""

    def service(offered=None, db=db):
        def plain(kind):
            def submit(params, by, key):
                return jobs.submit(kind, params, requested_by=by, work_key=key)

            return Work(check_steps, submit)

        kinds = {kind: plain(kind) for kind in ("toy_count", "toy_fail", "toy_deaf", "toy_refuse")}
        zone = ZoneInfo("UTC")
        return Schedules(db, clock, offered or kinds, zone=zone, last_seq=lambda: log.last_seq)

    return service


@pytest.fixture
def schedules(make):
    return make()


def nightly(kind="toy_count", **more):
    return Schedule(name="nightly", cron="0 2 * * *", kind=kind, params={"steps": 1}, **more)


def run_of(schedules):
    return schedules.get("nightly").state.run


def last_of(schedules):
    return schedules.get("nightly").state.last


def ended(schedules, jobs):
    """Waits for the job of the run under way, and lets the schedule see it."""
    job = jobs.wait(run_of(schedules).job_id, 60)
    schedules.tick()
    return job


def at_two(clock, days=0):
    clock.at = micros(TWO) + days * DAY


def test_it_runs_when_its_time_has_come_and_not_before(schedules, jobs, clock):
    assert schedules.create(nightly(), by="anna").next_run == TWO
    clock.at = micros(TWO) - 1
    assert schedules.tick() > 0
    assert jobs.list()[2] == 0
    clock.advance(1)
    schedules.tick()
    schedules.tick()
    job = ended(schedules, jobs)
    assert (job.status, job.kind, job.params) == ("done", "toy_count", {"steps": 1})
    assert job.requested_by.startswith("schedule:nightly:")
    found = schedules.get("nightly")
    assert (found.state.last.status, found.state.last.due, found.state.last.job_id) == ("done", TWO, job.job_id)
    assert found.next_run == moment(micros(TWO) + DAY)
    assert (found.version, found.state.run) == (1, None)
    assert jobs.list()[2] == 1


def test_times_missed_while_the_shop_was_closed_are_one_run(schedules, jobs, clock):
    schedules.create(nightly())
    at_two(clock, days=30)
    for _ in range(3):
        schedules.tick()
    ended(schedules, jobs)
    schedules.tick()
    assert jobs.list()[2] == 1
    assert schedules.get("nightly").next_run == moment(micros(TWO) + 31 * DAY)


def test_a_disabled_schedule_does_not_run_by_itself(schedules, jobs, clock):
    assert schedules.create(nightly(enabled=False)).next_run is None
    at_two(clock)
    schedules.tick()
    assert jobs.list()[2] == 0
    enabled = schedules.change(nightly())
    assert enabled.next_run == moment(micros(TWO) + DAY)
    schedules.change(nightly(enabled=False))
    at_two(clock, days=3)
    schedules.tick()
    assert jobs.list()[2] == 0


def test_a_failed_job_is_repeated_after_the_wait_and_so_often_only(schedules, jobs, clock):
    schedules.create(nightly("toy_fail", retries=2, retry_wait_s=300))
    at_two(clock)
    for attempt in (1, 2, 3):
        schedules.tick()
        assert run_of(schedules).attempt == attempt
        jobs.wait(run_of(schedules).job_id, 60)
        schedules.tick()
        if attempt < 3:
            waiting = run_of(schedules)
            assert (waiting.attempt, waiting.job_id, "divides by nothing" in waiting.problem) == (
                attempt + 1,
                None,
                True,
            )
            clock.advance(299 * SECOND)
            schedules.tick()
            assert run_of(schedules).job_id is None
            clock.advance(1 * SECOND)
    last = last_of(schedules)
    assert (last.status, last.attempts, last.due) == ("failed", 3, TWO)
    assert "ZeroDivisionError" in last.error
    assert jobs.list()[2] == 3


def test_disabling_ends_the_wait_for_a_repetition(schedules, jobs, clock):
    schedules.create(nightly("toy_fail"))
    at_two(clock)
    schedules.tick()
    ended(schedules, jobs)
    assert run_of(schedules).job_id is None
    schedules.change(nightly("toy_fail", enabled=False))
    clock.advance(HOUR)
    schedules.tick()
    assert (last_of(schedules).status, last_of(schedules).error) == ("cancelled", "the schedule was disabled")
    assert jobs.list()[2] == 1


def test_a_cancelled_job_is_not_repeated(schedules, jobs, clock):
    schedules.create(nightly("toy_deaf"))
    at_two(clock)
    schedules.tick()
    jobs.cancel(run_of(schedules).job_id)
    ended(schedules, jobs)
    assert (last_of(schedules).status, run_of(schedules)) == ("cancelled", None)


def test_a_time_that_comes_during_a_run_is_skipped(schedules, jobs, clock):
    schedules.create(nightly("toy_deaf"))
    at_two(clock)
    schedules.tick()
    at_two(clock, days=1)
    schedules.tick()
    found = schedules.get("nightly")
    assert (found.state.skipped, found.next_run) == (1, moment(micros(TWO) + 2 * DAY))
    assert jobs.list()[2] == 1
    jobs.cancel(found.state.run.job_id)
    ended(schedules, jobs)
    assert run_of(schedules) is None


def test_a_busy_or_full_shop_is_asked_again_and_this_is_told(make, jobs, clock):
    answers = [Busy("this work is under way as job X", job_id="X"), Overloaded("1000 jobs are waiting"), None]

    def submit(params, by, key):
        if (refusal := answers.pop(0)) is not None:
            raise refusal
        return jobs.submit("toy_count", params, requested_by=by, work_key=key)

    schedules = make({"toy_count": Work(lambda _: None, submit)})
    schedules.create(nightly())
    at_two(clock)
    schedules.tick()
    assert "under way as job X" in run_of(schedules).problem
    clock.advance(MINUTE)
    schedules.tick()
    assert "1000 jobs" in run_of(schedules).problem
    schedules.tick()
    assert len(answers) == 1
    clock.advance(MINUTE)
    schedules.tick()
    assert run_of(schedules).problem is None
    assert run_of(schedules).attempt == 1
    ended(schedules, jobs)
    assert last_of(schedules).status == "done"


@pytest.mark.parametrize("error", [Invalid("no such column"), NotFound("no algorithm x"), ZeroDivisionError("oh")])
def test_what_cannot_be_submitted_ends_the_run_and_leaves_the_next(make, clock, error):
    def submit(params, by, key):
        raise error

    schedules = make({"toy_count": Work(lambda _: None, submit)})
    schedules.create(nightly())
    at_two(clock)
    schedules.tick()
    assert last_of(schedules).status == "refused"
    assert (str(error) in last_of(schedules).error) is not isinstance(error, ZeroDivisionError)
    assert schedules.get("nightly").next_run == moment(micros(TWO) + DAY)


def test_a_kind_that_is_gone_ends_the_run(make, clock):
    make().create(nightly())
    at_two(clock)
    stranger = make({"other": Work(lambda _: None, lambda *_: None)})
    stranger.tick()
    assert "toy_count" in last_of(stranger).error


def test_a_condition_that_is_not_met_is_told_and_waits_for_the_next_time(schedules, jobs, clock, log):
    schedules.create(nightly(condition={"new_events": 2}))
    at_two(clock)
    schedules.tick()
    found = schedules.get("nightly")
    assert (found.state.check.met, found.state.check.values) == (False, {"new_events": 0})
    assert (found.state.last, found.next_run) == (None, moment(micros(TWO) + DAY))
    from shopkeeper.core.records import Event

    events = [Event(event_type="view", user_id="u", item_id="i") for _ in range(2)]
    log.append(events).result()
    at_two(clock, days=1)
    schedules.tick()
    ended(schedules, jobs)
    assert (last_of(schedules).status, schedules.get("nightly").state.seq) == ("done", 2)
    at_two(clock, days=2)
    schedules.tick()
    assert schedules.get("nightly").state.check.why == "0 new events, 2 are asked"
    assert jobs.list()[2] == 1


# -- by hand


def test_by_hand_it_runs_at_once_even_disabled_and_not_twice(schedules, jobs):
    schedules.create(nightly("toy_deaf", enabled=False, condition={"new_events": 9}))
    job = schedules.run("nightly", by="anna")
    assert run_of(schedules).by == "anna"
    with pytest.raises(Busy) as busy:
        schedules.run("nightly")
    assert busy.value.job_id == job.job_id
    jobs.cancel(job.job_id)
    ended(schedules, jobs)
    assert last_of(schedules).status == "cancelled"
    assert schedules.run("nightly").job_id != job.job_id
    jobs.cancel(run_of(schedules).job_id)


def test_by_hand_a_wait_is_cut_short(schedules, jobs, clock):
    schedules.create(nightly("toy_fail"))
    at_two(clock)
    schedules.tick()
    ended(schedules, jobs)
    assert run_of(schedules).retry_at is not None
    job = schedules.run("nightly", by="anna")
    assert (run_of(schedules).job_id, run_of(schedules).attempt) == (job.job_id, 1)


def test_by_hand_a_refusal_is_heard_and_nothing_goes_on(make):
    def submit(params, by, key):
        raise Overloaded("full")

    schedules = make({"toy_count": Work(lambda _: None, submit)})
    schedules.create(nightly())
    with pytest.raises(Overloaded):
        schedules.run("nightly")
    assert run_of(schedules) is None
    with pytest.raises(NotFound):
        schedules.run("other")


# -- faults


def test_two_processes_run_a_schedule_once(make, jobs, clock, home):
    """Each has its own connections and its own writer, as processes have."""
    databases = [open_database(home.sql_url) for _ in range(4)]
    shops = [make(db=database) for database in databases]
    shops[0].create(nightly())
    at_two(clock)
    start = threading.Barrier(len(shops))

    def tick(shop):
        start.wait()
        for _ in range(3):
            shop.tick()

    threads = [threading.Thread(target=tick, args=(shop,)) for shop in shops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert jobs.list()[2] == 1
    for database in databases:
        database.close()


def test_a_row_that_another_process_holds_is_left_alone_until_the_lease_ends(make, jobs, clock):
    first, second = make(), make()
    first.create(nightly())
    at_two(clock)
    first._stepper.lease("nightly")  # and the process dies
    second.tick()
    assert jobs.list()[2] == 0
    with pytest.raises(Conflict, match="another process"):
        second.run("nightly")
    clock.advance(61 * SECOND)
    second.tick()
    assert jobs.list()[2] == 1


def test_a_lease_from_a_future_that_was_wrong_does_not_hold(make, jobs, clock):
    first, second = make(), make()
    first.create(nightly())
    clock.at = START + 300 * DAY
    first._stepper.lease("nightly")
    at_two(clock)
    second.tick()
    assert jobs.list()[2] == 1


@pytest.mark.parametrize("ended_meanwhile", [False, True])
def test_killed_between_submission_and_writing_it_down_it_submits_once(make, jobs, clock, ended_meanwhile):
    first = make()
    first.create(nightly("toy_count" if ended_meanwhile else "toy_deaf"))
    at_two(clock)
    row = first._stepper.lease("nightly")
    run = first._stepper.begin(row, micros(TWO), plan=micros(TWO) + DAY)
    job = jobs.submit(row.kind, row.params, requested_by=f"schedule:nightly:{run.token}")
    if ended_meanwhile:
        jobs.wait(job.job_id, 60)
    second = make()
    clock.advance(61 * SECOND)
    second.tick()
    state = second.get("nightly").state
    assert (state.last if ended_meanwhile else state.run).job_id == job.job_id
    assert jobs.list()[2] == 1
    if not ended_meanwhile:
        jobs.cancel(job.job_id)


def test_killed_before_submission_it_submits_after_the_restart(make, jobs, clock):
    first = make()
    first.create(nightly())
    at_two(clock)
    first._stepper.begin(first._stepper.lease("nightly"), micros(TWO), plan=micros(TWO) + DAY)
    second = make()
    clock.advance(61 * SECOND)
    second.tick()
    job = ended(second, jobs)
    assert (job.status, last_of(second).due) == ("done", TWO)


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_killed_process_leaves_one_run_that_the_next_one_ends(where, schedules, jobs, clock, home, installed):
    schedules.create(nightly())
    parent = Path(__file__).parent / "schedules_parent.py"
    process = subprocess.Popen(
        [sys.executable, str(parent), str(home.path), str(micros(TWO)), where],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": installed},
    )
    try:
        assert process.stdout.readline() == b"here\n"
    finally:
        process.kill()
        process.wait()
    assert run_of(schedules).job_id is None
    clock.at = micros(TWO) + 61 * SECOND
    schedules.tick()
    schedules.tick()
    if run_of(schedules) is not None:
        ended(schedules, jobs)
    assert (last_of(schedules).status, last_of(schedules).due) == ("done", TWO)
    assert [job.status for job in jobs.list()[0]] == ["done"]
    assert schedules.get("nightly").next_run == moment(micros(TWO) + DAY)


def test_a_row_that_cannot_be_read_does_not_stop_the_others(schedules, jobs, clock, db):
    bad = Schedule(name="bad", cron="0 2 * * *", kind="toy_count", condition={"of": "another program"}, next_run=TWO)
    db.writer.run(lambda c: table.add(c, bad, now=START, by=""))
    schedules.create(nightly())
    at_two(clock)
    schedules.tick()
    schedules.tick()
    assert ended(schedules, jobs).status == "done"
    assert schedules.get("bad").state.last is None


def test_deleted_while_its_job_runs_the_job_goes_on(schedules, jobs, clock):
    schedules.create(nightly("toy_deaf"))
    at_two(clock)
    schedules.tick()
    job_id = run_of(schedules).job_id
    schedules.delete("nightly")
    schedules.tick()
    assert schedules.list()[2] == 0
    assert jobs.get(job_id).status in ("queued", "running")
    made = schedules.create(nightly("toy_deaf"))
    assert made.state.run is None
    jobs.cancel(job_id)


def test_a_clock_set_back_repeats_nothing_and_does_not_wait_for_the_wrong_future(schedules, jobs, clock):
    schedules.create(nightly())
    at_two(clock)
    schedules.tick()
    ended(schedules, jobs)
    clock.advance(-10 * MINUTE)  # corrected: two o'clock comes again
    for _ in range(2):
        schedules.tick()
        clock.advance(11 * MINUTE)
    assert jobs.list()[2] == 1
    clock.at = START + 3650 * DAY  # wrong by years
    schedules.tick()
    ended(schedules, jobs)
    at_two(clock, days=5)
    clock.advance(-MINUTE)
    assert schedules.tick() < 1
    assert schedules.get("nightly").next_run == moment(micros(TWO) + 5 * DAY)
    clock.advance(MINUTE)
    schedules.tick()
    ended(schedules, jobs)
    assert jobs.list()[2] == 3


def test_a_wait_from_a_future_that_was_wrong_is_over(schedules, jobs, clock):
    schedules.create(nightly("toy_fail"))
    clock.at = micros(TWO) + 300 * DAY
    schedules.tick()
    ended(schedules, jobs)
    at_two(clock)
    schedules.tick()
    assert run_of(schedules).attempt == 2
    assert run_of(schedules).job_id is not None


def test_the_thread_runs_what_is_due_and_hears_of_changes(schedules, jobs, clock):
    schedules.start()
    try:
        at_two(clock, days=-1)
        schedules.create(nightly())
        clock.at = micros(schedules.get("nightly").next_run)
        schedules.wake()
        eventually(lambda: last_of(schedules) and last_of(schedules).status == "done")
    finally:
        schedules.stop()
        schedules.stop()
    assert jobs.list()[2] == 1


def test_job_kinds_of_other_packages_are_offered_beside_our_own(jobs, registry, make, db, home):
    releases = Releases(jobs, registry)
    retention = Retention(db, home, SystemClock(), jobs, registry, Removal(registry, Serving(registry)), Keep())
    publishing = Publishing(jobs, registry, Exchange(registry, home.artifacts, SystemClock()), lambda _: {})
    refresh = Refresh(jobs, registry, releases, SystemClock(), embed=_no_embedding, afresh=list)
    offered = works(jobs, releases, publishing, retention, refresh)
    assert {"toy_count", "train", "backtest", "upload", "cleanup", "refresh"} <= set(offered)
    assert not {"import", "evaluate", "deploy", "release"} & set(offered)
    schedules = make(offered)
    schedules.create(nightly("toy_count", enabled=False))
    assert jobs.wait(schedules.run("nightly").job_id, 60).result["steps"] == 1


def _no_embedding(*_):
    raise AssertionError("nothing is refreshed here")


# -- what they say


def test_a_seed_is_off_and_takes_no_name_twice(schedules):
    schedules.seed(Schedule(name="nightly", cron="0 2 * * *", kind="not yet there", enabled=False))
    schedules.seed(nightly(enabled=False))
    assert (schedules.get("nightly").kind, schedules.get("nightly").next_run) == ("not yet there", None)


def test_a_change_keeps_what_runs_left_and_needs_the_right_tag(schedules, clock):
    made = schedules.create(nightly(), by="anna")
    tag = etag(made.updated_at)
    changed = schedules.change(nightly(retries=0), if_match=tag, by="bob")
    assert (changed.version, changed.retries, changed.updated_by, changed.next_run) == (2, 0, "bob", TWO)
    with pytest.raises(Stale):
        schedules.change(nightly(), if_match=tag)
    with pytest.raises(Stale):
        schedules.delete("nightly", if_match=tag)
    later = Schedule(name="nightly", cron="0 3 * * *", kind="toy_count")
    assert schedules.change(later).next_run == moment(micros(TWO) + HOUR)


def test_names_are_taken_once_and_listed_in_pages(schedules):
    for name in ("c", "a", "b"):
        schedules.create(Schedule(name=name, cron="* * * * *", kind="toy_count"))
    with pytest.raises(Conflict, match="exists already"):
        schedules.create(Schedule(name="a", cron="* * * * *", kind="toy_count"))
    first, cursor, total = schedules.list(limit=2)
    rest, end, _ = schedules.list(limit=2, cursor=cursor)
    assert ([one.name for one in first + rest], total, end) == (["a", "b", "c"], 3, None)
    for name in ("x",):
        with pytest.raises(NotFound):
            schedules.get(name)
        with pytest.raises(NotFound):
            schedules.delete(name)
        with pytest.raises(NotFound):
            schedules.change(Schedule(name=name, cron="* * * * *", kind="toy_count"))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "Not a name"}, "name"),
        ({"cron": "soon"}, "cron"),
        ({"kind": "dance"}, "kind"),
        ({"params": {"steps": "one"}}, "params.steps"),
        ({"condition": {"metric": "luck"}}, "condition.metric"),
        ({"retries": -1}, "retries"),
        ({"retry_wait_s": 0.0}, "retry_wait_s"),
        ({"retry_wait_s": float("nan")}, "retry_wait_s"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_place(schedules, changes, field):
    given = {"name": "n", "cron": "* * * * *", "kind": "toy_count", **changes}
    with pytest.raises(Invalid) as refused:
        schedules.create(Schedule(**given))
    assert refused.value.field == field
    assert schedules.list()[2] == 0
