"""The shop's server is killed in the middle of what a person does, and comes back; the console goes on living."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from console_world import CHROMIUM, choose, fill, free_port, go, holds, keep, pick, press, settled, write

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import launch
from shopkeeper.core.errors import Unavailable
from shopkeeper.core.records import Event

_AWAY = "The shop does not answer"
_WATCHED = """() => {
    window.seen = [];
    const look = () => {
        const texts = [...document.querySelectorAll("[data-testid=stMain] p")].map(one => one.innerText);
        const state = texts.find(text => / · (runs|failed)$/.test(text));
        const buttons = [...document.querySelectorAll("[data-testid=stMain] button")];
        const could = buttons.some(one => one.innerText === "Cancel" && !one.disabled);
        if (state) window.seen.push([state.split(" · ").pop(), could]);
    };
    new MutationObserver(look).observe(document.body, {
        subtree: true, childList: true, characterData: true, attributes: true,
    });
}"""
"""Notes in which state the watched job was shown, and whether it could be cancelled, whenever the page changes."""


class Server:
    """An empty shop's server, which dies and comes back at the same address."""

    def __init__(self, home: Path) -> None:
        self._port = free_port()
        self._environment = {**os.environ, "SHOPKEEPER_HOME": str(home)}
        self.url = f"http://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        program = str(Path(sys.executable).with_name("shopkeeper"))
        command = [program, "up", "--shop", "empty", "--no-console", "--no-train", "--port", str(self._port)]
        self._process = subprocess.Popen(command, env=self._environment, stdout=subprocess.DEVNULL)
        with ShopkeeperClient(self.url) as client:
            until = time.monotonic() + 240
            while time.monotonic() < until:
                assert self._process.poll() is None, "the shop did not open"
                try:
                    client.ready()
                except Unavailable:
                    time.sleep(0.2)
                else:
                    return
        raise AssertionError("the shop did not open in time")

    def kill(self) -> None:
        """As a power cut does it."""
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if CHROMIUM is None and not os.environ.get("SHOPKEEPER_REQUIRE_ALL"):
        pytest.skip("needs a browser: apt-get install chromium")
    running = Server(tmp_path_factory.mktemp("mortal") / "home")
    try:
        now = datetime.now(UTC)
        with ShopkeeperClient(running.url) as client:
            client.send(
                Event(event_type="order", user_id=f"user-{n % 3}", item_id="lamp", quantity=1, unit_price=5.0,
                      time=now - timedelta(days=1 + n))
                for n in range(30)
            )  # fmt: skip
            client.create_rule("regular", condition="orders > 5")
        yield running
    finally:
        running.kill()


