"""The page of recommendations in a real browser: variants, scenarios, experiments, exploring, caches."""

from __future__ import annotations

from typing import Any

from console_world import choose, fill, go, holds, keep, pick, press, settled, turn, write

from shopkeeper.client import ShopkeeperClient


def side(page: Any, name: str) -> None:
    """From another page, so that what is clicked is not what a test before has left."""
    go(page, "Overview")
    go(page, "Recommendations")
    page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()
    turn(page, name)


def test_a_person_compares_two_variants(page: Any) -> None:
    go(page, "Recommendations")
    fill(page.get_by_role("textbox", name="Customer", exact=True), "17850")
    page.get_by_text("Two variants side by side").click()
    page.get_by_role("combobox", name="Ranker").nth(1).wait_for()
    pick(page, "Scenario", "mail")
    page.get_by_text("For a message that is read later").first.wait_for()
    press(page, "Suggest", exact=True)
    page.get_by_text("stand in both").first.wait_for()
    page.get_by_text("candidates, by the channel").nth(1).wait_for()
    page.get_by_text("Milliseconds by stage").nth(1).wait_for()
    keep(page, "recommendations-two")


def test_a_person_changes_a_scenario_loses_a_race_and_takes_it_back(shop: dict[str, Any], page: Any) -> None:
    from playwright.sync_api import expect

    side(page, "Scenarios")
    filters = page.get_by_role("textbox", name="Filters, one a line")
    expect(filters).to_have_count(1)
    with ShopkeeperClient(shop["url"]) as client:
        first = client.scenario("home")["version"]
        fill(filters, "sellable\nprise < 50")
        press(page, "Save")
        page.get_by_text("filters[1]").first.wait_for()  # the field that is wrong
        keep(page, "scenario-wrong")
        fill(filters, "sellable\nprice < 50")
        press(page, "Save")
        page.get_by_text(f"is saved as version {first + 1}").first.wait_for()
        assert client.scenario("home")["filters"] == ["sellable", "price < 50"]

        # somebody else changes it meanwhile
        holds(filters, "sellable\nprice < 50")
        now = client.scenario("home")
        client.put_scenario("home", {**_sent(now), "ttl_s": 60.0})
        fill(filters, "sellable\nprice < 40")
        press(page, "Save")
        page.get_by_text("Somebody else has changed it meanwhile.").first.wait_for()
        holds(filters, "sellable\nprice < 40")  # nobody loses what they typed
        assert client.scenario("home")["ttl_s"] == 60.0
        page.get_by_role("button", name="Load again").first.click()
        holds(filters, "sellable\nprice < 50")
        press(page, "Take the change back")
        press(page, "Yes")
        page.get_by_text("home is taken back.").first.wait_for()
        keep(page, "scenario-taken-back")
        assert client.scenario("home")["built_in"]


def test_a_person_forgets_what_is_kept_for_a_customer(shop: dict[str, Any], page: Any) -> None:
    side(page, "Caches")
    with ShopkeeperClient(shop["url"]) as client:
        client.recommend("17850", 5, scenario="home")
    fill(page.get_by_role("textbox", name="Customer", exact=True), "17850")
    press(page, "Forget", exact=True)
    page.get_by_text("of 17850 are forgotten.").first.wait_for()
    press(page, "Put caches in order")
    page.get_by_text("Done:").first.wait_for()
    keep(page, "caches")


def test_a_person_plans_an_experiment_and_runs_it(shop: dict[str, Any], page: Any) -> None:
    side(page, "Experiments")
    page.get_by_text("People in each variant", exact=True).first.wait_for()
    fill(page.get_by_role("textbox", name="Name", exact=True), "novel <b>")
    fill(page.get_by_role("textbox", name="Fields that are other in it").nth(1), '{"diversity": 7}')
    press(page, "Make a draft")
    page.get_by_text("diversity").first.wait_for()
    page.get_by_test_id("stAlert").first.wait_for()
    keep(page, "experiment-wrong")
    fill(page.get_by_role("textbox", name="Fields that are other in it").nth(1), '{"diversity": 0.7}')
    press(page, "Make a draft")
    page.get_by_text("nobody takes part before it is started").first.wait_for()
    press(page, "Start", exact=True)
    page.get_by_test_id("stAlert").filter(has_text="Nothing is proven yet").first.wait_for()
    keep(page, "experiment-running")
    with ShopkeeperClient(shop["url"]) as client:
        assert [one.status for one in client.experiments()] == ["running"]
        press(page, "Pause")
        page.get_by_role("button", name="Resume").first.wait_for()
        assert [one.status for one in client.experiments()] == ["paused"]

        # it ends for good, and everybody gets the new, once that was confirmed
        press(page, "Stop …")
        page.get_by_text("everybody gets the winner").first.click()
        settled(page)
        choose(page, "Winner", "new")
        press(page, "Stop now")
        page.get_by_text("ends for good, and everybody gets the winner: new.").first.wait_for()
        keep(page, "experiment-stop-sure")
        press(page, "Yes")
        page.get_by_text("is over.").first.wait_for()
        ended = client.experiments()[0]
        assert (ended.status, ended.winner, ended.rolled_out) == ("done", "new", True)
        assert client.scenario(str(ended.target.scenario))["diversity"] == 0.7


