"""The OpenAPI page against the running server: no undeclared status, no 5xx, answers as described."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from api_server import Running, serving

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
# Streams do not end; /ping and the readiness doors answer 503 as long as no model is trained, which is their promise.
LEFT_OUT = r"(/stream$|/jobs/\{job_id\}/events$|^/ping$|^/readyz$|^/v2/health/ready$)"

# These wait for a job, a process of its own that loads torch first: two seconds each.
TRAININGS = r"^/api/v1/(operations/(training|fusion/train)|qlearning/agents/\{agent_id\}/(training|evaluat))"
FEWER = {"trainings": ["--phases", "fuzzing", "--max-examples", "6"]}

# Each group in a test of its own, for workers to share; what no other group takes is in the last.
GROUPS = {
    "personalization": r"^/api/v1/(personalization|recommendation|features|monitoring)",
    "models": r"^/api/v1/(models|model-registry|algorithms|jobs|webhooks)",
    "trainings": TRAININGS,
    "operations": r"^/api/v1/((operations(?!/training/|/fusion/train))|data)(/|$)",
    "customers": r"^/api/v1/(items|events|users?|identities)(/|$)",
    "rules": r"^/api/v1/(segments|rules)(/|$)",
    "learning": r"^/api/v1/(bandit|experiments|qlearning(?!/.*(training|evaluat))|learning|rewards)(/|$)",
    "stock": r"^/api/(v1/(forecast|calendar|schedules|graph)|models|prediction|products|stores|training|data)(/|$)",
}
REST = "|".join(f"({pattern})" for pattern in (LEFT_OUT, *GROUPS.values()))
CHOICES = {
    **{name: ["--include-path-regex", pattern, "--exclude-path-regex", LEFT_OUT] for name, pattern in GROUPS.items()},
    "rest": ["--exclude-path-regex", REST],
}


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("group", CHOICES)
def test_generated_requests_find_nothing_undeclared(tmp_path: Path, group: str) -> None:
    """In a shop of its own: what is asked here trains, stops and deletes."""
    program = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    assert program is not None
    with serving(tmp_path / "home") as live:
        if group == "learning":  # before that its doors answer 503, which is their promise
            assert live.http.post("/api/v1/bandit/initialize", json={"n_items": 4}).status_code == 200
        command = [
            program, "run", f"{live.url}/openapi.json", "--checks", CHECKS, *CHOICES[group],
            *FEWER.get(group, ["--phases", "coverage,fuzzing", "--max-examples", "3"]),
            "--seed", "1", "--request-timeout", "120",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=1440, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_each_door_is_in_one_group(live: Running) -> None:
    doors = [path for path in httpx.get(f"{live.url}/openapi.json").json()["paths"] if not re.search(LEFT_OUT, path)]
    taken = {name: {path for path in doors if re.search(pattern, path)} for name, pattern in GROUPS.items()}
    taken["rest"] = {path for path in doors if not re.search(REST, path)}
    assert sorted(path for paths in taken.values() for path in paths) == sorted(doors)
    assert min(len(paths) for name, paths in taken.items() if name not in FEWER) > 5
    assert all(taken[name] for name in FEWER)
