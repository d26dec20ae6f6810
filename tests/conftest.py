"""What holds for all rooms: a process of the tests computes with one thread, and which files come first.

Both are for the time of a whole run; no test depends on either. Generated examples are the same in every run, and held
to no time.
"""

from __future__ import annotations

import os

import hypothesis
import pytest

# Before numpy, torch, lightgbm or polars are loaded, which read it once; workers, and processes that tests start,
# inherit it. Workers that each compute with a thread per core wait for each other at every barrier.
_NAMES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS", "SHOPKEEPER_JOB_THREADS")
for _name in _NAMES:
    os.environ.setdefault(_name, "1")

hypothesis.settings.register_profile("same", hypothesis.settings(), deadline=None, derandomize=True)
hypothesis.settings.load_profile("same")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with a slow test, or a browser, come first: one that began last would be waited for by all other workers.
    Tests of a file stay together, in their order, for they share what their fixtures opened."""
    slow = {item.path for item in items if item.get_closest_marker("slow") or item.path.parent.name == "console"}
    items.sort(key=lambda item: item.path not in slow)
