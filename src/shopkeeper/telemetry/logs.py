"""Logs: one JSON object a line on stderr, from the standard library's logging."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import msgspec

from shopkeeper.core.clock import rfc3339
from shopkeeper.core.errors import Invalid

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class JsonLines(logging.Formatter):
    """`{"time","level","logger","message", ...extra}`; a traceback goes into `error`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": rfc3339(int(record.created * 1_000_000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _PLAIN}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Sends all logs of the process to `stream` (stderr) as JSON lines. Raises Invalid on an unknown level."""
    if level.lower() not in LEVELS:
        raise Invalid(f"log level {level!r} is unknown; choose one of {', '.join(LEVELS)}", field="log_level")
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level.lower()])
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells every plug-in it finds
    for name in ("httpx", "httpcore"):  # they tell whole addresses and headers: secrets of webhooks among them
        logging.getLogger(name).setLevel(logging.WARNING)