@pytest.fixture(scope="module")
def shop(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The console of that server, in a process that the server knows nothing of; what `page` opens."""
    port = free_port()
    environment = {**os.environ, "SHOPKEEPER_URL": server.url}
    with (tmp_path_factory.mktemp("console") / "console.log").open("wb") as log:
        console = subprocess.Popen(launch.command(port), env=environment, stdout=log, stderr=log)
    yield {"url": server.url, "console": f"http://127.0.0.1:{port}"}
    console.terminate()
    console.wait(30)


def test_what_is_typed_in_the_editor_of_rules_outlives_the_server(server: Server, page: Any) -> None:
    from playwright.sync_api import expect

    go(page, "Rules and segments")
    pick(page, "Edit", "regular")
    condition = page.get_by_role("textbox", name="Condition", exact=True)
    holds(condition, "orders > 5")
    fill(condition, "orders > 7")
    write(page.get_by_role("textbox", name="Description"), "typed before")
    settled(page)
    server.kill()
    page.get_by_role("button", name="Save").click()
    page.get_by_text(_AWAY).first.wait_for()
    condition.fill("orders > 8")  # typed while nothing answers: the page is held, and does not settle
    condition.press("Control+Enter")
    page.get_by_text(_AWAY).first.wait_for()
    keep(page, "faults-rule-away")
    server.start()
    expect(page.get_by_text(_AWAY)).to_have_count(0)
    holds(condition, "orders > 8")
    holds(page.get_by_role("textbox", name="Description"), "typed before")
    press(page, "Save")
    page.get_by_text("is saved as version 2").first.wait_for()
    with ShopkeeperClient(server.url) as client:
        stored = client.rule("regular")
    assert (stored.condition, stored.description) == ("orders > 8", "typed before")


def test_a_customer_stays_open(server: Server, page: Any) -> None:
    from playwright.sync_api import expect

    go(page, "Customers")
    box = page.get_by_role("textbox", name="Customer id")
    box.first.wait_for()
    write(box, "user-1")
    box.press("Enter")
    page.get_by_text("Activity by window").first.wait_for()
    server.kill()
    page.get_by_role("radio", name="Timeline", exact=True).click()
    page.get_by_text(_AWAY).first.wait_for()
    page.get_by_text("Offline").first.wait_for()
    assert page.get_by_test_id("stSidebarUserContent").get_by_role("link").count() == 0  # the address is text
    keep(page, "faults-customer-away")
    server.start()
    page.get_by_text("Serving").or_(page.get_by_text("Not ready")).first.wait_for()
    expect(page.get_by_text(_AWAY)).to_have_count(0)
    page.locator(".js-plotly-plot:visible").first.wait_for()  # the timeline that was asked for
    assert box.input_value() == "user-1"
    keep(page, "faults-customer-back")


def test_a_file_is_handed_over_when_the_server_is_back_and_its_job_is_watched_to_its_end(
    server: Server, page: Any, tmp_path: Path
) -> None:
    from playwright.sync_api import expect

    file = tmp_path / "many.csv"
    rows = "".join(f"2026-01-02,c-{n},lamp,2,3.5\n" for n in range(60_000))
    file.write_text("order date,customer,sku,qty,price\n" + rows)
    go(page, "Data")
    page.get_by_role("button", name="Hand over").first.wait_for()
    page.locator("input[type=file]").set_input_files(str(file))
    page.get_by_test_id("stFileChipName").get_by_text("many.csv").first.wait_for()
    settled(page)
    server.kill()
    page.get_by_role("button", name="Hand over").click()
    page.get_by_text(_AWAY).first.wait_for()
    page.get_by_test_id("stFileChipName").get_by_text("many.csv").first.wait_for()
    keep(page, "faults-upload-away")
    server.start()
    expect(page.get_by_text(_AWAY)).to_have_count(0)
    press(page, "Hand over")
    press(page, "Store the rows")

    # the job stops with the server, and goes on with it: nobody need begin it again
    page.get_by_role("button", name="Cancel").first.wait_for()
    server.kill()
    page.get_by_text(_AWAY).first.wait_for()
    keep(page, "faults-job-away")
    server.start()
    expect(page.get_by_text(_AWAY)).to_have_count(0)
    page.get_by_text("Known already").first.wait_for()
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    keep(page, "faults-job-back")
    with ShopkeeperClient(server.url) as client:
        one = client.imports().items[0]
    assert (one["status"], one["accepted"], one["duplicates"]) == ("done", 60_000, 0)


def test_a_job_that_failed_cannot_be_cancelled_any_more(server: Server, page: Any) -> None:
    from playwright.sync_api import expect

    go(page, "Train")
    pick(page, "Task", "policy")
    choose(page, "Algorithm", "ucb1")
    expect(page.get_by_role("combobox", name="Model")).to_have_count(1)
    page.evaluate(_WATCHED)
    press(page, "Train", exact=True)
    page.get_by_test_id("stAlertContentError").get_by_text("nothing was explored").first.wait_for()
    settled(page)
    keep(page, "faults-job-failed")
    seen = {(state, could) for state, could in page.evaluate("window.seen")}
    assert ("failed", False) in seen
    assert ("failed", True) not in seen
