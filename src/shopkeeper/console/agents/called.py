"""What an agent is called: it has no name, so its kind and its sizes stand beside its id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shopkeeper.console.words import say


def kind(agent_type: str) -> str:
    """How it learns, in words."""
    words = {"tabular": say("agent_table"), "dqn": say("agent_dqn"), "double": say("agent_double"),
             "dueling": say("agent_dueling")}  # fmt: skip
    return words.get(agent_type, agent_type)


def called(agent: Mapping[str, Any]) -> str:
    """On one line of a list."""
    sizes = say("agent_sizes", states=agent["config"]["state_size"], actions=agent["config"]["action_size"])
    return f"{kind(agent['agent_type'])} · {sizes} · {agent['agent_id']}"
