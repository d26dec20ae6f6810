"""A shop's process that the fault tests kill: `python lifecycle_parent.py HOME KIND WHAT`. Prints the job's id.

WHAT "run": the job just runs. "finish": the process hangs in the finish hook, when the child is done. "hear": it
hangs in the hook of the child's first message. "cancel": the job is asked to stop as soon as it runs, and does not
listen.
"""

import sys
import time

from shopkeeper.core.clock import SystemClock
from shopkeeper.lifecycle.attempt import Limits
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.stores.home import Home
from shopkeeper.stores.sql import open_database


def main(path: str, kind: str, what: str) -> None:
    home = Home(path).make()
    jobs = JobService(open_database(home.sql_url), home, SystemClock(), limits=Limits(grace_s=600, threads=1))
    if what == "finish":
        jobs.on_finish(kind, lambda *_: time.sleep(600))
    if what == "hear":
        jobs.on_message(kind, lambda *_: time.sleep(600))
    job = jobs.submit(kind, {"steps": 1, "messages": 3})
    jobs.start()
    if what == "cancel":
        while not any(event.type == "epoch" for event in jobs.events(job.job_id)):
            time.sleep(0.02)
        jobs.cancel(job.job_id)
    print(job.job_id, flush=True)
    time.sleep(600)


if __name__ == "__main__":
    main(*sys.argv[1:])
