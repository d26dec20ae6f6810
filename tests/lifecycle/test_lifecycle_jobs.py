"""Jobs run in children, are watched by number, and end in exactly one way."""

import asyncio
import json
import os
import signal
import threading

import pytest
from lifecycle_waiting import eventually, is_alive

from shopkeeper.core.clock import SystemClock
from shopkeeper.core.errors import Busy, Conflict, Invalid, NotFound, Overloaded
from shopkeeper.lifecycle.attempt import Limits
from shopkeeper.lifecycle.child import Child
from shopkeeper.lifecycle.jobs import JobService


def only_end(jobs, job_id):
    """The events of a finished job: dense numbers, one terminal event, and it is the last."""
    events = jobs.events(job_id)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.type for event in events].count("done") == 1
    assert events[-1].type == "done"
    return events[-1].data


def test_a_job_runs_in_a_child_and_leaves_result_log_and_events(make_jobs, home):
    jobs = make_jobs()
    job = jobs.submit("toy_count", {"steps": 3}, requested_by="anna")
    done = jobs.wait(job.job_id, 60)
    assert (done.status, done.result["steps"], done.result["threads"]) == ("done", 3, "1")
    assert done.requested_by == "anna"
    assert done.created_at <= done.started_at <= done.finished_at
    assert "counted 3" in jobs.logs(job.job_id)
    assert int((jobs.folder(job.job_id) / "work" / "pid").read_text()) != os.getpid()
    events = jobs.events(job.job_id)
    assert [e.type for e in events] == ["status", "status", "epoch", "epoch", "epoch", "done"]
    assert events[2].data == {
        "epoch": 1,
        "total_epochs": 3,
        "percent": 33.3,
        "loss": 1.0,
        "metrics": {"loss": 1.0},
    }
    assert only_end(jobs, job.job_id)["status"] == "done"


def test_unknown_kind_bad_params_and_unknown_job(make_jobs):
    jobs = make_jobs(start=False)
    with pytest.raises(NotFound, match="no job kind 'nonsense'"):
        jobs.submit("nonsense", {})
    with pytest.raises(Invalid):
        jobs.submit("toy_count", {"x": object()})
    for call in (jobs.get, jobs.cancel, jobs.logs, jobs.events):
        with pytest.raises(NotFound):
            call("../../etc/passwd")


def test_the_same_unfinished_work_is_refused_by_name(make_jobs):
    jobs = make_jobs(start=False)
    first = jobs.submit("toy_count", {}, work_key="train:a:all")
    with pytest.raises(Busy) as caught:
        jobs.submit("toy_count", {}, work_key="train:a:all")
    assert caught.value.job_id == first.job_id
    jobs.submit("toy_count", {}, work_key="train:b:all")
    jobs.cancel(first.job_id)
    jobs.submit("toy_count", {}, work_key="train:a:all")


def test_a_full_queue_is_refused(db, home):
    from shopkeeper.core.clock import SystemClock

    jobs = JobService(db, home, SystemClock(), queue_limit=2)
    jobs.submit("toy_count", {})
    jobs.submit("toy_count", {})
    with pytest.raises(Overloaded):
        jobs.submit("toy_count", {})


def test_an_exception_is_told_in_one_sentence_and_the_stack_is_in_the_log(make_jobs):
    jobs = make_jobs()
    job = jobs.wait(jobs.submit("toy_fail", {}).job_id, 60)
    assert job.status == "failed"
    assert job.error.startswith("ZeroDivisionError: secret_name_of_the_frame divides by nothing;")
    assert "second line" not in job.error
    assert "Traceback" not in job.error
    assert "Traceback" in jobs.logs(job.job_id)
    only_end(jobs, job.job_id)


def test_our_own_errors_keep_their_words(make_jobs):
    jobs = make_jobs()
    job = jobs.wait(jobs.submit("toy_refuse", {}).job_id, 60)
    assert (job.status, job.error) == ("failed", "the file has no column y; map one")


def test_a_result_that_is_no_dict_fails(make_jobs):
    jobs = make_jobs()
    job = jobs.wait(jobs.submit("toy_odd", {}).job_id, 60)
    assert (job.status, job.error) == ("failed", "job kind 'toy_odd' returned list, expected a dict")


def test_a_child_that_is_killed_fails_and_the_next_job_runs(make_jobs):
    jobs = make_jobs()
    dead = jobs.submit("toy_die", {})
    alive = jobs.submit("toy_count", {"steps": 1})
    assert jobs.wait(alive.job_id, 60).status == "done"
    job = jobs.get(dead.job_id)
    assert job.status == "failed"
    assert "SIGKILL" in job.error
    only_end(jobs, dead.job_id)


def test_what_a_child_says_as_it_ends_is_heard(make_jobs, monkeypatch):
    hear = Child.hear

    def nothing_until_its_end(child, timeout_s):
        """The tick ran out just before it spoke, and it was gone just after."""
        if child.ended(0):
            return hear(child, timeout_s)
        child.ended(60)
        return []

    monkeypatch.setattr(Child, "hear", nothing_until_its_end)
    jobs = make_jobs()
    assert jobs.wait(jobs.submit("toy_count", {"steps": 1}).job_id, 60).status == "done"


