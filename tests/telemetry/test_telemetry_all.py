from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from shopkeeper.core.clock import DAY, StoppedClock
from shopkeeper.core.errors import Invalid
from shopkeeper.telemetry import logs, metrics
from shopkeeper.telemetry.resources import snapshot


@pytest.fixture
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_what_is_counted_is_exposed() -> None:
    before = metrics.REGISTRY.get_sample_value("job_total", {"kind": "toy", "status": "done"}) or 0
    metrics.job_total.labels("toy", "done").inc()
    families = {family.name: family for family in text_string_to_metric_families(metrics.exposition().decode())}
    samples = [s for s in families["job"].samples if s.labels == {"kind": "toy", "status": "done"}]
    assert next(s.value for s in samples if s.name == "job_total") == before + 1
    assert all(family.documentation for family in families.values())


def test_the_names_that_older_systems_read_are_there() -> None:
    text = metrics.exposition().decode()
    for name in ("model_predict_requests", "model_predict_duration_seconds", "model_reload", "model_version_info"):
        assert f"# TYPE {name}" in text


def test_a_log_line_is_one_json_object(restored_logging: None) -> None:
    stream = io.StringIO()
    logs.configure("info", stream)
    log = logging.getLogger("shop")
    log.debug("hidden")
    log.info("two\nlines %s", "here", extra={"request_id": "r1", "path": object})
    try:
        raise Invalid("broken")
    except Invalid:
        log.exception("failed")
    first, second = [msgspec.json.decode(line) for line in stream.getvalue().splitlines()]
    assert (first["level"], first["logger"], first["message"]) == ("info", "shop", "two\nlines here")
    assert first["request_id"] == "r1"
    assert "Invalid: broken" in second["error"]


def test_an_unknown_level_is_refused(restored_logging: None) -> None:
    with pytest.raises(Invalid, match="debug, info"):
        logs.configure("loud")


def test_resources_of_this_process() -> None:
    found = snapshot(StoppedClock(DAY))
    assert found["timestamp"] == "1970-01-02T00:00:00.000000Z"
    assert found["pid"] == os.getpid()
    assert 0 < found["memory_rss_mb"] <= found["memory_vms_mb"]
    assert found["gpu"] is None
    assert found["cpu_percent"] >= 0
