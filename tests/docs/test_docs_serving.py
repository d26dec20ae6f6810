"""docs/serving.md: its command lines are run against a server, its answers and its table of metrics compared."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "serving.md").read_text()
BLOCKS = re.findall(r"^```(sh|json)\n(.*?)^```", PAGE, re.M | re.S)

sys.path.insert(0, str(ROOT / "tests" / "api"))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A shop whose model `xgb` has the features of the sample data."""
    import wiretoys
    from api_server import serving

    folder = tmp_path_factory.mktemp("serving")
    wiretoys.MODELS["xgb"], before = "wire_sample", wiretoys.MODELS["xgb"]
    try:
        with wiretoys.installed(folder / "site"), serving(folder / "home", enabled_models="xgb") as running:
            wiretoys.add_version(running.shop.registry, folder / "made", "xgb")
            running.shop.registry.promote("xgb", 1)
            yield running.url
    finally:
        wiretoys.MODELS["xgb"] = before


@pytest.mark.skipif(
    shutil.which("curl") is None and not os.environ.get("SHOPKEEPER_REQUIRE_ALL"), reason="needs apt-get install curl"
)
def test_every_command_line_is_answered_as_the_page_says(url: str) -> None:
    asked = 0
    for at, (kind, text) in enumerate(BLOCKS):
        if kind != "sh":
            continue
        for line in text.strip().splitlines():
            assert line.startswith("curl -s "), line
            done = subprocess.run(
                ["bash", "-c", line.replace("curl -s", "curl -sS --fail-with-body", 1).replace("localhost:8080", url)],
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert done.returncode == 0, (line, done.stdout, done.stderr)
            asked += 1
        if at + 1 < len(BLOCKS) and BLOCKS[at + 1][0] == "json":
            assert form(json.loads(done.stdout)) == form(json.loads(BLOCKS[at + 1][1])), text
    assert asked == len(re.findall(r"^curl ", PAGE, re.M)) > 10


def form(value: Any) -> Any:
    """Fields, counts and kinds; numbers and the algorithm's name are the model's own."""
    if isinstance(value, dict):
        return {name: form(one) for name, one in value.items() if name != "platform"}
    if isinstance(value, list):
        return [form(one) for one in value]
    return 0 if isinstance(value, float) else value


def test_the_metrics_of_the_page_exist_with_these_labels() -> None:
    from shopkeeper.telemetry import metrics

    rows = re.findall(r"^\| `((?:model|http|grpc)_\w+)`[^|]*\|\s*([^|]*?)\s*\|$", PAGE, re.M)
    assert len(rows) == 11
    requests, took = metrics.http_requests.collect()
    declared = {**vars(metrics), "http_requests_total": requests, "http_request_duration_seconds": took}
    for name, labels in rows:
        told = set(re.sub(r"\([^)]*\)", "", labels).replace(" ", "").split(",")) - {""}
        assert told == set(declared[name]._labelnames), name


def test_the_settings_of_the_page_exist() -> None:
    from shopkeeper.settings import Settings

    names = {str(name) for one in Settings.model_fields.values() for name in one.validation_alias.choices}
    for name in re.findall(r"`((?:SHOPKEEPER_[A-Z_]+)|ENABLED_MODELS|MODEL_VERSION|GRPC_PORT|RELOAD_API_KEY)", PAGE):
        assert name in names, name
