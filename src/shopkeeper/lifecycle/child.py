"""A job's child process, seen from the parent: start it, hear it, weigh it, end it."""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import psutil

from shopkeeper.lifecycle.joblog import LOG, trim
from shopkeeper.lifecycle.reporting import LINE_LIMIT
from shopkeeper.lifecycle.run import Spec

log = logging.getLogger(__name__)
_PASSWORDS = ("MYSQL_PASSWORD", "DORIS_PASSWORD", "POSTGRES_PASSWORD")
_KEYS = ("S3_ACCESS_KEY", "S3_SECRET_KEY", "S3_SESSION_TOKEN", "OSS_ACCESS_KEY", "OSS_SECRET_KEY")
_OTHER_NAMES = (
    "RELOAD_API_KEY", "MYSQL_PASSWORD", "DORIS_PASSWORD", "PGPASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN", "OSS_ACCESS_KEY_ID", "OSS_SECRET_ACCESS_KEY", "REDIS_URL",
)  # fmt: skip
_SECRETS = {*_OTHER_NAMES, *(f"SHOPKEEPER_{name}" for name in ("API_KEY", "REDIS_URL", *_PASSWORDS, *_KEYS))}
"""A child gets the secrets of its own job with it, and no others."""
_PROCESS_FILE = "process.json"
MIB = 1024 * 1024


class Child:
    """Runs in a session of its own. Its standard output and error are appended to `folder`/log.txt."""

    def __init__(self, spec: Spec, environment: Mapping[str, str]) -> None:
        """Raises OSError when the log cannot be opened or the process cannot be made."""
        self._folder = Path(spec.folder)
        self._buffer = bytearray()
        self._open = True
        self._reader, writer = os.pipe()
        spec.channel, spec.parent = writer, os.getpid()
        try:
            with (self._folder / LOG).open("ab") as output:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "shopkeeper.lifecycle.run"],
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=output,
                    env=_environment(environment),
                    pass_fds=(writer,),
                    start_new_session=True,
                )
        except OSError:
            os.close(self._reader)
            raise
        finally:
            os.close(writer)
        try:
            self._facts = psutil.Process(self._process.pid)
            note_process(self._folder, self._facts)
        except (OSError, psutil.Error) as error:  # a full disk, mostly: nobody could find this child later
            self.close()
            raise OSError(f"the job's process could not be noted: {error}") from error
        self._tell(msgspec.json.encode(spec) + b"\n")

    def _tell(self, line: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it died at once: the missing outcome says so later
            self._process.stdin.write(line)
            self._process.stdin.flush()

    @property
    def pid(self) -> int:
        return self._process.pid

    def hear(self, timeout_s: float) -> list[dict[str, Any]] | None:
        """Messages that arrived within `timeout_s`, maybe none; None when the child has closed its end."""
        if not self._open:
            return None
        if not select.select([self._reader], [], [], timeout_s)[0]:
            return []
        chunk = os.read(self._reader, MIB)
        if not chunk:
            self._open = False
            return None
        self._buffer += chunk
        *lines, rest = bytes(self._buffer).split(b"\n")
        self._buffer = bytearray(rest if len(rest) <= LINE_LIMIT else b"")
        return [message for line in lines if (message := _decoded(line)) is not None]

    def memory_mb(self, *, family: bool) -> float:
        """Resident memory, MiB, alone or with the processes that it started (slower to ask); 0 when it is gone."""
        try:
            family_of = self._facts.children(recursive=True) if family else []
            return float(sum(process.memory_info().rss for process in (self._facts, *family_of))) / MIB
        except psutil.Error:
            return 0.0

    def trim_log(self, limit_mb: float) -> None:
        trim(self._folder / LOG, int(limit_mb * MIB))

    def ask_to_stop(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        """Ends the child and everything in its session's group."""
        kill_group(self._process.pid)

    def ended(self, timeout_s: float) -> bool:
        """Whether it has ended, waiting at most `timeout_s`."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        return self._process.returncode is not None

    def close(self) -> int:
        """Ends what is left, frees the pipe ends, and gives the exit status (negative: the signal)."""
        self.kill()
        status = self._process.wait()
        os.close(self._reader)
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        (self._folder / _PROCESS_FILE).unlink(missing_ok=True)
        return status


def kill_group(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def note_process(folder: Path, process: psutil.Process) -> None:
    """Leave word of the child, so that who recovers the job can make sure that it is gone."""
    facts = {"pid": process.pid, "started": process.create_time()}
    half = folder / f"{_PROCESS_FILE}.half"
    half.write_bytes(msgspec.json.encode(facts))
    half.replace(folder / _PROCESS_FILE)  # whoever finds the file finds all of it


def kill_noted(folder: Path) -> None:
    """End what a dead parent left running. The process id alone is no proof: it may belong to someone else by now."""
    try:
        facts = msgspec.json.decode((folder / _PROCESS_FILE).read_bytes(), type=dict[str, float])
        pid, started = int(facts["pid"]), facts["started"]
    except (OSError, msgspec.DecodeError, KeyError):
        return
    try:
        ours = abs(psutil.Process(pid).create_time() - started) < 1.0
    except psutil.Error:
        ours = True  # the leader is gone; a group of that number can only be its own
    if ours:
        kill_group(pid)
    (folder / _PROCESS_FILE).unlink(missing_ok=True)


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in _SECRETS}
    return {**kept, "PYTHONUNBUFFERED": "1", "PYTHONHASHSEED": "0", **extra}


def _decoded(line: bytes) -> dict[str, Any] | None:
    try:
        message: dict[str, Any] = msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.DecodeError:
        log.warning("a job's child sent a line that is no JSON object; it is ignored")
        return None
    return message
