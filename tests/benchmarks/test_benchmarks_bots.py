"""The rules of trust on a simulated audience with robots in it."""

import pytest
from benchmarks.feedback_bots import KINDS, feedback

from shopkeeper.recommend.rewards.trust import judged


@pytest.mark.parametrize("seed", [1, 2])
def test_robots_among_simulated_people_are_found_and_people_left_alone(seed: int) -> None:
    """Measured for the docs, too: at least 95 of 100 that are distrusted are robots', and 90 of 100 of theirs are."""
    world = feedback(seed, people=150)
    bad = judged(world.signals, world.shown).weights < 0.5
    assert (bad & world.robot).sum() >= 0.95 * bad.sum()
    assert (bad & world.robot).sum() >= 0.9 * world.robot.sum()
    share = {kind: bad[world.kind == kind].mean() for kind in KINDS}
    assert min(share[kind] for kind in KINDS if kind != "patient") > 0.9
    assert share["patient"] < 0.9  # told in the docs: who does as people do is not found
