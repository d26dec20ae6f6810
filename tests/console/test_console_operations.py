"""The page of operations on the real bundled shop: what runs is stopped and started, forms, jobs, a schedule, order."""

from __future__ import annotations

from typing import Any

from console_world import go, holds, keep, pick, press, turn, write

from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.records import FINISHED
from shopkeeper.core.schedules import Schedule


def _side(page: Any, name: str) -> None:
    turn(page, name)


def test_a_person_runs_the_shop(shop: dict[str, Any], page: Any) -> None:
    from playwright.sync_api import expect

    go(page, "Operations")
    with ShopkeeperClient(shop["url"]) as client:
        # both loops stop and start again
        stops = page.get_by_role("button", name="Stop", exact=True)
        expect(stops).to_have_count(2)
        keep(page, "operations")
        stops.first.click()
        expect(page.get_by_role("button", name="Start", exact=True)).to_have_count(1)
        assert client.operations_status()["ingestion"]["running"] is False
        keep(page, "operations-stopped")
        press(page, "Start", exact=True)
        expect(stops).to_have_count(2)
        assert client.operations_status()["ingestion"]["running"] is True

        # a refresh asks for what its mode reads, and is refused where no model has learned
        _side(page, "Learning")
        page.get_by_role("combobox", name="Mode").first.wait_for()
        assert page.get_by_role("spinbutton", name="Share of the graph").count() == 0
        pick(page, "How much of the graph", "a sample")
        page.get_by_role("spinbutton", name="Share of the graph").first.wait_for()
        press(page, "Begin")
        page.get_by_test_id("stAlert").first.wait_for()
        keep(page, "operations-refused")

        # the graph's model: fields of the partition stand there in its mode alone, and the training can be cancelled
        page.locator("label").get_by_text("Graph model", exact=True).click()
        epochs = page.get_by_role("spinbutton", name="Epochs", exact=True)
        expect(epochs).to_have_count(1)
        assert page.get_by_role("spinbutton", name="Parts").count() == 0
        pick(page, "Partition mode", "in parts (METIS)")
        page.get_by_role("spinbutton", name="Parts").first.wait_for()
        keep(page, "operations-hgt")
        write(page.get_by_role("spinbutton", name="Parts"), "3")
        page.get_by_role("spinbutton", name="Parts").press("Tab")
        press(page, "Begin")
        page.get_by_text("hgt · hgt · all").first.wait_for()
        job = client.jobs(kind="train")[0]
        assert (job.params["model"], job.params["params"]["metis_num_parts"]) == ("hgt", 3)
        if job.status not in FINISHED:
            client.cancel_job(job.job_id)
            client.wait(job.job_id)

        # it stands in the list of jobs, with its log
        _side(page, "Jobs")
        box = page.get_by_role("combobox", name="Look at a job")
        expect(box).to_have_count(1)
        pick(page, "Look at a job", f"train · hgt · {job.job_id}")
        page.locator("code").get_by_text(job.job_id).first.wait_for()
        keep(page, "operations-jobs")
        write(box, "nothing-of-this-name")
        box.press("Enter")
        page.get_by_test_id("stAlert").get_by_text("nothing-of-this-name").first.wait_for()

        # a schedule, wrong at first
        _side(page, "Schedules")
        pick(page, "Edit", "+ a new schedule")
        name = page.get_by_role("textbox", name="Name", exact=True)
        expect(name).to_have_count(1)
        write(name, "weekly-tidy")
        when = page.get_by_role("textbox", name="When", exact=True)
        write(when, "at noon")
        pick(page, "Kind", "cleanup")
        write(page.get_by_role("textbox", name="Parameters (JSON)"), "{")
        press(page, "Save")
        page.get_by_text("This is no JSON object").first.wait_for()
        write(page.get_by_role("textbox", name="Parameters (JSON)"), '{"dry_run": true}')
        press(page, "Save")
        page.get_by_test_id("stAlert").get_by_text("cron").first.wait_for()
        keep(page, "operations-schedule-wrong")
        write(when, "0 12 * * MON")
        press(page, "Save")
        page.get_by_text("weekly-tidy is saved as version 1").first.wait_for()
        made = client.schedule("weekly-tidy")
        assert (made.cron, made.kind, made.params) == ("0 12 * * MON", "cleanup", {"dry_run": True})
        # somebody else puts it off while it is changed here
        client.change_schedule(
            Schedule(name="weekly-tidy", cron="0 12 * * TUE", kind="cleanup", params={"dry_run": True})
        )
        write(when, "0 12 * * WED")
        press(page, "Save")
        page.get_by_text("Somebody else has changed it meanwhile.").first.wait_for()
        holds(when, "0 12 * * WED")  # nobody loses what they typed
        keep(page, "operations-schedule-race")
        page.get_by_role("button", name="Load again").click()
        holds(when, "0 12 * * TUE")
        press(page, "Run now")
        page.get_by_text("· done").first.wait_for()  # the page is made anew then, and what it had to say is gone
        press(page, "Delete")
        press(page, "Yes")
        page.get_by_text("weekly-tidy is deleted.").first.wait_for()
        assert "weekly-tidy" not in {one.name for one in client.schedules()}

        # order: caches, rules, and a look at what would go
        _side(page, "Caches and cleanup")
        for button in ("Put caches in order", "Forget explanations", "Read the rules again"):
            press(page, button)
            page.get_by_test_id("stAlertContentSuccess").first.wait_for()
        press(page, "Look what would go")
        page.get_by_text("Would be removed:").first.wait_for()
        keep(page, "operations-tidying")
        assert client.jobs(kind="cleanup")[0].result["dry_run"] is True  # type: ignore[index]

        _side(page, "History")
        page.get_by_test_id("stDataFrame").first.wait_for()
        keep(page, "operations-history")
