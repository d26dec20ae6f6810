"""What tests of the console share: pictures of pages, the way between them, and filling in."""

from __future__ import annotations

import shutil
import socket
import time
from pathlib import Path
from typing import Any

SCREENSHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

_LISTEN = """name => {
  window.heard = false
  window.wanted = name.toLowerCase()
  if (window.listens) return
  window.listens = true
  document.addEventListener('click', event => {
    const button = event.target.closest('button')
    window.heard ||= button !== null && button.innerText.toLowerCase().includes(window.wanted)
  }, true)
}"""


def keep(page: Any, name: str) -> None:
    """No page may show a stack trace; a picture of it is kept for people to look at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", timeout=120_000)
    assert page.get_by_test_id("stException").all_inner_texts() == []


def go(page: Any, name: str) -> None:
    """By the page's name in the navigation, until its title stands there."""
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=name, exact=True).click()
    page.get_by_role("heading", name=name, exact=True, level=1).wait_for()


def settled(page: Any) -> None:
    """What is being drawn anew under the finger takes no click."""
    page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()


def pick(page: Any, label: str, option: str) -> None:
    """The option of a list, once the page stands."""
    settled(page)
    choose(page, label, option, exact=True)
    settled(page)


def choose(page: Any, label: str, option: str, *, exact: bool = False) -> None:
    """The first option that begins with a text, once the list is the one that has it."""
    from playwright.sync_api import TimeoutError as Late

    wanted = page.get_by_role("option", name=option, exact=exact)
    for _ in range(20):
        page.get_by_role("combobox", name=label).last.click()
        try:
            wanted.first.click(timeout=3_000)
        except Late:  # the list of before, or one that closed as the page moved
            page.keyboard.press("Escape")
        else:
            return
    raise AssertionError(f"{label} has no {option}")


def write(box: Any, text: str) -> None:
    alone(box)
    box.fill(text)


def fill(box: Any, text: str) -> None:
    write(box, text)
    box.press("Control+Enter")


def alone(box: Any) -> None:
    """While a page is drawn anew, what was there before stands beside what is there now."""
    from playwright.sync_api import expect

    settled(box.page)
    expect(box).to_have_count(1)


def holds(box: Any, value: str, within_s: float = 60) -> None:
    """The one box of its name has the value, soon."""
    until = time.monotonic() + within_s
    while (found := box.evaluate_all("boxes => boxes.map(box => box.value)")) != [value]:
        assert time.monotonic() < until, f"{found} is not {value!r}"
        time.sleep(0.1)


def press(page: Any, name: str, *, exact: bool = False) -> None:
    """A button, once the page stands, until it has heard the click: one that moves just then hears none."""
    button = page.get_by_role("button", name=name, exact=exact)
    for _ in range(10):
        settled(page)
        page.evaluate(_LISTEN, name)
        button.click()
        if page.evaluate("window.heard"):
            return
    raise AssertionError(f"{name} heard no click")


def turn(page: Any, name: str) -> None:
    """To one of the sides of a page."""
    from playwright.sync_api import expect

    side = page.get_by_role("radio", name=name, exact=True)
    for _ in range(10):
        settled(page)
        side.click()
        try:
            expect(side).to_be_checked(timeout=5_000)
        except AssertionError:  # it was drawn anew under the click
            continue
        return
    raise AssertionError(f"{name} is not looked at")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
