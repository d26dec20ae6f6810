"""`scripts/setup` where something is wrong, in a copy without packages and without a package index."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "setup", tmp_path / "scripts" / "setup")
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    return tmp_path


def setup(clone: Path, python: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHON": python, "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    environment.pop("PIP_FIND_LINKS", None)
    command = [str(clone / "scripts" / "setup"), "console"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)


def test_a_python_that_is_not_there_is_named(clone: Path) -> None:
    done = setup(clone, "/nonexistent")
    assert done.returncode == 1
    assert "/nonexistent" in done.stderr
    assert "apt-get" not in done.stderr


def test_a_program_that_is_not_python_is_named_and_its_output_kept_back(clone: Path) -> None:
    program = shutil.which("false") or "/bin/false"
    done = setup(clone, program)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.split("\n")[1:3] == [
        f"{program} is not Python.",
        "  set PYTHON=/path/to/python3.11 and run make again",
    ]


def test_an_interrupted_environment_is_made_anew(clone: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(clone / ".venv")], check=True)
    done = setup(clone, sys.executable)
    assert done.returncode == 1
    assert "The packages could not be installed." in done.stderr
    pip = [str(clone / ".venv" / "bin" / "python"), "-m", "pip", "--version"]
    assert subprocess.run(pip, capture_output=True, check=False).returncode == 0
