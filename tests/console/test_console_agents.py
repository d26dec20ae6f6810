"""The agents of Q-learning in a real browser: made, asked by a scenario, refused the steering, trained, deleted."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from console_world import alone, choose, go, keep, pick, press, settled, turn, write
from sqlalchemy import create_engine

from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.ids import ulid
from shopkeeper.recommend.acting.asked import asking
from shopkeeper.stores import visits
from shopkeeper.stores.visits import VisitRow


def side(page: Any, name: str, list_: str) -> None:
    """From another page, so that nothing is there of the side before. `list_`: the label of what it lets choose."""
    go(page, "Overview")
    go(page, "Recommendations")
    turn(page, name)
    page.get_by_role("combobox", name=list_).first.wait_for()
    settled(page)


def number(page: Any, label: str, value: str) -> None:
    box = page.get_by_role("spinbutton", name=label, exact=True)
    alone(box)
    write(box, value)
    box.press("Tab")
    settled(page)


def new(page: Any) -> None:
    """The form of a new agent, whatever others there are."""
    side(page, "Agents", "Look at")
    pick(page, "Look at", "+ a new agent")


def logs(shop: dict[str, Any], agent: dict[str, Any], count: int) -> None:
    """Visits of one slate in which either action was drawn; the second, which the agent wanted, was clicked on."""
    asked = asking(agent)
    assert asked is not None
    now = time.time_ns() // 1000
    rows = []
    for k in range(count):
        id = ulid()
        rows.append(
            VisitRow(
                slate_id=id, visit_id=id, number=0, user_row=None, user_id=f"x{k}", made_at=now, noted_at=now,
                last_seq=0, scenario="home", scenario_version=1, agent_id=asked.agent_id, key=asked.key,
                state=[0.0] * 16, action=k % 2, choice=1, propensity=0.5,
                shown=np.zeros(1, dtype=np.int32).tobytes(), reward=float(k % 2),
            )
        )  # fmt: skip
    engine = create_engine(f"sqlite:///{Path(shop['home']) / 'shop.db'}", connect_args={"timeout": 60})
    with engine.begin() as connection:
        visits.add(connection, rows)
    engine.dispose()


def test_an_agent_is_made_and_asked_in_the_shadow_but_does_not_steer_unproven(shop: dict[str, Any], page: Any) -> None:
    from playwright.sync_api import expect

    with ShopkeeperClient(shop["url"]) as client:
        new(page)
        pick(page, "Kind", "net, double targets")
        number(page, "Actions", "2")
        page.get_by_text("All settings", exact=True).click()
        number(page, "But not below", "0.5")
        press(page, "Make an agent", exact=True)
        page.get_by_text("set it at or below").first.wait_for()
        keep(page, "agent-wrong")
        number(page, "But not below", "0.02")
        press(page, "Make an agent", exact=True)
        page.get_by_text("it has learned nothing yet").first.wait_for()
        made = client.agents().items[0]
        assert (made["agent_type"], made["config"]["epsilon_min"]) == ("double", 0.02)

        side(page, "Scenarios", "Edit")
        page.get_by_text("Agent: asked which of several ways to answer").click()
        # far down: the page scrolls to it, which closes its list once
        choose(page, "Agent asked", f"net, double targets · 16 numbers → 2 actions · {made['agent_id']}")
        page.get_by_role("combobox", name="How it is asked").first.wait_for()  # it moves the button down
        press(page, "Save", exact=True)
        page.get_by_text("home is saved as version").first.wait_for()
        asked = client.scenario("home")["agent"]
        assert (asked["agent_id"], asked["mode"], asked["share"]) == (made["agent_id"], "shadow", 0.1)
        assert asked["actions"][0].get("config", {}) == {}
        assert asked["actions"][1]["config"] == {"objectives": {"relevance": 1, "novelty": 0.5}}

        settled(page)
        choose(page, "How it is asked", "steer: its choice answers")
        expect(page.get_by_text("home is saved as version")).to_have_count(0)  # it moves the button up
        press(page, "Save", exact=True)
        page.get_by_text("it was never judged on visits of this scenario").first.wait_for()
        keep(page, "agent-may-not-steer")
        assert client.scenario("home")["agent"]["mode"] == "shadow"

        side(page, "Agents", "Look at")
        page.get_by_text("in the shadow · any action in 10% of the slates").first.wait_for()
        press(page, "Measure on visits of home")
        page.get_by_text("has not learned a whole visit").first.wait_for()
        keep(page, "agent-asked")

        for count, said in ((100, "Not known enough yet"), (500, "It may steer")):
            logs(shop, asked, count)
            press(page, "Measure on visits of home")
            page.get_by_text(f"home: {said}.").first.wait_for()
            page.get_by_text(said, exact=True).first.wait_for()
        page.get_by_text("600 visits, which say as much as 300 that it led itself").first.wait_for()
        settled(page)
        keep(page, "agent-judged")
        press(page, "Delete the agent")
        page.get_by_text("answer as they are from then on: home").first.wait_for()
        press(page, "Yes", exact=True)
        page.get_by_text("is deleted.").first.wait_for()
        assert made["agent_id"] not in [one["agent_id"] for one in client.agents().items]
        client.delete_scenario("home")


def test_an_agent_is_trained_in_the_simulator_and_measured_there(shop: dict[str, Any], page: Any) -> None:
    from playwright.sync_api import expect

    with ShopkeeperClient(shop["url"]) as client:
        new(page)
        press(page, "Make an agent", exact=True)
        page.get_by_text("it has learned nothing yet").first.wait_for()
        page.get_by_text("Nothing is learned yet.").first.wait_for()
        agent_id = client.agents().items[0]["agent_id"]
        number(page, "Visits at most", "20")
        press(page, "Train", exact=True)
        page.get_by_text("It has learned 20 visits").first.wait_for()
        page.get_by_text("In how many states each action is the best").first.wait_for()
        assert client.agent(agent_id)["training"]["episodes"] == 20
        keep(page, "agent-trained")
        number(page, "Visits", "3")
        press(page, "Measure", exact=True)
        page.get_by_text("3 visits, doing its best").first.wait_for()
        expect(page.get_by_role("button", name="Cancel", exact=True)).to_have_count(0)  # the page is made anew then
        keep(page, "agent-measured")

        number(page, "Visits at most", "100000")
        press(page, "Train", exact=True)
        press(page, "Cancel", exact=True)
        page.get_by_text("· cancelled").first.wait_for()
        expect(page.get_by_role("button", name="Train", exact=True)).to_be_enabled()
        assert client.agent(agent_id)["status"] == "ready"
        keep(page, "agent-cancelled")
        press(page, "Delete the agent")
        press(page, "Yes", exact=True)
        page.get_by_text("is deleted.").first.wait_for()
        assert agent_id not in [one["agent_id"] for one in client.agents().items]
