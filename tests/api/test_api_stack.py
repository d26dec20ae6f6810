"""Two versions that see different columns are combined, and the combination answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from api_server import Running, serving

from shopkeeper.lifecycle.stacking import _compared, fit

V1 = "/api/v1/models/both"


def write_rows(path: Path, n: int = 3000) -> None:
    """The outcome depends on a and b; c is noise."""
    draw = np.random.default_rng(7)
    a, b, c = draw.normal(size=(3, n))
    label = draw.random(n) < 1 / (1 + np.exp(-(2 * a + 2 * b)))
    lines = [f"{x:.4f},{y:.4f},{z:.4f},{int(t)}" for x, y, z, t in zip(a, b, c, label, strict=True)]
    path.write_text("\n".join(["a,b,c,label", *lines]))


def train(running: Running, source: dict[str, Any], features: list[str]) -> None:
    form = {"algorithm": "xgb", "params": {"trees": 60}, "source": {**source, "features": features}, "promote": False}
    queued = running.http.post(f"{V1}/train", json=form)
    assert queued.status_code == 202, queued.text
    job = running.shop.jobs.wait(queued.json()["job_id"], 120)
    assert job.status == "done", job.error


def test_a_stack_beats_its_members_and_answers(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as running:
        rows = tmp_path / "rows.csv"
        write_rows(rows)
        source = {"kind": "file", "path": str(rows)}
        train(running, source, ["a", "c"])
        running.shop.registry.promote("both", 1)
        train(running, source, ["b", "c"])
        queued = running.http.post(f"{V1}/stack", json={"versions": [1, 2], "source": source})
        assert queued.status_code == 202, queued.text
        job = running.shop.jobs.wait(queued.json()["job_id"], 120)
        assert job.status == "done", job.error
        measured = job.result["metrics"]
        assert measured["stack"]["log_loss"] < measured["mean"]["log_loss"]
        assert measured["stack"]["auc"] > max(measured["v1"]["auc"], measured["v2"]["auc"]) + 0.05
        assert job.result["shared"] is True
        told = running.http.post("/predictions/both", json={"data": [{"a": 2.0, "b": 2.0}, {"a": -2.0, "b": -2.0}]})
        assert told.headers["x-model-version"] == "v1+v2"
        high, low = told.json()["predictions"]
        assert high > 0.9
        assert low < 0.1
        assert running.http.get(f"{V1}/traffic").json()["stack"]["coefficients"] == job.result["stack"]["coefficients"]
        for versions, status in (([1], 422), ([1, 1], 422), ([1, 9], 404), ([2, 3], 404)):
            assert running.http.post(f"{V1}/stack", json={"versions": versions}).status_code == status


def test_newton_finds_the_coefficients_that_made_the_data() -> None:
    draw = np.random.default_rng(3)
    logits = draw.normal(size=(40_000, 2))
    label = (draw.random(40_000) < 1 / (1 + np.exp(-(0.5 + logits @ np.array([1.5, -0.7]))))).astype(float)
    made = fit(logits, label)
    assert made.intercept == pytest.approx(0.5, abs=0.06)
    assert made.coefficients == pytest.approx([1.5, -0.7], abs=0.06)


def test_a_stack_that_is_no_better_says_so() -> None:
    draw = np.random.default_rng(5)
    truth = draw.random(4000)
    label = (draw.random(4000) < truth).astype(float)
    told = _compared(np.column_stack([truth, draw.random(4000)]), label, [1, 2], champion=1)
    assert told["metrics"]["stack"]["log_loss"] == pytest.approx(told["metrics"]["v1"]["log_loss"], abs=0.01)
    assert told["metrics"]["mean"]["log_loss"] > told["metrics"]["v1"]["log_loss"]
