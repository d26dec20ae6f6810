"""Scenarios, experiments and slates in the console, on a real server; the page runs without a browser."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shopkeeper.client import ShopkeeperClient

if TYPE_CHECKING:
    from api_server import Running
    from streamlit.testing.v1 import AppTest

sys.path[:0] = [str(Path(__file__).parents[1] / "api")]
SCRIPT = """
from shopkeeper.console.connection import client
from shopkeeper.console.{place} import {name}
{name}.show(client(){more})
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    from api_server import serving

    with serving(tmp_path_factory.mktemp("suggest") / "home") as running:
        yield running


@pytest.fixture
def client(shop: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[ShopkeeperClient]:
    monkeypatch.setenv("SHOPKEEPER_URL", shop.url)
    with ShopkeeperClient(shop.url) as client:
        yield client


def _page(name: str, place: str = "suggest", more: str = "") -> AppTest:
    pytest.importorskip("streamlit")
    from streamlit.testing.v1 import AppTest

    page = AppTest.from_string(SCRIPT.format(name=name, place=place, more=more), default_timeout=60).run()
    assert not page.exception
    return page


def _press(page: AppTest, label: str) -> AppTest:
    return next(button for button in page.button if button.label == label).click().run()


def test_saving_a_scenario_begins_no_other_policy(client: ShopkeeperClient) -> None:
    exploring = {"policy": "linucb", "share": 0.2, "held_out": 0.1, "slots": [3]}
    made = client.put_scenario("measured", {**_sent(client.scenario("home")), "explore": exploring})
    page = _page("scenarios")
    page.selectbox(key="scenario_chosen").select("measured").run()
    page.text_input(key=f"scenario_measured_{made['version']}_help").input("said anew").run()
    _press(page, "Save")
    stored = client.scenario("measured")
    assert (stored["help"], stored["version"]) == ("said anew", made["version"] + 1)
    assert {name: stored["explore"][name] for name in exploring} == exploring
    page.number_input(key=f"scenario_measured_{stored['version']}_held_out").set_value(0.3).run()
    _press(page, "Save")
    assert client.scenario("measured")["explore"]["held_out"] == 0.3


def test_a_new_scenario_takes_no_other_ones_place(client: ShopkeeperClient) -> None:
    client.put_scenario("mine", {**_sent(client.scenario("home")), "help": "of mine"})
    page = _page("scenarios")
    page.selectbox(key="scenario_chosen").select("").run()
    for name in ("mine", "cart"):
        page.text_input(key="scenario__0_name").input(name).run()
        _press(page, "Save")
        assert [f"There is a scenario {name} already" in one.value for one in page.error] == [True]
    assert client.scenario("mine")["help"] == "of mine"
    assert client.scenario("cart")["built_in"]
    page.text_input(key="scenario__0_name").input("another").run()
    _press(page, "Save")
    assert client.scenario("another")["version"] == 1


def test_what_was_said_of_one_experiment_is_not_said_of_another(client: ShopkeeperClient) -> None:
    first, other = (_started(client, name, scenario) for name, scenario in (("one", "home"), ("two", "cart")))
    page = _page("experiments")
    page.selectbox(key="experiment_chosen").select(first).run()
    page.checkbox(key=f"{first}_stop_roll_out").check().run()
    page.text_input(key=f"{first}_stop_reason").input("it lost").run()
    page.selectbox(key=f"{first}_stop_winner").select("new").run()
    page.selectbox(key="experiment_chosen").select(other).run()
    page.button(key=f"{other}_stop").click().run()
    ended = client.experiment(other)
    assert (ended.status, ended.winner, ended.rolled_out, "it lost" in ended.reason) == ("done", None, False, False)


def test_a_variant_is_not_rolled_out_by_stopping_before_that_was_confirmed(client: ShopkeeperClient) -> None:
    id = _started(client, "surely", "mail")
    page = _page("experiments")
    page.selectbox(key="experiment_chosen").select(id).run()
    page.checkbox(key=f"{id}_stop_roll_out").check().run()
    page.selectbox(key=f"{id}_stop_winner").select("new").run()
    page.button(key=f"{id}_stop").click().run()
    assert "everybody gets the winner: new" in " ".join(text.value for text in page.markdown)
    assert {"Yes", "No"} <= {button.label for button in page.button}
    assert client.experiment(id).status == "running"


def test_ids_of_people_stay_whole_in_the_lists_of_an_experiment(client: ShopkeeperClient) -> None:
    fixed = {"anna lee": "as it is", "b,c;d": "new 2", "17850": "new"}
    names = ["as it is", "new", "new 2"]
    for allow in (["anna lee", "b;c"], fixed):
        plan = _plan("whole", "home", names) | {"allow": allow, "deny": ["Müller, Jo"]}
        id = client.create_experiment(plan).experiment_id
        page = _page("experiments")
        page.selectbox(key="experiment_chosen").select(id).run()
        page.toggle(key=f"{id}_anew").set_value(True).run()
        page.button(key=f"draft_{id}_1_make").click().run()
        assert not page.error
        stored = client.experiment(id)
        assert (stored.allow, stored.deny, stored.version) == (allow, ["Müller, Jo"], 2)


def test_a_person_of_whom_a_line_names_no_variant_is_refused_in_words(client: ShopkeeperClient) -> None:
    id = client.create_experiment(_plan("wrong", "home", ["as it is", "new"])).experiment_id
    page = _page("experiments")
    page.selectbox(key="experiment_chosen").select(id).run()
    page.toggle(key=f"{id}_anew").set_value(True).run()
    page.selectbox(key=f"draft_{id}_1_who").select("fixed").run()
    page.text_area(key=f"draft_{id}_1_fixed").input("17850, new\nanna lee").run()
    page.button(key=f"draft_{id}_1_make").click().run()
    assert ["lee" in one.value for one in page.error] == [True]
    assert client.experiment(id).version == 1


def test_to_look_at_a_customer_shows_them_nothing(client: ShopkeeperClient) -> None:
    def shown() -> int:
        return int(client.cache_stats()["total_requests"])  # each slate is looked for among the kept ones first

    before = shown()
    page = _page("slate", "customer", ', "user-1"')
    page.selectbox(key="slate_scenario").select("cart").run()
    assert shown() == before
    page.button(key="slate_ask").click().run()
    assert shown() == before + 1
    assert any("scenario cart · " in one.value for one in page.caption)
    page.run()
    assert shown() == before + 1
    page.selectbox(key="slate_scenario").select("home").run()  # another question, of which nothing was asked
    assert not any("scenario " in one.value for one in page.caption)


def _started(client: ShopkeeperClient, name: str, scenario: str) -> str:
    return client.start_experiment(client.create_experiment(_plan(name, scenario)).experiment_id).experiment_id


def _plan(name: str, scenario: str, names: list[str] | None = None) -> dict[str, Any]:
    first, *others = names or ["as it is", "new"]
    variants = [{"name": first}, *({"name": other, "config": {"diversity": 0.7}} for other in others)]
    return {"name": name, "target": {"scenario": scenario}, "metric": "orders", "variants": variants, "layer": scenario}


def _sent(scenario: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in scenario.items() if name not in ("built_in", "problems")}
