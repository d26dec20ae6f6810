"""A simulated audience with robots among it: slates, what was done with them, and who did it.

People are those of the simulator's response model: they click by taste, take a moment, stay on what they clicked and
now and then like or dislike it. Robots are of six kinds, each after one thing; `patient` acts as people do in every
way that can be measured here, but clicks on one item wherever it is shown: it is there to show what is not found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from shopkeeper.core.clock import HOUR, MINUTE, SECOND
from shopkeeper.recommend.rewards.joining import Shown
from shopkeeper.recommend.rewards.signals import Signal, worth
from shopkeeper.sources.simulator.audience import Audience
from shopkeeper.sources.simulator.responses import ResponseModel

KINDS = ("flood", "metronome", "glutton", "booster", "forger", "patient")
ROBOTS = 1_000_000
"""Rows of robots begin here."""


@dataclass(frozen=True)
class Feedback:
    """`robot` (n,): whether a robot sent the signal; `kind` (n,) of the robot, or `person`."""

    shown: list[Shown]
    signals: list[Signal]
    robot: np.ndarray
    kind: np.ndarray


class _World:
    def __init__(self, seed: int, places: int) -> None:
        self.model = ResponseModel.version("v1")
        self.random = np.random.default_rng(seed)
        self.places = places
        self.shown: list[Shown] = []
        self.signals: list[Signal] = []
        self.kinds: list[str] = []

    def slate(self, user: int, at: int, items: np.ndarray | None = None) -> Shown:
        drawn = self.random.choice(len(self.model.item_ids), self.places, replace=False) if items is None else items
        made = Shown(f"{len(self.shown):026d}", user, at, drawn.astype(np.int32))
        self.shown.append(made)
        return made

    def says(
        self, who: str, user: int, kind: str, item: int, at: int, *, on: Shown | None, seconds: float | None = None
    ) -> None:
        value = worth(kind, seconds, {})
        assert value is not None
        request = None if on is None else on.slate_id
        self.signals.append(Signal(f"e{len(self.signals)}", kind, user, item, at, value, seconds, request))
        self.kinds.append(who)


def feedback(seed: int, *, people: int = 400, visits: int = 3, each: int = 5, places: int = 10) -> Feedback:
    """`each` robots of every kind beside `people`, over two days."""
    world = _World(seed, places)
    _people(world, people, visits)
    makers: Sequence[Callable[[_World, int, int], None]] = (_flood, _metronome, _glutton, _booster, _forger, _patient)
    user = ROBOTS
    for make in makers:
        for _ in range(each):
            make(world, user, world.model.starts + int(world.random.integers(0, 24 * HOUR)))
            user += 1
    kind = np.array(world.kinds)
    return Feedback(world.shown, world.signals, kind != "person", kind)


def _people(world: _World, people: int, visits: int) -> None:
    audience, random = Audience(world.model, int(world.random.integers(1 << 30))), world.random
    for visit in range(visits):
        users = random.choice(len(world.model.user_ids), people, replace=False)
        at = world.model.starts + visit * 14 * HOUR
        slates = np.array([random.choice(len(world.model.item_ids), world.places, replace=False) for _ in users])
        clicked = audience.show(users, slates, at).clicked
        for user, items, taken in zip(users.tolist(), slates, clicked, strict=True):
            moment = at + int(random.integers(0, 2 * HOUR))
            made = world.slate(user, moment, items)
            for place in np.flatnonzero(taken).tolist():
                moment += int(random.lognormal(1.5, 0.8) * SECOND) + SECOND
                item = int(items[place])
                world.says("person", user, "click", item, moment, on=made)
                stayed = float(random.lognormal(3.0, 1.0))
                moment += int(stayed * SECOND)
                if random.random() < 0.5:
                    world.says("person", user, "dwell", item, moment, on=made, seconds=stayed)
                if random.random() < 0.15:
                    moment += int(random.lognormal(1.0, 0.7) * SECOND)
                    world.says("person", user, "like" if random.random() < 0.8 else "dislike", item, moment, on=made)


def _flood(world: _World, user: int, at: int) -> None:
    """Many clicks in a minute."""
    made = world.slate(user, at)
    for step in range(120):
        moment = at + SECOND + int(step * 250_000 + world.random.integers(0, 100_000))
        world.says("flood", user, "click", int(world.random.choice(made.items)), moment, on=made)


def _metronome(world: _World, user: int, at: int) -> None:
    """Slow and steady: a click every forty seconds."""
    for step in range(40):
        made = world.slate(user, at + step * 40 * SECOND)
        moment = made.made_at + 2 * SECOND + int(world.random.integers(0, 300_000))
        world.says("metronome", user, "click", int(world.random.choice(made.items)), moment, on=made)


def _glutton(world: _World, user: int, at: int) -> None:
    """Takes all that it is shown, at the pace of people."""
    moment = at
    for _ in range(8):
        made = world.slate(user, moment)
        for item in made.items.tolist():
            moment += int(world.random.lognormal(1.5, 0.8) * SECOND) + SECOND
            world.says("glutton", user, "click", item, moment, on=made)
        moment += int(world.random.integers(1, 30)) * MINUTE


def _booster(world: _World, user: int, at: int) -> None:
    """Likes one item again and again, with pauses."""
    wanted, moment = 7, at
    for _ in range(60):
        items = world.random.choice(len(world.model.item_ids), world.places, replace=False)
        items[0] = wanted
        made = world.slate(user, moment, items)
        moment += int(world.random.lognormal(2.0, 0.8) * SECOND) + SECOND
        world.says("booster", user, "like", wanted, moment, on=made)
        moment += int(world.random.integers(1, 20)) * MINUTE


def _forger(world: _World, user: int, at: int) -> None:
    """Clicks on what was never shown, dwells longer than there was time, likes and dislikes at once."""
    made, moment = world.slate(user, at), at
    for _ in range(15):
        moment += int(world.random.lognormal(2.5, 0.8) * SECOND) + SECOND
        item = int(world.random.choice(np.setdiff1d(np.arange(len(world.model.item_ids)), made.items)))
        world.says("forger", user, "click", item, moment, on=made)
        world.says("forger", user, "dwell", int(made.items[0]), moment, on=made, seconds=9000.0)
        if world.random.random() < 0.5:
            world.says("forger", user, "like", int(made.items[1]), moment, on=made)
            world.says("forger", user, "dislike", int(made.items[1]), moment + 200_000, on=made)


def _patient(world: _World, user: int, at: int) -> None:
    """A few clicks a day on one item, wherever it is shown, at the pace of people."""
    moment, wanted = at, 11 + user % 50
    for _ in range(10):
        items = world.random.choice(len(world.model.item_ids), world.places, replace=False)
        items[0] = wanted
        made = world.slate(user, moment, items)
        moment += int(world.random.lognormal(1.5, 0.8) * SECOND) + SECOND
        world.says("patient", user, "click", wanted, moment, on=made)
        moment += int(world.random.integers(20, 200)) * MINUTE
