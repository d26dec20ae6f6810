"""A process that lets an agent learn and is killed right after a step: `dying_visits.py FOLDER STEP TIMES CLOCK`."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from acting_world import Acting

from shopkeeper.core.clock import StoppedClock
from shopkeeper.recommend.acting import learner
from shopkeeper.recommend.acting.learner import VisitLearning

learner.AT_ONCE = 2


class Dying(VisitLearning):
    left = int(sys.argv[3])

    def step(self, name: str) -> None:
        if name == sys.argv[2]:
            Dying.left -= 1
            if not Dying.left:
                os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    world = Acting(Path(sys.argv[1]), clock=StoppedClock(int(sys.argv[4])))
    world.visit_learning("dying", Dying).turn()
