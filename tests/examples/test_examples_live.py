"""The own package in a shop that is really served: its source brings the orders, its algorithm and feature learn."""

from __future__ import annotations

import gzip
import json
import select
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from own_package import EXAMPLES

from shopkeeper.client import ShopkeeperClient

UP = [
    sys.executable,
    "-m",
    "shopkeeper",
    "up",
    "--shop",
    "empty",
    "--port",
    "0",
    "--no-console",
    "--no-train",
    "--json",
]
RHYTHM = (1.0, 0.8, 0.9, 1.1, 1.6, 2.0, 0.5)


def orders() -> list[dict[str, object]]:
    """90 days up to yesterday: 10 products, 25 customers, a weekly rhythm; one line in twenty comes back."""
    random = np.random.default_rng(1)
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    lines: list[dict[str, object]] = []
    for day in (noon - timedelta(days=back) for back in range(90, 0, -1)):
        for item in range(10):
            for _ in range(random.poisson(RHYTHM[day.weekday()] * (0.5 + 0.4 * item))):
                sign = -1 if random.random() < 0.05 else 1
                lines.append(
                    {
                        "Order No": f"{day:%j}-{random.integers(9)}",
                        "Customer ID": f"C{random.integers(25)}",
                        "SKU": f"MUG-{item}",
                        "Description": f"Mug {item}",
                        "Quantity": sign * int(random.integers(1, 4)),
                        "Unit Price": 2.5 + item,
                        "Order Date": (day + timedelta(minutes=int(random.integers(500)))).isoformat(),
                    }
                )
    return lines


@pytest.fixture(scope="module")
def url(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("shop")
    with (folder / "up.err").open("wb") as log:
        home = ["--json", "--home", str(folder / "home")]
        process = subprocess.Popen([*UP, *home], env=environment, stdout=subprocess.PIPE, stderr=log)
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 120)[0], (folder / "up.err").read_text()
        yield json.loads(process.stdout.readline())["api"]
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait(30)


@pytest.fixture(scope="module")
def shop(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShopkeeperClient]:
    """With the orders in it, brought as a file that only the own source can read."""
    lines = orders()
    file = tmp_path_factory.mktemp("file") / "orders.jsonl.gz"
    file.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    with ShopkeeperClient(url) as client:
        brought = client.upload(file)
        assert (brought["kind"], brought["rows"]) == ("orders", len(lines))
        job = client.wait(client.start_import(brought["import_id"])["job_id"], timeout_s=120)
        assert job.status == "done", job.error
        assert client.get_import(brought["import_id"])["accepted"] == len(lines)
        yield client


def test_the_own_algorithm_is_trained_judged_and_serves(shop: ShopkeeperClient):
    job = shop.wait(shop.train("sales_daily", "weekday_average", params={"weeks": 6}).job_id, timeout_s=120)
    assert job.status == "done", job.error
    version = shop.version("sales_daily")
    assert (version.algorithm, version.params, version.gate.verdict) == ("weekday_average", {"weeks": 6}, "PROMOTE")
    assert version.metrics["wape"] < version.metrics["naive_wape"]
    forecast = shop.forecast("MUG-9", 14)
    assert (forecast.model, forecast.version, forecast.fallback) == ("sales_daily", 1, None)
    assert all(day.quantiles["0.1"] <= day.quantiles["0.5"] <= day.quantiles["0.9"] for day in forecast.forecast)
    assert sum(day.mean for day in forecast.forecast) > 14


def test_a_ranker_learns_from_the_own_feature(shop: ShopkeeperClient):
    small = {"trees": 5, "max_visits": 100, "negatives": 5}
    job = shop.wait(shop.train("home_ranker", "xgb", params=small).job_id, timeout_s=240)
    assert job.status == "done", job.error
    assert "item_return_share" in shop.version("home_ranker", "1").feature_names
    assert shop.recommend("C1", 3, scenario="home").recommendations


def test_the_quickstart_runs(shop: ShopkeeperClient, url: str):
    before = shop.events(limit=1).items[0].seq
    program = [sys.executable, str(EXAMPLES / "quickstart.py"), url]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "the profile has moved: {'order': 1, 'view': 1}" in done.stdout
    assert done.stdout.count("suggested: Mug") == 3
    assert "pieces expected in the next 7 days" in done.stdout
    assert shop.events(limit=1).items[0].seq == before + 2


def test_the_quickstart_says_what_to_do_when_nobody_is_there(tmp_path: Path):
    program = [sys.executable, str(EXAMPLES / "quickstart.py"), "http://127.0.0.1:9"]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "is the shop up? shopkeeper up" in done.stderr
    assert "Traceback" not in done.stderr
