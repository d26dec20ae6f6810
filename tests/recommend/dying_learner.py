"""A process that learns and is killed right after a step: `dying_learner.py FOLDER STEP NUMBER_OF_TIMES CLOCK`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from explore_world import World

from shopkeeper.core.clock import StoppedClock
from shopkeeper.recommend.explore import learner
from shopkeeper.recommend.explore.learner import Learning

learner.SNAPSHOT_ROWS = 2


class Dying(Learning):
    left = int(sys.argv[3])

    def step(self, name: str) -> None:
        if name == sys.argv[2]:
            Dying.left -= 1
            if not Dying.left:
                os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    world = World(Path(sys.argv[1]), clock=StoppedClock(int(sys.argv[4])))
    world.learning("dying", Dying).turn()
