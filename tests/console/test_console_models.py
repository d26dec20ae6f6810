"""Training any algorithm, and its versions, in a real browser on the real bundled shop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from console_world import choose, fill, go, keep, pick, press, turn, write

from shopkeeper.client import ShopkeeperClient


def _trained(page: Any, model: str, version: int) -> None:
    press(page, "Train", exact=True)
    page.get_by_text(f"{model} v{version} has learned.").first.wait_for(timeout=240_000)


def _two_versions(shop: dict[str, Any], model: str) -> None:
    """Where the tests before ran in another process there are none yet."""
    with ShopkeeperClient(shop["url"]) as client:
        there = {one.name: one.versions for one in client.models("recall")}.get(model, 0)
        for seed in range(there, 2):
            client.wait(client.train(model, "popularity", seed=seed, promote=seed == 0).job_id)


def test_a_person_trains_any_algorithm_and_reads_the_verdict(shop: dict[str, Any], page: Any) -> None:
    from playwright.sync_api import expect

    go(page, "Train")
    pick(page, "Task", "recall")
    choose(page, "Algorithm", "popularity")
    expect(page.get_by_role("textbox", name="Other parameters, as JSON")).to_have_count(0)  # those of recall's first
    expect(page.get_by_role("spinbutton", name="Seed")).to_have_count(1)
    _trained(page, "popularity", 1)
    page.get_by_text("The gate").first.wait_for()
    keep(page, "train")
    with ShopkeeperClient(shop["url"]) as client:
        assert client.version("popularity", 1).algorithm == "popularity"
        client.wait(client.train("popularity", "popularity", seed=7, promote=False).job_id)
        assert len(client.versions("popularity")) == 2


def test_a_person_is_told_which_parameter_is_wrong(shop: dict[str, Any], page: Any) -> None:
    from playwright.sync_api import expect

    go(page, "Train")
    pick(page, "Task", "ranking")
    choose(page, "Algorithm", "ftrl")
    others = page.get_by_role("textbox", name="Other parameters, as JSON")
    expect(page.get_by_role("spinbutton", name="passes")).to_have_count(1)
    write(others, "[1]")
    press(page, "Train", exact=True)
    page.get_by_text("must be one JSON object").first.wait_for()
    write(others, '{"pases": 2}')
    press(page, "Train", exact=True)
    page.get_by_text("did you mean 'passes'?").first.wait_for()
    keep(page, "train-wrong")


def test_a_person_lets_a_version_serve_shares_it_and_takes_it_back(
    shop: dict[str, Any], page: Any, tmp_path: Path
) -> None:
    _two_versions(shop, "popularity")
    go(page, "Models")
    pick(page, "Model", "popularity")
    page.get_by_role("button", name="Let it serve").first.wait_for()
    with ShopkeeperClient(shop["url"]) as client:
        if "champion" not in client.version("popularity", 2).aliases:
            write(page.get_by_role("textbox", name="Reason for the change"), "tried by hand")
            page.get_by_role("textbox", name="Reason for the change").press("Tab")
            press(page, "Let it serve")
            yes, done = page.get_by_role("button", name="Yes"), page.get_by_text("popularity v2 serves now.")
            yes.or_(done).first.wait_for()
            if yes.count():  # the gate said no, and why
                keep(page, "models-gate")
                yes.click()
            done.first.wait_for()
        assert "champion" in client.version("popularity", 2).aliases
        keep(page, "models-versions")

        press(page, "Roll back")
        press(page, "Yes")
        page.get_by_text("popularity v1 serves now.").first.wait_for()

        turn(page, "Traffic and shadow")
        page.get_by_text("Who answers").first.wait_for()
        press(page, "Begin the shadow")
        page.get_by_role("button", name="End the shadow").first.wait_for()
        assert client.shadow("popularity")["version"] == 2
        keep(page, "models-traffic")

        # out as a file; what the shop has already does not come in twice
        turn(page, "Files")
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

        # a learned combination is thrown away only by who says so
        learned = {"intercept": -0.25, "coefficients": [1.5, 0.5]}
        client.set_traffic("popularity", {1: 0.5, 2: 0.5}, mode="ensemble", stack=learned)
        turn(page, "Traffic and shadow")
        page.get_by_text("(a stack)").first.wait_for()
        keep(page, "models-stack")
        pick(page, "Shared", "by person: each always hears the same version")
        press(page, "Share like this")
        press(page, "Yes")
        page.get_by_text("The requests of popularity are shared").first.wait_for()
        told_now = client.traffic("popularity")
        assert (told_now["mode"], told_now["stack"]) == ("sticky", None)


def test_a_person_releases_a_version_step_by_step_and_deletes_the_model(shop: dict[str, Any], page: Any) -> None:
    from playwright.sync_api import expect

    _two_versions(shop, "released")
    go(page, "Models")
    pick(page, "Model", "released")
    # measured anew beside the one that serves
    turn(page, "Versions")
    press(page, "Measure anew")
    page.get_by_text("was measured anew beside v1.").first.wait_for(timeout=180_000)
    keep(page, "models-anew")

    turn(page, "Release step by step")
    steps = page.get_by_role("textbox", name="Steps, % of the requests")
    fill(steps, "10, half")
    press(page, "Begin the release")
    page.get_by_text("holds something that is no number").first.wait_for()
    fill(steps, "50, 20")
    press(page, "Begin the release")
    page.get_by_text("must rise").first.wait_for()  # as the server says it
    fill(steps, "20, 50")
    minutes = page.get_by_role("spinbutton", name="Minutes a step")
    write(minutes, "0.05")
    minutes.press("Tab")
    with ShopkeeperClient(shop["url"]) as client:
        press(page, "Begin the release")
        yes, begun = page.get_by_role("button", name="Yes"), page.get_by_text("of the requests now.")
        yes.or_(begun).first.wait_for()
        if yes.count():  # the gate said no, and why
            yes.click()
        page.get_by_text("released v2 serves now.").first.wait_for(timeout=120_000)
        assert client.version("released").version == 2
        keep(page, "models-released")

        turn(page, "Past and keeping")
        page.get_by_text("What answered when").first.wait_for()
        expect(page.get_by_test_id("stPlotlyChart")).to_have_count(1)
        keep(page, "models-past")

        turn(page, "Files")
        press(page, "Delete the model")
        page.get_by_text("v2 serves now: whatever asks this model").first.wait_for()
        keep(page, "models-delete")
        press(page, "Yes")
        page.get_by_text("released is deleted.").first.wait_for()
        assert "released" not in [one.name for one in client.models()]
