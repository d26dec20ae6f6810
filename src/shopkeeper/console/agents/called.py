"""What an agent is called: it has no name, so its kind and its sizes stand beside its id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shopkeeper.console.fields import choice
from shopkeeper.console.words import say


def called(agent: Mapping[str, Any]) -> str:
    """On one line of a list."""
    sizes = say("agent_sizes", states=agent["config"]["state_size"], actions=agent["config"]["action_size"])
    return f"{choice(agent['agent_type'])} · {sizes} · {agent['agent_id']}"
