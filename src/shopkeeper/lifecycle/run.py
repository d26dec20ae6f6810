"""The child process of one job: `python -m shopkeeper.lifecycle.run`, started by `child.py`, never by hand.

The first line of stdin is the job (`Spec`); stdin then stays open as the life line: when it ends, the parent is gone
and so is this process. SIGTERM asks the job to stop at its next report. stdout and stderr are the job's log. The result
is left as `result.json` beside the work folder before the outcome is told, so it outlives the parent.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from shopkeeper import plugins
from shopkeeper.core.errors import Cancelled, ShopkeeperError, Unavailable
from shopkeeper.core.protocols import JobContext
from shopkeeper.lifecycle.reporting import Channel, Reporter
from shopkeeper.stores.artifacts import write_durably

RESULT = "result.json"
_PR_SET_PDEATHSIG = 1
_ERROR_LENGTH = 2000


class Spec(msgspec.Struct, kw_only=True):
    """What the parent tells its child. `folder` is the job's own; `channel` the descriptor to report on."""

    job_id: str
    kind: str
    params: dict[str, Any]
    home: str
    folder: str
    sql_url: str
    now: int
    zone: str
    channel: int
    parent: int


def main() -> int:
    spec = msgspec.json.decode(sys.stdin.buffer.readline(), type=Spec)
    _end_with_parent(spec.parent)
    os.set_inheritable(spec.channel, False)
    stop = threading.Event()
    _listen_for_stop(stop)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    channel = Channel(spec.channel)
    status, error = _attempt(spec, channel, stop)
    sys.stdout.flush()
    sys.stderr.flush()
    channel.send({"type": "outcome", "status": status, "error": error})
    return 0 if status == "done" else 1


def _attempt(spec: Spec, channel: Channel, stop: threading.Event) -> tuple[str, str | None]:
    """Status and, for a failure, one sentence for the job row. The stack goes to the log."""
    try:
        _work(spec, channel, stop)
    except Cancelled:
        return "cancelled", None
    except ShopkeeperError as error:
        traceback.print_exc()
        return "failed", error.message[:_ERROR_LENGTH]
    except Exception as error:  # noqa: BLE001  the edge: a job may raise anything, and all of it must be told
        traceback.print_exc()
        return "failed", _sentence(error)
    return "done", None


def _work(spec: Spec, channel: Channel, stop: threading.Event) -> None:
    workdir = Path(spec.folder, "work")
    workdir.mkdir(parents=True, exist_ok=True)
    context = JobContext(
        job_id=spec.job_id,
        params=spec.params,
        home=Path(spec.home),
        workdir=workdir,
        sql_url=spec.sql_url,
        now=spec.now,
        zone=spec.zone,
        report=Reporter(channel, stop),
        emit=lambda message: channel.send({"type": "message", "data": message}),
    )
    result = plugins.job_function(spec.kind)(context)
    if not isinstance(result, dict):
        raise Unavailable(f"job kind {spec.kind!r} returned {type(result).__name__}, expected a dict")
    write_durably(Path(spec.folder, RESULT), msgspec.json.encode(result))


def _sentence(error: Exception) -> str:
    first = (str(error).strip().splitlines() or [""])[0]
    name = type(error).__name__
    return (f"{name}: {first}" if first else name)[:_ERROR_LENGTH] + "; the job's log has the details"


def _listen_for_stop(stop: threading.Event) -> None:
    def asked(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, asked)


def _end_with_parent(parent: int) -> None:
    """Two ways, either is enough: the kernel's signal (also while C code holds the interpreter), and the life line."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch_life_line, name="life-line", daemon=True).start()
    if os.getppid() != parent:
        os.killpg(os.getpgrp(), signal.SIGKILL)
    _prefer_the_shop()


def _watch_life_line() -> None:
    while os.read(0, 4096):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _prefer_the_shop() -> None:
    """Serving goes first: a job yields the processor, and dies first when the machine is out of memory."""
    os.nice(5)
    try:
        Path("/proc/self/oom_score_adj").write_text("500")
    except OSError:
        logging.getLogger(__name__).debug("this system has no oom_score_adj")


if __name__ == "__main__":
    sys.exit(main())
