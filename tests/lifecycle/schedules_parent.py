"""A shop's process that the schedule tests kill: `python schedules_parent.py HOME DUE WHERE`. Says when it hangs.

DUE: the moment that its clock stands at, when `nightly` is due. WHERE "before": it hangs when its run is written and
the job is not submitted. "after": when the job is submitted and its id is not written.
"""

import sys
import time
from zoneinfo import ZoneInfo

from shopkeeper.core.clock import StoppedClock, SystemClock
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.lifecycle.schedule import Schedules
from shopkeeper.lifecycle.works import Work
from shopkeeper.stores.home import Home
from shopkeeper.stores.sql import open_database


def main(path: str, due: str, where: str) -> None:
    home = Home(path).make()
    db = open_database(home.sql_url)
    jobs = JobService(db, home, SystemClock())

    def submit(params, by, key):
        if where == "after":
            jobs.submit("toy_count", params, requested_by=by, work_key=key)
        print("here", flush=True)
        time.sleep(600)

    works = {"toy_count": Work(lambda _: None, submit)}
    Schedules(db, StoppedClock(int(due)), works, zone=ZoneInfo("UTC"), last_seq=lambda: 0).tick()


if __name__ == "__main__":
    main(*sys.argv[1:])
