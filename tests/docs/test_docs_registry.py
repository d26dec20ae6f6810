"""docs/registry.md: its command lines are run in a shop with one trained model, over a real S3 server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from shopkeeper.lifecycle.retention import POLICIES
from shopkeeper.settings import Settings
from shopkeeper.stores.archives import ArchiveLimits

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "registry.md").read_text()
LINES = re.search(r"^```sh\n(.*?)^```", PAGE, re.M | re.S)[1].splitlines()  # type: ignore[index]

sys.path.insert(0, str(ROOT / "tests" / "sources"))
sys.path.insert(0, str(ROOT / "tests" / "api"))


@pytest.mark.slow
def test_every_command_line_works_in_this_order(tmp_path: Path) -> None:
    from api_server import serving
    from s3servers import KEYS, moto_server

    rows = np.random.default_rng(5).normal(size=(400, 2)).round(3)
    (tmp_path / "rows.csv").write_text("\n".join(["a,b,label", *(f"{a},{b},{int(a + b > 0)}" for a, b in rows)]))
    with moto_server("models") as endpoint:
        store = {"s3_endpoint": endpoint, "s3_access_key": KEYS["access_key"], "s3_secret_key": KEYS["secret_key"]}
        with serving(tmp_path / "home", **store) as running:
            source = {"kind": "file", "path": str(tmp_path / "rows.csv"), "label": "label"}
            job = running.shop.releases.train("xgb", "xgb", params={"trees": 5}, source=source)
            assert running.shop.jobs.wait(job.job_id, 120).status == "done"
            for line in LINES:
                command = line.replace("shopkeeper", f"{sys.executable} -m shopkeeper", 1)
                done = subprocess.run(
                    ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
                    env={**os.environ, "SHOPKEEPER_HOME": str(tmp_path / "home")},
                )  # fmt: skip
                assert done.returncode == 0, (line, done.stdout, done.stderr)
            assert running.shop.registry.version("xgb_copy").data["imported_from"]["model"] == "xgb"
            assert running.shop.registry.history("xgb_too")[0].reason == "moved"
            assert (tmp_path / "model-1.tar.gz").exists()


def test_limits_rules_and_settings_are_those_of_the_code() -> None:
    limits = ArchiveLimits()
    assert f"{limits.unpacked >> 30} GiB, and {limits.ratio} times" in PAGE
    assert f"{limits.entries:,} plain files" in PAGE
    assert tuple(re.findall(r"^\| `(\w+)` \| (?:all but|folders of|artifact folders|refused)", PAGE, re.M)) == POLICIES
    known = {str(choice) for field in Settings.model_fields.values() for choice in field.validation_alias.choices}
    for name in re.findall(r"SHOPKEEPER_[A-Z_]+", PAGE):
        assert name in known, name
