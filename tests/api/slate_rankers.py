"""Rankers for a running shop: ones that take their time, hold up the loop, hang, raise, or give nonsense."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
from api_server import Running

from shopkeeper import plugins
from shopkeeper.core.records import Version
from shopkeeper.lifecycle.loading import Loaded
from shopkeeper.lifecycle.serving import Slot


class Plain:
    """Every item is as good as any other. Works where it is asked: on the loop."""

    feature_names = ("item_price", "recall_fused")
    defaults = np.zeros(2, dtype=np.float32)
    loop_rows = 1_000

    def score(self, rows: np.ndarray) -> np.ndarray:
        return np.full(len(rows), 0.5, dtype=np.float32)


class Holding(Plain):
    """Each slate takes the loop for a while, and the first one until `go_on`: what is asked meanwhile comes at once."""

    work_s = 0.002

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()

    def score(self, rows: np.ndarray) -> np.ndarray:
        if not self.begun.is_set():
            self.begun.set()
            assert self.go_on.wait(60)
        time.sleep(self.work_s)
        return super().score(rows)


class Hanging(Plain):
    """Has a thread of its own, and does not come back from it before it is let go."""

    loop_rows = 0

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()

    def score(self, rows: np.ndarray) -> np.ndarray:
        self.begun.set()
        assert self.go_on.wait(60)
        return super().score(rows)


class Raising(Plain):
    def score(self, _rows: np.ndarray) -> np.ndarray:
        raise RuntimeError("out of order")


class Moody(Plain):
    broken = True

    def score(self, rows: np.ndarray) -> np.ndarray:
        if self.broken:
            raise RuntimeError("out of order")
        return super().score(rows)


class Nonsense(Plain):
    def score(self, rows: np.ndarray) -> np.ndarray:
        return np.where(np.arange(len(rows)) == 0, np.nan, 0.5).astype(np.float32)


class Short(Plain):
    def score(self, _rows: np.ndarray) -> np.ndarray:
        return np.zeros(1, dtype=np.float32)


def ranked_by(live: Running, ranker: Any, name: str = "home_ranker") -> None:
    """Makes it the champion that serves, as a promotion does."""
    version = Version(model=name, scope="all", version=1, algorithm="lgbm", status="ready")
    loaded = Loaded(version, ranker, plugins.family("ranking"))
    live.shop.serving._slots[(name, "all")] = Slot(champion=loaded)