def test_a_log_that_grows_too_large_keeps_its_end_and_says_so(make_jobs):
    jobs = make_jobs(log_mb=0.25)
    job = jobs.wait(jobs.submit("toy_talk", {"lines": 20_000}).job_id, 60)
    assert job.status == "done"
    assert (jobs.folder(job.job_id) / "log.txt").stat().st_size <= 0.25 * 1024 * 1024
    lines = jobs.logs(job.job_id, tail=100_000).splitlines()
    assert "older part of this log was dropped" in lines[0]
    assert lines[-1].startswith("00019999")


def test_a_failure_hook_that_breaks_does_not_stop_the_worker(make_jobs):
    def breaks(*_):
        raise RuntimeError("a stranger's mistake")

    jobs = make_jobs(hooks=lambda s: s.on_failure("toy_fail", breaks))
    failed = jobs.submit("toy_fail", {})
    assert jobs.wait(jobs.submit("toy_count", {"steps": 1}).job_id, 60).status == "done"
    assert jobs.get(failed.job_id).status == "failed"


def test_cancel_while_queued(make_jobs):
    ended = []
    jobs = make_jobs(start=False, hooks=lambda s: s.on_failure("toy_count", lambda *end: ended.append(end[1:])))
    job = jobs.submit("toy_count", {})
    assert jobs.cancel(job.job_id).status == "cancelled"
    assert ended == [("cancelled", None)]
    jobs.start()
    assert jobs.wait(jobs.submit("toy_count", {"steps": 1}).job_id, 60).status == "done"
    assert jobs.get(job.job_id).status == "cancelled"
    assert not (jobs._home.jobs / job.job_id).exists()
    only_end(jobs, job.job_id)
    with pytest.raises(Conflict, match="cancelled already"):
        jobs.cancel(job.job_id)


def test_cancel_while_running_is_cooperative(make_jobs):
    jobs = make_jobs(grace_s=60.0)
    job = jobs.submit("toy_count", {"steps": 10_000})
    eventually(lambda: any(event.type == "epoch" for event in jobs.events(job.job_id)))
    jobs.cancel(job.job_id)
    assert jobs.wait(job.job_id, 30).status == "cancelled"
    only_end(jobs, job.job_id)


def test_a_deaf_job_and_what_it_started_are_ended_by_force(make_jobs):
    jobs = make_jobs(grace_s=0.3)
    job = jobs.submit("toy_family", {})
    eventually(lambda: any(event.type == "epoch" for event in jobs.events(job.job_id)))
    work = jobs.folder(job.job_id) / "work"
    pids = [int((work / name).read_text()) for name in ("pid", "grandchild")]
    jobs.cancel(job.job_id)
    assert jobs.wait(job.job_id, 30).status == "cancelled"
    eventually(lambda: not any(is_alive(pid) for pid in pids))
    only_end(jobs, job.job_id)


def test_the_time_limit(make_jobs):
    jobs = make_jobs(time_s=0.5)
    job = jobs.wait(jobs.submit("toy_deaf", {}).job_id, 60)
    assert job.status == "failed"
    assert "time limit of 0.5 s" in job.error
    only_end(jobs, job.job_id)


def test_the_memory_limit(make_jobs):
    jobs = make_jobs(memory_mb=300.0)
    job = jobs.wait(jobs.submit("toy_hog", {}).job_id, 60)
    assert job.status == "failed"
    assert "memory limit is 300 MiB" in job.error
    only_end(jobs, job.job_id)


def test_a_full_disk_for_the_log_fails_the_job_and_the_worker_goes_on(make_jobs, home):
    jobs = make_jobs(start=False)
    job = jobs.submit("toy_count", {})
    (home.jobs / job.job_id).write_text("a file is where the folder should be")
    jobs.start()
    assert jobs.wait(job.job_id, 60).status == "failed"
    assert "the disk or the system refused" in jobs.get(job.job_id).error
    assert jobs.wait(jobs.submit("toy_count", {"steps": 1}).job_id, 60).status == "done"


def test_messages_reach_the_hook_in_order_and_the_finish_hook_adds_to_the_result(make_jobs):
    heard = []

    def hooks(jobs):
        jobs.on_start("toy_emit", lambda job: {"messages": job.params["half"] * 2})
        jobs.on_message("toy_emit", lambda _, message: heard.append(message["number"]))
        jobs.on_finish("toy_emit", lambda *_: {"heard": len(heard)})

    jobs = make_jobs(hooks=hooks)
    job = jobs.wait(jobs.submit("toy_emit", {"half": 2500}).job_id, 60)
    assert job.result == {"heard": 5000}
    assert heard == list(range(5000))
    assert job.params == {"half": 2500}


