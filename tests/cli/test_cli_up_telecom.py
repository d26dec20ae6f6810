"""`shopkeeper up --shop telecom` on a new home, as a person runs it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from test_cli_up import up

from shopkeeper.operations.telecom import FIRST

V1 = "/api/v1"


@pytest.mark.slow
def test_a_new_home_becomes_a_simulated_shop_that_goes_on_by_itself(tmp_path: Path) -> None:
    home, options = tmp_path / "home", ("--no-console", "--no-train", "--speed", "60000")
    with up(home, "--shop", "telecom", *options) as (process, told):
        with httpx.Client(base_url=told["api"], timeout=30) as http:
            counts = {one["name"]: one["rows"] for one in http.get(f"{V1}/data/datasets").json()}
            assert counts["items"] == FIRST.product_count + FIRST.app_count
            assert counts["users"] >= FIRST.user_count
            wanted = FIRST.user_count * FIRST.avg_events_per_user
            assert 0.8 * wanted < counts["events"] < 1.2 * wanted
            with http.stream("GET", f"{V1}/events/stream") as stream:  # at a thousand times the usual pace
                came = next(line for line in stream.iter_lines() if line.startswith("data: "))
            assert '"sim-' in came
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    other = [sys.executable, "-m", "shopkeeper", "up", "--shop", "retail", "--home", str(home), "--port", "0"]
    refused = subprocess.run(other, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 6
    assert "is a shop of kind telecom" in refused.stderr
