"""The environments that an agent can be trained in, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from shopkeeper.core.errors import Invalid
from shopkeeper.recommend.qlearning.environment import Environment, Sized
from shopkeeper.recommend.qlearning.sessions import SessionWorld

SESSION: Final = "session"
_WORLDS: Final[dict[str, Callable[[], Environment]]] = {SESSION: SessionWorld.of_simulator}


@dataclass(frozen=True)
class Size:
    """What an agent must be like to act in an environment."""

    states: str
    state_size: int
    actions: int


def check_world(name: str) -> str:
    """Raises Invalid for a name that no environment has."""
    if name not in _WORLDS:
        raise Invalid(
            f"there is no environment {name[:64]!r}, there are: {', '.join(_WORLDS)}",
            code="unknown_environment",
            field="environment",
        )
    return name


def world(name: str) -> Environment:
    """Made anew; the session takes a second. Raises Invalid."""
    return _WORLDS[check_world(name)]()


def size_of(name: str) -> Sized:
    """Where `states`, `state_size` and `actions` of an environment stand, without making it. Raises Invalid."""
    check_world(name)
    return Size(SessionWorld.states, SessionWorld.state_size, SessionWorld.actions)