def test_a_hook_that_fails_fails_the_job(make_jobs):
    def hooks(jobs):
        jobs.on_message("toy_emit", lambda *_: {}["nothing"])

        def refuse(job, result):
            raise Invalid("this result is not wanted")

        jobs.on_finish("toy_count", refuse)

    jobs = make_jobs(hooks=hooks)
    assert jobs.wait(jobs.submit("toy_emit", {"messages": 5}).job_id, 60).error.startswith(
        "a hook of 'toy_emit' failed"
    )
    job = jobs.wait(jobs.submit("toy_count", {"steps": 1}).job_id, 60)
    assert (job.status, job.error) == ("failed", "this result is not wanted")
    only_end(jobs, job.job_id)


def test_jobs_are_listed_newest_first_in_pages(make_jobs):
    jobs = make_jobs(start=False)
    ids = [jobs.submit("toy_count", {"n": n}).job_id for n in range(5)]
    jobs.cancel(ids[0])
    first, cursor, total = jobs.list(limit=3)
    rest, end, _ = jobs.list(limit=3, cursor=cursor)
    assert [job.job_id for job in first + rest] == sorted(ids, reverse=True)
    assert (total, end) == (5, None)
    assert [job.job_id for job in jobs.list(status="cancelled")[0]] == [ids[0]]
    assert jobs.list(kind="train")[2] == 0


def test_followers_resume_without_gap_or_repeat(make_jobs):
    jobs = make_jobs()
    job = jobs.submit("toy_count", {"steps": 40, "seconds": 0.02})

    async def read(after, stop_at=None):
        seen = []
        async for event in jobs.follow(job.job_id, after):
            seen.append(event.seq)
            if stop_at is not None and len(seen) == stop_at:
                break
        return seen

    async def both():
        head, whole = await asyncio.gather(read(0, stop_at=5), read(0))
        return head + await read(head[-1]), whole

    resumed, whole = asyncio.run(both())
    assert resumed == whole == [event.seq for event in jobs.events(job.job_id)]
    assert asyncio.run(read(whole[-1])) == []


def test_following_says_when_nothing_happens(make_jobs):
    jobs = make_jobs(start=False)
    job = jobs.submit("toy_count", {})

    async def first_two():
        stream = jobs.follow(job.job_id, idle_s=0.05)
        return [await anext(stream), await anext(stream)]

    event, idle = asyncio.run(first_two())
    assert (event.data, idle) == ({"status": "queued"}, None)


def test_stopping_puts_a_running_job_back_and_it_runs_at_the_next_start(make_jobs):
    jobs = make_jobs(grace_s=0.2)
    job = jobs.submit("toy_flaky", {})
    eventually(lambda: any(event.type == "epoch" for event in jobs.events(job.job_id)))
    jobs.stop()
    assert jobs.get(job.job_id).status == "queued"
    again = make_jobs()
    assert again.wait(job.job_id, 60).result == {"attempt": 2}
    only_end(again, job.job_id)


def test_many_threads_cancelling_end_the_job_once(make_jobs):
    jobs = make_jobs()
    job = jobs.submit("toy_count", {"steps": 10_000})
    outcomes = []

    def cancel():
        try:
            jobs.cancel(job.job_id)
            outcomes.append("asked")
        except Conflict:
            outcomes.append("finished")

    threads = [threading.Thread(target=cancel) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "asked" in outcomes
    assert jobs.wait(job.job_id, 30).status == "cancelled"
    only_end(jobs, job.job_id)


def test_a_child_killed_from_outside_fails(make_jobs):
    jobs = make_jobs()
    job = jobs.submit("toy_deaf", {})
    eventually(lambda: any(event.type == "epoch" for event in jobs.events(job.job_id)))
    os.kill(json.loads((jobs.folder(job.job_id) / "process.json").read_text())["pid"], signal.SIGKILL)
    assert jobs.wait(job.job_id, 30).status == "failed"
    only_end(jobs, job.job_id)


def test_a_kind_with_a_plan_of_its_own_has_no_time_limit(db, home, installed):
    service = JobService(
        db,
        home,
        SystemClock(),
        limits=Limits(grace_s=1.0, threads=1, time_s=0.2),
        planned=("toy_count",),
        environment={"PYTHONPATH": installed},
    )
    service.start()
    try:
        job = service.submit("toy_count", {"steps": 3, "seconds": 0.3})
        assert service.wait(job.job_id, 60).status == "done"
    finally:
        service.stop()


def test_light_kinds_do_not_wait_for_each_other(db, home, installed):
    service = JobService(
        db,
        home,
        SystemClock(),
        limits=Limits(grace_s=1.0, threads=1),
        light=("toy_deaf", "toy_count"),
        environment={"PYTHONPATH": installed},
    )
    service.start()
    try:
        service.submit("toy_deaf", {})
        job = service.submit("toy_count", {})
        assert service.wait(job.job_id, 60).status == "done"
    finally:
        service.stop()
