"""docs/q-learning.md against the code: settings, doors, limits, aims; and its example runs in a shop."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shopkeeper.api.app import NOUNS
from shopkeeper.bootstrap.acting import _NEWEST, TICK_S
from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.clock import MINUTE
from shopkeeper.core.errors import Conflict
from shopkeeper.quality.gate import Surely
from shopkeeper.recommend.acting.asked import FIELDS, MODES, SHARE, asking
from shopkeeper.recommend.acting.evaluating import COVER
from shopkeeper.recommend.acting.evaluating import MOST_SLATES as MOST_JUDGED
from shopkeeper.recommend.acting.visits import GAP, MOST_PEOPLE
from shopkeeper.recommend.acting.visits import MOST_SLATES as MOST_SLATES_OPEN
from shopkeeper.recommend.qlearning.config import MOST_CELLS, MOST_NUMBERS, MOST_PARAMETERS, MOST_STATES, AgentConfig
from shopkeeper.recommend.qlearning.sessions import AIMS, MOST_SLATES, PLACES, STATE
from shopkeeper.recommend.qlearning.visitstate import MOST_ACTIONS
from shopkeeper.stores.agents import MOST_AGENTS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "q-learning.md").read_text()


def part(name: str) -> str:
    return PAGE.split(f"<!-- {name}:")[1].split(f"<!-- /{name} -->")[0]


def test_settings_and_their_defaults_are_those_of_the_code() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", part("settings"), re.M))
    plain = msgspec.to_builtins(AgentConfig())
    assert {name: str(value).strip("`") for name, value in told.items()} == {
        name: msgspec.json.encode(value).decode().strip('"').replace(",", ", ") for name, value in plain.items()
    }


def test_limits_and_aims_are_those_of_the_code() -> None:
    assert f"room for {MOST_AGENTS} agents; a table for {MOST_STATES:,} states and {MOST_CELLS:,} values" in PAGE
    assert f"{MOST_PARAMETERS:,}\nparameters at most, a buffer {MOST_NUMBERS:,} numbers" in PAGE
    assert tuple(re.findall(r"^\| \d \| `(\w+)` \|", PAGE, re.M)) == AIMS
    assert f"after {MOST_SLATES} slates" in PAGE
    assert f"The state, {STATE} numbers" in PAGE
    assert {6: "slate of six"}[PLACES] in PAGE


def test_every_door_is_told() -> None:
    paths = {door.path.replace("/api/v1", "~") for noun in NOUNS for door in noun.all if "/qlearning/" in door.path}
    named = set(re.findall(r"~/qlearning/[\w/{}]+", PAGE))
    aliases = set(re.findall(r"also `/(\w+)`", PAGE))
    assert named <= paths
    assert paths - named == {f"~/qlearning/agents/{{agent_id}}/{one}" for one in aliases}


def test_what_is_said_of_slates_is_so() -> None:
    told = PAGE.split("## In slates")[1]
    assert tuple(re.findall(r"^\| `(\w+)` \|", told.split("<!--")[0], re.M)) == FIELDS
    assert f"2 to {MOST_ACTIONS}, each" in told
    assert f"{SHARE} unless told" in told
    assert all(f"`{mode}`: " in told for mode in MODES)
    assert f"none more than {GAP // MINUTE} minutes of the shop's clock after the one before" in told
    assert f"after the one before, up to {MOST_SLATES_OPEN}." in told
    assert f"person's newest {_NEWEST} events" in told
    assert f"newest {MOST_PEOPLE:,} people" in told
    assert {10.0: "at most ten seconds ago"}[TICK_S] in told
    assert f"newest {MOST_JUDGED:,} slates" in told
    assert f"in which {COVER:.0%} of all clicks fell".replace("%", " %") in told
    rule = Surely("gain")
    assert f"fewer than {rule.least:g} effective visits, or {rule.least_rewarded:g} that brought anything" in told
    rare = asking({"agent_id": "a", "actions": [{"name": "a"}, {"name": "b"}]})
    assert rare is not None
    assert round(float(rare.chances(0)[1]) ** -3) == 8000
    assert "once in 8,000" in told


def test_a_scenario_that_asks_an_agent(tmp_path: Path) -> None:
    sys.path.insert(0, str(ROOT / "tests" / "api"))
    from api_server import serving

    known: dict[str, Any] = {}
    exec(part("slates").split("```python")[1].split("```")[0], known)
    with serving(tmp_path) as running, ShopkeeperClient(running.url) as shop:
        agent = known["begin"](shop, "home")
        asked = shop.scenario("home")["agent"]
        assert (asked["agent_id"], asked["mode"], asked["share"]) == (agent, "shadow", 0.5)
        with pytest.raises(Conflict) as refused:
            known["steer"](shop, "home", agent)
        assert refused.value.code == "no_visits"


def test_a_page_that_asks_an_agent_which_scenario_comes_next(tmp_path: Path) -> None:
    sys.path.insert(0, str(ROOT / "tests" / "api"))
    from api_server import serving

    code = part("visit").split("```python")[1].split("```")[0]
    known: dict[str, Any] = {}
    exec(code, known)
    with serving(tmp_path) as running, ShopkeeperClient(running.url) as shop:
        shop.put_scenario("discover", {"recall": [{"channel": "new", "quota": 50}]})
        agent = shop.create_agent(state_size=2, action_size=2, epsilon=1.0, learning_rate=0.3)["agent_id"]
        # Whoever is shown `discover` clicks twice and goes on, up to four slates; on `content` nobody clicks.
        lengths = []
        for _ in range(12):
            left = iter([2, 2, 2, 0])
            length = known["visit"](
                shop, agent, "user-1", lambda slate, left=left: next(left) if slate.scenario == "discover" else 0
            )
            lengths.append(length)
        assert set(lengths) > {1}
        assert shop.agent_action(agent, [0.0, 0.0])["action"] == 1
        facts = shop.agent(agent)
        assert (facts["updates"], facts["episodes"]) == (sum(lengths), 12)
        told = shop.agent_policy(agent)
        assert told["policy"][told["states"].index([0, 0])] == 1
        assert [one["agent_id"] for one in shop.agents().items] == [agent]
        shop.delete_agent(agent)
        assert shop.agents().items == []
