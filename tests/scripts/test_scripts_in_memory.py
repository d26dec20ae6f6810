"""`scripts/in_memory`: where temporary files lie while a command runs, and what is left of it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAY = 'touch "$TMPDIR/kept" && ls -ld "$TMPDIR" && exit 7'


def ran(command: str, need: int, before: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"IN_MEMORY_KIB": str(need), "TMPDIR": str(before)}
    told = [str(ROOT / "scripts" / "in_memory"), "bash", "-c", command]
    return subprocess.run(told, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="this system has no folder in memory")
def test_files_lie_in_memory_and_are_gone_afterwards(tmp_path: Path) -> None:
    done = ran(SAY, 0, tmp_path)
    assert done.returncode == 7, done.stderr
    rights, *_, folder = done.stdout.split()
    assert folder.startswith("/dev/shm/t-")
    assert rights.startswith("drwx--x--x")
    assert not Path(folder).exists()


def test_where_memory_is_scarce_they_stay_where_they_were(tmp_path: Path) -> None:
    done = ran(SAY, 10**15, tmp_path)
    assert done.returncode == 7, done.stderr
    assert done.stdout.split()[-1] == str(tmp_path)
    assert (tmp_path / "kept").exists()
