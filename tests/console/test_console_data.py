"""The page of data on the real bundled shop: a file of one's own is brought in, what there is, no simulated world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from console_world import go, keep, pick, press, turn

from shopkeeper.client import ShopkeeperClient


def test_a_person_brings_a_file(shop: dict[str, Any], page: Any, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    strange, file = tmp_path / "no shop.csv", tmp_path / "orders 🛍.csv"
    strange.write_text("a,b\n1,2\n")
    file.write_text(
        "order date,customer,sku,qty,price\n2026-01-01,c-console,console-1,2,3.5\n"
        "2026-01-02,<b>x</b>,console-1,2,3.5\n2026-01-03,c-console,console-1,many,3.5\n"
    )
    go(page, "Data")
    with ShopkeeperClient(shop["url"]) as client:
        # nothing was chosen; then a file that is of no kind
        hand_over = page.get_by_role("button", name="Hand over")
        hand_over.click()
        page.get_by_text("Choose a file first.").first.wait_for()
        _choose(page, strange)
        hand_over.click()
        page.get_by_text("do not look like orders").first.wait_for()
        keep(page, "data-strange")

        # one with refused rows: its mapping is changed for the worse, and back
        page.get_by_test_id("stFileChipDeleteBtn").click()
        _choose(page, file)
        hand_over.click()
        page.get_by_text("The first rows as they would be stored").first.wait_for()
        keep(page, "data-import")
        pick(page, "item_id", "(none)")
        page.get_by_text("No column was found for: item_id").first.wait_for()
        store = page.get_by_role("button", name="Store the rows")
        expect(store).to_be_disabled()
        pick(page, "item_id", "sku")
        pick(page, "unit_price", "(none)")
        expect(store).to_be_enabled()
        store.click()
        page.get_by_text("Download refused rows").first.wait_for()
        keep(page, "data-imported")
        with page.expect_download() as got:
            press(page, "Download refused rows")
        assert "many" in Path(got.value.path()).read_text()
        one = client.imports(limit=1).items[0]
        assert (one["accepted"], one["rejected"], one["filename"]) == (1, 2, "orders 🛍.csv")
        assert "unit_price" not in one["mapping"]
        assert client.events(user_id="c-console").items[0].quantity == 2

        # it is forgotten, and its rows stay
        press(page, "Delete")
        press(page, "Yes")
        page.get_by_text("is deleted.").first.wait_for()
        assert one["import_id"] not in {other["import_id"] for other in client.imports().items}
        assert client.events(user_id="c-console").items

        turn(page, "What there is")
        page.get_by_text("With a customer").first.wait_for()
        keep(page, "data-holdings")

        # this shop was not simulated
        turn(page, "Simulated world")
        page.get_by_text("Only a simulated shop has settings of its world.").first.wait_for()
        expect(page.get_by_role("button", name="Make the world anew")).to_have_count(0)
        keep(page, "data-not-simulated")


def _choose(page: Any, file: Path) -> None:
    page.locator("input[type=file]").set_input_files(str(file))
    page.get_by_test_id("stFileChipName").get_by_text(file.name).first.wait_for()