def test_a_person_rolls_one_of_three_variants_out_and_takes_it_back(shop: dict[str, Any], page: Any) -> None:
    from playwright.sync_api import expect

    side(page, "Experiments")
    chosen = page.get_by_role("combobox", name="Look at")
    expect(chosen).to_have_count(1)
    if page.get_by_text("There is none yet.").count() == 0:  # where the test before ran in this process
        pick(page, "Look at", "+ a new experiment")
    expect(page.get_by_text("People in all")).to_have_count(1)
    fill(page.get_by_role("textbox", name="Name", exact=True), "three ways")
    pick(page, "Scenario", "cart")
    number = page.get_by_role("spinbutton", name="Variants").first
    write(number, "3")
    number.press("Tab")
    weights = page.get_by_role("spinbutton", name="Weight", exact=True)
    expect(weights).to_have_count(3)
    write(weights.nth(2), "2")
    weights.nth(2).press("Tab")
    part = page.get_by_role("spinbutton", name="Share of users")
    write(part, "0.5")
    part.press("Tab")
    page.get_by_text("When it is decided, and who takes part").click()
    layer = page.get_by_role("textbox", name="Layer")
    fill(layer, "Of my own")
    press(page, "Make a draft")
    page.get_by_test_id("stAlert").filter(has_text="layer").first.wait_for()  # the field that is wrong
    fill(layer, "carts")
    fill(page.get_by_role("textbox", name="Never these customers, one a line"), "17850")
    keep(page, "experiment-three")
    press(page, "Make a draft")
    page.get_by_text("three ways is a draft").first.wait_for()
    page.get_by_text("layer carts · at least 1,000 people a variant · 1 people never").first.wait_for()
    with ShopkeeperClient(shop["url"]) as client:
        before = client.scenario("cart")["objectives"]
        made = next(one for one in client.experiments() if one.name == "three ways")
        assert [each.weight for each in made.variants] == [1, 1, 2]
        press(page, "Start", exact=True)
        page.get_by_text("No verdict before each variant has 1,000 people").first.wait_for()
        page.get_by_text("Layers", exact=True).first.wait_for()

        press(page, "Shares")
        first = page.get_by_role("spinbutton", name="as it is (%)")
        holds(first, "25")
        write(first, "40")
        first.press("Tab")
        press(page, "Share like this")
        page.get_by_text("three ways is shared anew.").first.wait_for()
        assert round(client.experiment(made.experiment_id).weights["as it is"], 3) == round(40 / 115, 3)

        press(page, "Roll out")
        steps = page.get_by_role("textbox", name="Steps, % of the users")
        write(steps, "50, 10")
        steps.press("Tab")
        press(page, "Begin", exact=True)
        page.get_by_text("steps must rise").first.wait_for()
        write(steps, "10, 100")
        steps.press("Tab")
        press(page, "Begin", exact=True)
        page.get_by_text("new 2 is rolled out step by step.").first.wait_for()
        keep(page, "experiment-rolls-out")
        press(page, "Next step now")
        page.get_by_role("button", name="To everybody now").first.wait_for()
        press(page, "To everybody now")
        press(page, "Yes")
        page.get_by_role("button", name="Undo the roll-out").first.wait_for()
        assert client.scenario("cart")["objectives"] != before  # the variant is what everybody gets
        keep(page, "experiment-rolled-out")
        press(page, "Undo the roll-out")
        press(page, "Yes")
        page.get_by_text("What was there before three ways is there again.").first.wait_for()
        assert client.scenario("cart")["objectives"] == before


def test_a_person_begins_the_bandit(shop: dict[str, Any], page: Any) -> None:
    side(page, "Exploring")
    page.get_by_text("It was not begun yet.").first.wait_for()
    page.get_by_text("Begin, or begin anew with another policy").click()
    press(page, "Begin", exact=True)
    page.get_by_text("Rounds learned").first.wait_for()
    keep(page, "exploring")
    with ShopkeeperClient(shop["url"]) as client:
        assert client.bandit_statistics()["policy"] == "thompson_beta"


def _sent(scenario: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in scenario.items() if name not in ("built_in", "problems")}
