"""kill -9 of the shop's process: its children end by themselves, and the next start ends every job exactly once."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from lifecycle_waiting import eventually, is_alive
from sqlalchemy.event import listen

from shopkeeper.lifecycle.child import kill_noted
from shopkeeper.stores.sql import open_database


@pytest.fixture
def shop_process(home, installed):
    """Starts shop processes; gives (process, job id). What is left at the end is killed."""
    started = []

    def start(kind, what="run"):
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("lifecycle_parent.py")), str(home.path), kind, what],
            env={**os.environ, "PYTHONPATH": installed},
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def wait_for_child(home, job_id, name="pid"):
    """The process id that the job wrote into its work folder."""
    file = home.jobs / job_id / "work" / name
    return int(eventually(lambda: file.exists() and file.read_text()))


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()


def assert_one_end(jobs, job_id, status):
    events = jobs.events(job_id)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.data["status"] for event in events if event.type == "done"] == [status]
    assert events[-1].type == "done"


def test_the_child_of_a_dead_parent_ends_and_its_job_runs_once_more(home, shop_process, make_jobs):
    process, job_id = shop_process("toy_flaky")
    child = wait_for_child(home, job_id, "first")
    kill(process)
    eventually(lambda: not is_alive(child))
    jobs = make_jobs()
    assert jobs.wait(job_id, 60).result == {"attempt": 2}
    assert_one_end(jobs, job_id, "done")
    assert any("it is queued again" in event.data.get("message", "") for event in jobs.events(job_id))


def test_a_job_that_loses_its_parent_twice_fails(home, shop_process, make_jobs):
    process, job_id = shop_process("toy_deaf")
    wait_for_child(home, job_id)
    kill(process)
    (home.jobs / job_id / "work" / "pid").unlink()
    process, other = shop_process("toy_count")
    child = wait_for_child(home, job_id)
    kill(process)
    eventually(lambda: not is_alive(child))
    ended = []
    jobs = make_jobs(hooks=lambda s: s.on_failure("toy_deaf", lambda job, *end: ended.append((job.job_id, end[0]))))
    assert jobs.wait(job_id, 60).status == "failed"
    assert "2 times" in jobs.get(job_id).error
    assert ended == [(job_id, "failed")]
    assert_one_end(jobs, job_id, "failed")
    assert jobs.wait(other, 60).status == "done"


def test_work_that_was_done_is_finished_and_not_repeated(home, shop_process, make_jobs):
    process, job_id = shop_process("toy_count", "finish")
    eventually((home.jobs / job_id / "result.json").exists)
    pid = wait_for_child(home, job_id)
    kill(process)
    jobs = make_jobs(hooks=lambda s: s.on_finish("toy_count", lambda *_: {"finished_by": "the second"}))
    job = jobs.wait(job_id, 60)
    assert (job.status, job.result["steps"], job.result["finished_by"]) == ("done", 1, "the second")
    assert wait_for_child(home, job_id) == pid
    assert_one_end(jobs, job_id, "done")


def test_work_whose_messages_were_not_all_heard_is_repeated(home, shop_process, make_jobs):
    """A child may be done long before its parent has stored what it said."""
    process, job_id = shop_process("toy_emit", "hear")
    eventually((home.jobs / job_id / "result.json").exists)
    kill(process)
    heard = []
    jobs = make_jobs(hooks=lambda s: s.on_message("toy_emit", lambda _, message: heard.append(message["number"])))
    assert jobs.wait(job_id, 60).status == "done"
    assert heard == [0, 1, 2]
    assert_one_end(jobs, job_id, "done")


def test_work_whose_messages_were_heard_is_not_repeated(home, shop_process, make_jobs):
    process, job_id = shop_process("toy_emit", "finish")
    eventually((home.jobs / job_id / "heard").exists)
    kill(process)
    heard = []
    jobs = make_jobs(hooks=lambda s: s.on_message("toy_emit", lambda *_: heard.append(1)))
    assert jobs.wait(job_id, 60).status == "done"
    assert heard == []
    assert_one_end(jobs, job_id, "done")


def test_a_cancel_that_was_acknowledged_outlives_the_process(home, shop_process, make_jobs):
    process, job_id = shop_process("toy_deaf", "cancel")
    kill(process)
    jobs = make_jobs()
    assert jobs.wait(job_id, 60).status == "cancelled"
    assert_one_end(jobs, job_id, "cancelled")


def test_what_a_dead_parents_job_had_started_is_ended_at_the_next_start(home, shop_process, make_jobs):
    process, job_id = shop_process("toy_family")
    grandchild = wait_for_child(home, job_id, "grandchild")
    wait_for_child(home, job_id)
    kill(process)
    jobs = make_jobs()
    eventually(lambda: not is_alive(grandchild))
    jobs.cancel(job_id)
    assert jobs.wait(job_id, 60).status == "cancelled"


def test_a_process_id_that_belongs_to_someone_else_is_left_alone(tmp_path):
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    started = psutil.Process(bystander.pid).create_time()
    (tmp_path / "process.json").write_text(json.dumps({"pid": bystander.pid, "started": started - 100.0}))
    kill_noted(tmp_path)
    assert bystander.poll() is None
    (tmp_path / "process.json").write_text(json.dumps({"pid": bystander.pid, "started": started}))
    kill_noted(tmp_path)
    assert bystander.wait(30) == -signal.SIGKILL
    bystander.stdin.close()


def test_a_database_that_takes_no_writes_delays_the_end_and_does_not_lose_it(make_jobs, db, caplog):
    """The disk is full for a while: the worker tries again until it can store the end."""
    jobs = make_jobs()
    job = jobs.submit("toy_count", {"steps": 10, "seconds": 0.05, "padding": 500_000})
    eventually(lambda: any(event.type == "epoch" for event in jobs.events(job.job_id)))
    disk = SmallDisk(db)
    eventually(lambda: "cannot be stored yet" in caplog.text)
    assert jobs.get(job.job_id).status == "running"
    disk.grow()
    assert jobs.wait(job.job_id, 60).status == "done"
    events = jobs.events(job.job_id)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events[-1].type == "done"


class SmallDisk:
    """Lets every connection see a full disk: SQLite refuses to grow the file beyond its present pages."""

    def __init__(self, db):
        with db.read() as connection:
            self.pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        listen(db.engine, "checkout", lambda raw, *_: raw.execute(f"PRAGMA max_page_count={self.pages}"))

    def grow(self):
        self.pages = 1_000_000_000


def test_reopening_finds_every_job(home, make_jobs, db):
    jobs = make_jobs(start=False)
    ids = {jobs.submit("toy_count", {}).job_id for _ in range(3)}
    db.close()
    again = open_database(home.sql_url)
    with again.read() as connection:
        from shopkeeper.stores import jobs as table

        assert {
            job.job_id for job in table.page(connection, kind=None, status="queued", limit=9, cursor=None)[0]
        } == ids
    again.close()
