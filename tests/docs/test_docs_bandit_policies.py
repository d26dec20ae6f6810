"""docs/bandits.md says of the policies what the code does."""

import re
from importlib.metadata import entry_points
from pathlib import Path

import msgspec
import numpy as np
import pytest

from shopkeeper import plugins
from shopkeeper.checks.policy import small_rows
from shopkeeper.core.protocols import silent
from shopkeeper.recommend.explore.params import PolicyParams

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "bandits.md").read_text(encoding="utf-8")
NAMES = sorted(one.name for one in entry_points(group="shopkeeper.algorithms") if ".explore." in one.value)
ROWS = {
    row[0].strip("` "): row for row in (line.strip("|").split(" | ") for line in PAGE.splitlines()) if len(row) == 5
}


def test_it_tells_of_all_policies():
    assert [name for name in sorted(ROWS) if name in plugins.names("algorithm")] == NAMES
    assert len(NAMES) == 7


@pytest.mark.parametrize("name", NAMES)
def test_every_policy_has_a_row_with_its_parameters_and_defaults(name):
    defaults = plugins.algorithm(name).Params()
    own = [one for one in msgspec.structs.fields(defaults) if one.name not in PolicyParams.__struct_fields__]
    cell = ROWS[name][2]
    told = re.findall(r"`(\w+)`", cell)
    assert sorted(told) == sorted(one.name for one in own)
    numbers = cell.split("(")[1].rstrip(") ")
    given = [float(number) for number in re.findall(r"[\d.]+", numbers)]
    if "each" in numbers:
        given *= len(told)
    assert given == [getattr(defaults, one) for one in told]


@pytest.mark.parametrize("name", NAMES)
def test_rewards_are_bounded_where_it_says_so(name):
    assert ROWS[name][4].strip() == ("0 to 1" if plugins.algorithm(name).learner.bounded else "any size")


def test_the_lines_of_python_do_what_they_say():
    from shopkeeper.recommend.explore.thompson_beta import ThompsonBeta

    learner = ThompsonBeta(ThompsonBeta.Params(), seed=0).begin()
    learner.learn(learner.place("mug"), reward=1.0, context=None, propensity=0.2)
    assert "[0.667, 0.333]" in PAGE
    pool = np.array([0, -1], dtype=np.int32)
    assert learner.snapshot().chances(pool, None).round(3).tolist() == [0.667, 0.333]
    again = ThompsonBeta.learner.restore(learner.state())
    assert again.state() == learner.state()


@pytest.mark.parametrize("name", ["ucb1", "linucb", "epsilon_greedy"])
def test_what_chooses_the_highest_gives_nearly_all_to_one(name):
    model = plugins.algorithm(name)(plugins.algorithm(name).Params(), 1).fit(small_rows(2000), silent)
    chances = model.chances(np.arange(len(model.arm_ids), dtype=np.int32), np.array([1.0, 0.2, 0.1]))
    assert chances.max() > 0.98
