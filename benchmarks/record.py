"""How a benchmark writes down what it measured."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
SHARED_DATA = ROOT.parent / "shared" / "data"


def write(name: str, title: str, protocol: str, tables: list[dict[str, Any]], notes: list[str] | None = None) -> None:
    """`tables`: each `{"title", "columns": [...], "rows": [[...]]}`. Overwrites results/NAME.json."""
    RESULTS.mkdir(exist_ok=True)
    result = {
        "name": name,
        "title": title,
        "protocol": protocol,
        "machine": machine(),
        "tables": tables,
        "notes": notes or [],
    }
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    print(f"wrote {path.relative_to(ROOT)}")


def machine() -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _commit(),
        "cores": len(os.sched_getaffinity(0)),
        "python": sys.version.split()[0],
        "system": platform.system(),
        "packages": {name: version(name) for name in ("numpy", "xgboost-cpu", "lightgbm", "uvicorn", "sqlalchemy")},
    }


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
