"""kill -9 at any point: every acknowledged event is in the log exactly once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from shopkeeper.core.clock import SystemClock
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.sql import open_database, sqlite_url
from shopkeeper.stores.vocabulary import Vocabularies

# Appends from several threads, retries each list once, and writes each acknowledged id to stdout.
_APPENDER = """
import itertools, os, sys, threading
from shopkeeper.core.clock import SystemClock
from shopkeeper.core.records import Event
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.sql import open_database
from shopkeeper.stores.vocabulary import Vocabularies

db = open_database(sys.argv[1])
log = EventLog(db, Vocabularies.load(db), SystemClock())
run = sys.argv[2]

def append(worker):
    for n in itertools.count():
        names = [f"{run}-{worker}-{n}-{k}" for k in range(3)]
        events = [Event(event_type="order", user_id=f"{run}-u{n % 50}", item_id=name, event_id=name) for name in names]
        futures = [log.append(events), log.append(events)]
        for future in futures:
            future.result()
        os.write(1, ("".join(name + "\\n" for name in names)).encode())

for worker in range(4):
    threading.Thread(target=append, args=(worker,), daemon=True).start()
threading.Event().wait()
"""


def append_until_killed(url: str, run: str, after: int) -> list[str]:
    """Ids that the child acknowledged before it was killed, at least `after` of them."""
    child = subprocess.Popen([sys.executable, "-c", _APPENDER, url, run], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    seen = [child.stdout.readline().strip() for _ in range(after)]
    child.kill()
    rest = child.communicate(timeout=60)[0]
    return seen + [line for line in rest.splitlines(keepends=False) if line]


@pytest.mark.slow
def test_kill_9_of_an_appending_process_loses_nothing_acknowledged(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    acknowledged: list[str] = []
    for run, after in enumerate((1, 300)):
        acknowledged += append_until_killed(url, f"run{run}", after)
        db = open_database(url)
        vocabularies = Vocabularies.load(db)
        log = EventLog(db, vocabularies, SystemClock())
        stored = [event.event_id for event in log.recent(limit=1_000_000)]
        assert len(stored) == len(set(stored))
        assert set(acknowledged) <= set(stored)
        assert log.read(limit=1_000_000).seq.tolist() == list(range(1, len(stored) + 1))
        assert len(vocabularies.items) == len(stored)
        again = log.append_columns(
            [(id, "u", None, "order", "product", id, None, 1, None, None, None, None, None) for id in acknowledged]
        ).result(60)
        assert (again.accepted, again.duplicates) == (0, len(acknowledged))
        db.close()
    assert len(acknowledged) > 300
