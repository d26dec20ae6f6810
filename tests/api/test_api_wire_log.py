"""What predictions leave behind: log lines with model, version and trace, and the metrics that dashboards know."""

from __future__ import annotations

import json
import logging
import re
import time
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import wiretoys
from api_server import Running

from shopkeeper.telemetry.logs import JsonLines

ROWS = {"data": [{"price": 1.0}, {"price": 2.0}]}
TENSORS = {"inputs": [{"name": "price", "shape": [2], "datatype": "FP64", "data": [1, 2]}]}
DIALECTS: dict[str, Any] = {
    "/predictions/xgb": ROWS,
    "/predict?model=xgb": ROWS,
    "/v1/models/xgb:predict": {"instances": ROWS["data"]},
    "/v2/models/xgb/infer": TENSORS,
    "/v2/models/xgb/versions/1/infer": TENSORS,
}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def lines() -> Any:
    """The access log as it is written: a function that waits for n JSON lines."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    log = logging.getLogger("shopkeeper.access")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)

    def read(wanted: int) -> list[dict[str, Any]]:
        until = time.monotonic() + 10
        while (text := stream.getvalue()).count("\n") < wanted and time.monotonic() < until:
            time.sleep(0.01)  # a line is written after its answer was sent
        return [json.loads(line) for line in text.splitlines()]

    yield read
    log.removeHandler(handler)
    log.setLevel(level)


def test_every_dialect_logs_model_version_request_and_trace(tmp_path: Path, lines: Any) -> None:
    headers = {"x-request-id": "mine", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    with wiretoys.served(tmp_path) as wire:
        for path, body in DIALECTS.items():
            answer = wire.http.post(path, json=body, headers=headers)
            assert answer.status_code == 200, answer.text
            assert answer.headers["x-model-version"] == "v1"
        found = lines(len(DIALECTS))
        assert [one["message"] for one in found] == [f"POST {path.partition('?')[0]} 200" for path in DIALECTS]
        for one in found:
            facts = (one["request_id"], one["model"], one["model_version"], one["trace_id"])
            assert facts == ("mine", "xgb", "v1", TRACE), one
        wire.http.post("/predictions/nothing", json=ROWS, headers={"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"})
        refused = lines(len(DIALECTS) + 1)[-1]
        assert (refused["model"], refused["status"], refused["level"]) == ("nothing", 404, "info")
        assert not {"trace_id", "model_version"} & refused.keys()


def samples(wire: Running, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    """Label pairs -> value of one metric on /metrics."""
    found = {}
    for line in wire.http.get("/metrics").text.splitlines():
        one = re.fullmatch(rf"{name}(?:\{{(.*)\}})? (\S+)", line)
        if one is not None:
            found[tuple(sorted(re.findall(r'(\w+)="([^"]*)"', one[1] or "")))] = float(one[2])
    return found


def having(found: dict[tuple[tuple[str, str], ...], float], **labels: str) -> float:
    """The sum of the samples with these labels; more labels than those are fine."""
    return sum(value for pairs, value in found.items() if set(labels.items()) <= set(pairs))


def test_the_names_and_labels_that_dashboards_know(tmp_path: Path) -> None:
    with wiretoys.served(tmp_path) as wire:
        before = {status: having(samples(wire, "model_predict_requests_total"), status=status, model="mmoe")
                  for status in ("ok", "error")}  # fmt: skip
        wire.http.post("/predictions/mmoe", json=ROWS)
        wire.http.post("/predictions/mmoe", json={"data": [{"price": "ten"}]})
        counted = samples(wire, "model_predict_requests_total")
        assert having(counted, status="ok", model="mmoe") == before["ok"] + 1
        assert having(counted, status="error", model="mmoe") == before["error"] + 1
        bounds = [
            pairs for pairs in samples(wire, "model_predict_duration_seconds_bucket") if ("model", "mmoe") in pairs
        ]
        edges = [dict(pairs)["le"] for pairs in bounds]
        assert edges == ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "+Inf"]
        assert having(samples(wire, "model_predict_batch_size_count")) > 0
        served = samples(wire, "http_requests_total")
        assert having(served, path="/predictions/{model}", method="POST", status="200") > 0
        assert having(samples(wire, "http_request_duration_seconds_count"), path="/predictions/{model}") > 0


def test_a_version_that_is_replaced_says_so(tmp_path: Path) -> None:
    model = "replaced"  # the metrics are the process's: no other test has a model of this name
    with wiretoys.served(tmp_path) as wire:
        registry = wire.shop.registry
        for _ in range(2):
            wiretoys.add_version(registry, tmp_path / "home" / "made", model)
        for move, serves in ((1, "1"), (2, "2"), (1, "1")):
            registry.promote(model, move, force=True)
            info = samples(wire, "model_version_info")
            told = {version: having(info, model=model, version=version) for version in ("1", "2")}
            assert told == {"1": float(serves == "1"), "2": float(serves == "2")}
