"""What the access log tells, and at which level."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest
from api_server import serving


def test_successes_and_probes_are_told_at_debug_level_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    wanted = {
        "/api/v1/items": (200, "DEBUG"),
        "/console": (302, "DEBUG"),
        "/readyz": (503, "DEBUG"),
        "/ping": (503, "DEBUG"),
        "/api/v1/items/nothing": (404, "INFO"),
    }
    with caplog.at_level(logging.DEBUG, "shopkeeper.access"), serving(tmp_path) as running:
        assert [running.http.get(path).status_code for path in wanted] == [status for status, _ in wanted.values()]
        until = time.monotonic() + 10
        while len(lines := _lines(caplog)) < len(wanted) and time.monotonic() < until:
            time.sleep(0.01)  # a line is written after its answer was sent
    assert lines == [f"{level} GET {path} {status}" for path, (status, level) in wanted.items()]


def _lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    mine = [record for record in caplog.records if record.name == "shopkeeper.access"]
    return [f"{record.levelname} {record.getMessage()}" for record in mine]
