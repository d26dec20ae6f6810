"""An agent as data: one npz file of arrays, with its configuration and counters as JSON among them. Never pickle."""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import Final

import msgspec
import numpy as np

from shopkeeper.core.errors import Unavailable
from shopkeeper.recommend.qlearning.agent import Agent
from shopkeeper.recommend.qlearning.config import AgentConfig, check
from shopkeeper.recommend.qlearning.deep import DeepAgent
from shopkeeper.recommend.qlearning.tabular import TabularAgent

_FACTS: Final = "facts"
_FORMAT: Final = 1
_BROKEN: Final = (OSError, EOFError, ValueError, KeyError, TypeError, IndexError, zipfile.BadZipFile, zlib.error)


def new(config: AgentConfig) -> Agent:
    """An agent that has learned nothing. Raises Invalid for what does not go together."""
    return _empty(check(config))


def _empty(config: AgentConfig) -> Agent:
    return TabularAgent(config) if config.tabular else DeepAgent(config)


def packed(agent: Agent) -> bytes:
    """Everything that is needed to go on exactly from here."""
    facts = {"format": _FORMAT, "config": agent.config, **agent.facts()}
    written = np.frombuffer(msgspec.json.encode(facts), dtype=np.uint8)
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **{_FACTS: written}, **agent.arrays())
    return file.getvalue()


def unpacked(content: bytes) -> Agent:
    """Raises Unavailable for what is no agent."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        facts = msgspec.json.decode(arrays.pop(_FACTS).tobytes())
        # Not checked: what was made within earlier bounds is read as it is.
        agent = _empty(msgspec.convert(facts["config"], AgentConfig))
        agent.recall(facts)
        agent.restore(arrays)
    except (*_BROKEN, msgspec.MsgspecError) as error:
        raise Unavailable(f"this file is no agent, or it is damaged: {error}", code="agent_broken") from error
    return agent
