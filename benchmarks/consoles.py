"""The console of a shop that serves, and a browser on it: for the benchmark of its pages and for pictures of them."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import alive, ready, running, until

_OPENING_S = 900.0
_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
          "--disable-component-update", "--disable-sync")  # fmt: skip
_STANDS = """main => {
    const app = document.querySelector('[data-testid="stApp"]')
    const seen = element => element.checkVisibility() && !element.closest('[data-stale="true"]')
    const some = (selector, text) => [...document.querySelectorAll(selector)]
        .some(element => seen(element) && (!text || (element.value || element.textContent).includes(text)))
    return app?.dataset.testScriptState === 'notRunning' && main.every(([selector, text]) => some(selector, text))
        && performance.now()
}"""
"""When a page stands: no script runs, and all that it is for is seen, none of it from before."""

Main = tuple[str, str]
"""What is seen when a page stands: a selector, and a text in it or an empty one."""


@dataclass(frozen=True)
class Opened:
    """Addresses of a shop's doors and of its console."""

    url: str
    console: str


@contextmanager
def opened(home: Path, folder: Path, speed: float = 0.0) -> Iterator[Opened]:
    """`shopkeeper up` on a home with its console, until the models of a first opening serve."""
    shopkeeper = str(Path(sys.executable).with_name("shopkeeper"))
    command = [shopkeeper, "up", "--port", "0", "--console-port", "0", "--speed", str(speed)]
    with running(command, {"SHOPKEEPER_HOME": str(home), "SHOPKEEPER_LOG_LEVEL": "error"}, folder) as process:
        console = until(process, lambda: _told(home)["console"], _OPENING_S)
        url = _told(home)["url"]
        until(process, lambda: ready(f"{url}/v2/models/xgb/ready"), _OPENING_S)
        until(process, lambda: alive(console))
        yield Opened(url, console)


def _told(home: Path) -> dict[str, Any]:
    """What a shop says of itself; addresses are null until it serves."""
    told: dict[str, Any] = json.loads((home / "server.json").read_text())
    return told


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise SystemExit("needs a browser: apt-get install chromium fonts-wqy-microhei")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=list(_FLAGS))
        try:
            yield started
        finally:
            started.close()


def stands(page: Any, *main: Main) -> float:
    """Waits for it; milliseconds since the page was asked for, by the browser's own clock."""
    seen = page.wait_for_function(_STANDS, arg=[list(one) for one in main], polling="raf")
    return float(seen.json_value())
