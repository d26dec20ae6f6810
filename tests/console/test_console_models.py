"""Training any algorithm, and its versions, in a real browser on the real bundled shop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from console_world import choose, go, keep, pick, press

from shopkeeper.client import ShopkeeperClient


def _trained(page: Any, version: int) -> None:
    from playwright.sync_api import expect

    button = page.get_by_role("button", name="Train", exact=True)
    expect(button).to_have_count(1)
    button.click()
    page.get_by_text(f"v{version} has learned.").wait_for(timeout=240_000)


def test_a_person_trains_any_algorithm_and_reads_the_verdict(shop: dict[str, Any], page: Any) -> None:
    from playwright.sync_api import expect

    go(page, "Train")
    pick(page, "Task", "recall")
    choose(page, "Algorithm", "popularity")
    expect(page.get_by_role("textbox", name="Other parameters, as JSON")).to_have_count(0)  # those of recall's first
    expect(page.get_by_role("spinbutton", name="Seed")).to_have_count(1)
    _trained(page, 1)
    page.get_by_text("The gate").first.wait_for()
    keep(page, "train")
    with ShopkeeperClient(shop["url"]) as client:
        assert client.version("popularity", 1).algorithm == "popularity"
        client.wait(client.train("popularity", "popularity", seed=7, promote=False).job_id)
        assert len(client.versions("popularity")) == 2


def test_a_person_lets_a_version_serve_shares_it_and_takes_it_back(
    shop: dict[str, Any], page: Any, tmp_path: Path
) -> None:
    with ShopkeeperClient(shop["url"]) as client:
        there = {one.name: one.versions for one in client.models("recall")}.get("popularity", 0)
        for seed in range(there, 2):  # where the test before ran in another process
            client.wait(client.train("popularity", "popularity", seed=seed, promote=seed == 0).job_id)
    go(page, "Models")
    page.get_by_role("button", name="Let it serve").wait_for()
    with ShopkeeperClient(shop["url"]) as client:
        if "champion" not in client.version("popularity", 2).aliases:
            page.get_by_role("textbox", name="Reason for the change").fill("tried by hand")
            page.get_by_role("textbox", name="Reason for the change").press("Tab")
            press(page, "Let it serve")
            yes, done = page.get_by_role("button", name="Yes"), page.get_by_text("popularity v2 serves now.")
            yes.or_(done).first.wait_for()
            if yes.count():  # the gate said no, and why
                keep(page, "models-gate")
                yes.click()
            done.wait_for()
        assert "champion" in client.version("popularity", 2).aliases
        keep(page, "models-versions")

        press(page, "Roll back")
        press(page, "Yes")
        page.get_by_text("popularity v1 serves now.").wait_for()

        page.get_by_role("radio", name="Traffic and shadow", exact=True).click()
        page.get_by_text("Who answers").first.wait_for()
        press(page, "Begin the shadow")
        page.get_by_role("button", name="End the shadow").wait_for()
        assert client.shadow("popularity")["version"] == 2
        keep(page, "models-traffic")

        # out as a file; what the shop has already does not come in twice
        page.get_by_role("radio", name="Files", exact=True).click()
        press(page, "Export", exact=True)
        with page.expect_download() as got:
            press(page, "Download", exact=True)
        archive = tmp_path / got.value.suggested_filename
        got.value.save_as(archive)
        page.locator("input[type=file]").set_input_files(archive)
        press(page, "Import", exact=True)
        told = page.get_by_test_id("stAlert").last
        told.wait_for(timeout=180_000)
        keep(page, "models-imported")
        assert "has exactly these files already; nothing was imported" in told.inner_text()
