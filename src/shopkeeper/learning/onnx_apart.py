"""The check of a stranger's graph in a process of its own: a few bytes may ask for gigabytes or hours, and the shop
that takes the upload goes on answering meanwhile.

facts = check_apart(path)
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import msgspec

from shopkeeper.core.errors import Invalid
from shopkeeper.learning.onnx_checking import GraphFacts, check_graph

MEMORY = 1 << 30
"""Bytes that a graph of no size may take beside the libraries; each of its own bytes may be there some times more."""
SECONDS = 60
_COPIES = 8
_KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "HOME", "TMPDIR", "LANG")


class _Told(msgspec.Struct):
    facts: GraphFacts | None = None
    message: str = ""
    code: str = ""


def check_apart(path: Path) -> GraphFacts:
    """As `check_graph` of a file. Raises Invalid, also (`bad_graph`) beyond MEMORY or SECONDS."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    command = [sys.executable, "-m", "shopkeeper.learning.onnx_apart", str(path)]
    try:
        done = subprocess.run(command, env=kept, capture_output=True, timeout=SECONDS, check=False)
        told = msgspec.json.decode(done.stdout, type=_Told)
    except (subprocess.TimeoutExpired, msgspec.DecodeError):
        told = _Told(
            message=f"the graph cannot serve: a few rows took more than {SECONDS} s or {MEMORY >> 20} MiB",
            code="bad_graph",
        )
    if told.facts is None:
        raise Invalid(told.message, code=told.code, field="file")
    return told.facts


def _limited(size: int) -> None:
    import onnx  # noqa: F401  so that what the libraries take does not count
    import onnxruntime  # noqa: F401

    now = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY + _COPIES * size,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(path: Path) -> None:
    try:
        _limited(path.stat().st_size)
        told = _Told(facts=check_graph(path.read_bytes()))
    except Invalid as error:
        told = _Told(message=error.message, code=error.code)
    sys.stdout.buffer.write(msgspec.json.encode(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
