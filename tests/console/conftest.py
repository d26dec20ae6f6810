"""The bundled shop, opened and closed as a person does, and a real browser on its console."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from console_world import CHROMIUM, SCREENSHOTS


@pytest.fixture(autouse=True)
def _same_program() -> Iterator[None]:
    """Streamlit puts the page that it runs in the place of the program; a process that another test starts would run
    that page."""
    program = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = program


@pytest.fixture(scope="session")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a shop that was opened once, and closed."""
    if CHROMIUM is None and not os.environ.get("SHOPKEEPER_REQUIRE_ALL"):
        pytest.skip("needs a browser: apt-get install chromium")
    home = tmp_path_factory.mktemp("opened")
    with _up(home):
        return home


@pytest.fixture(scope="module")
def shop(opened: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """`shopkeeper up` on a home of its own; its `server.json`, and where the home is."""
    home = tmp_path_factory.mktemp("shop") / "home"
    shutil.copytree(opened, home)
    with _up(home) as served:
        yield {**served, "home": str(home)}


@contextmanager
def _up(home: Path) -> Iterator[dict[str, Any]]:
    command = [
        str(Path(sys.executable).with_name("shopkeeper")),
        "up",
        "--no-train",
        "--port",
        "0",
        "--console-port",
        "0",
    ]
    process = subprocess.Popen(command, env={**os.environ, "SHOPKEEPER_HOME": str(home)}, stdout=subprocess.DEVNULL)
    try:
        served = _served(home, process)
        children = psutil.Process(process.pid).children(recursive=True)
        yield served
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        assert not [child for child in children if child.is_running()], "a child outlived the shop"
    finally:
        process.kill()


def _served(home: Path, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    until = time.monotonic() + 240
    while time.monotonic() < until:
        assert process.poll() is None, "the shop did not open"
        if (home / "server.json").exists():
            told: dict[str, Any] = json.loads((home / "server.json").read_text())
            if told["console"]:
                return told
        time.sleep(0.2)
    raise AssertionError("the shop did not open in time")


@pytest.fixture(scope="module")
def faults() -> list[str]:
    """What the browser has called an error since the last test; nothing of Streamlit's own is let pass."""
    return []


@pytest.fixture(autouse=True)
def _no_error_in_the_browser(faults: list[str]) -> Iterator[None]:
    yield
    told = faults.copy()
    faults.clear()
    assert told == []


@pytest.fixture(scope="module")
def page(shop: dict[str, Any], faults: list[str]) -> Iterator[Any]:
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=60_000)

    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        opened = browser.new_page(viewport={"width": 1400, "height": 1500})
        opened.set_default_timeout(60_000)
        opened.on("pageerror", lambda error: faults.append(str(error)))
        opened.on("console", lambda said: said.type == "error" and faults.append(f"{said.text} {said.location}"))
        _open(opened, shop["console"])
        yield opened
        browser.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """What stood on the page when a test failed, in its report and as a picture."""
    outcome: Any = yield
    report = outcome.get_result()
    page = getattr(item, "funcargs", {}).get("page")
    if report.when == "call" and report.failed and hasattr(page, "screenshot"):
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"failed-{item.name}.png", timeout=120_000)
        report.sections.append(("The page", page.locator("body").inner_text()))


def _open(page: Any, url: str) -> None:
    """The console listens a few seconds after its process was started."""
    from playwright.sync_api import Error

    for _ in range(60):
        try:
            page.goto(url)
        except Error:
            time.sleep(0.5)
        else:
            return
    raise AssertionError(f"no console at {url}")
