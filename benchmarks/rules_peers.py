"""The rules of `rules.py` for other rule engines, which run in an environment of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

PACKAGES = ("rule-engine==5.1.0", "cel-python==0.5.0", "common-expression-language==0.10.0")
_PEER = Path(__file__).with_name("peers") / "rule_engines.py"

# In the order of `rules.TEXTS`. Without `max` and without a meaning of division by zero: both said in other words.
_RULE_ENGINE = (
    "net_spend >= 2000 and orders >= 3",
    "orders >= 5 and tenure_days >= 180 and orders_in_90_days >= 1",
    "order_lines > 0 and pieces / order_lines >= 25 and spend_in_180_days >= 500",
    "orders >= 2 and days_since_order > 90 and days_since_order > 2 * days_between_orders",
    "recency_score >= 4 and frequency_score >= 4 and monetary_score >= 4",
    "recency_score >= 3 and frequency_score >= 4 and not (recency_score >= 4 and monetary_score >= 4)",
    "lifecycle == 'new'",
    "monetary_score == 5",
    "recency_score <= 2 and frequency_score >= 3",
    "recency_score == 1 and frequency_score <= 2",
    "net_spend >= 2000 and orders_in_90_days >= 2 and country != null and not (country in ['France', 'Germany'])",
)
_CEL = (
    "net_spend >= 2000.0 && orders >= 3.0",
    "orders >= 5.0 && tenure_days >= 180.0 && orders_in_90_days >= 1.0",
    "order_lines > 0.0 && pieces / order_lines >= 25.0 && spend_in_180_days >= 500.0",
    "orders >= 2.0 && days_since_order > 90.0 && days_since_order > 2.0 * days_between_orders",
    "recency_score >= 4.0 && frequency_score >= 4.0 && monetary_score >= 4.0",
    "recency_score >= 3.0 && frequency_score >= 4.0 && !(recency_score >= 4.0 && monetary_score >= 4.0)",
    "lifecycle == 'new'",
    "monetary_score == 5.0",
    "recency_score <= 2.0 && frequency_score >= 3.0",
    "recency_score == 1.0 && frequency_score <= 2.0",
    "net_spend >= 2000.0 && orders_in_90_days >= 2.0 && country != null && !(country in ['France', 'Germany'])",
)


def measured(rows: Sequence[dict[str, Any]], expected: np.ndarray[Any, Any], rounds: int) -> list[tuple[str, float]]:
    """(engine and version, seconds an evaluation), medians. `expected` bool (rules, rows) is what all must answer."""
    texts = {"rule-engine": _RULE_ENGINE, "cel-python": _CEL, "common-expression-language": _CEL}
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "given.json"
        given.write_text(json.dumps({"rules": texts, "rows": [_plain(row) for row in rows]}))
        command = [str(_environment()), str(_PEER), str(given), str(rounds)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = []
    for engine, told in json.loads(done.stdout).items():
        answers = np.array(told["answers"])
        assert (answers == expected[:, : told["rows"]]).all(), f"{engine} does not agree"
        found.append((f"{engine} {told['version']}", told["seconds"] / answers.size))
    return found


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Names without spaces; a missing number is 0, which every rule here guards against or turns to the same answer."""
    values = {name.replace(" ", "_"): value for name, value in row.items()}
    return {name: 0.0 if value != value else value for name, value in values.items()}


def _environment() -> Path:
    """The Python of an environment with the peers, kept below the system's temporary folder."""
    home = Path(tempfile.gettempdir()) / "shopkeeper-bench-rule-engines"
    if not (home / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        subprocess.run([str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        (home / "ready").touch()
    return home / "bin" / "python"
