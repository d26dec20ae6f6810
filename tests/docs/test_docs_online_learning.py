"""docs/online-learning.md and docs/rewards.md say what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from shopkeeper import plugins
from shopkeeper.api.app import NOUNS
from shopkeeper.cli import learning as learning_commands
from shopkeeper.cli import rewards as reward_commands
from shopkeeper.core.learning import Detector, OnlineSettings, Rolling, Schedule
from shopkeeper.recommend.feedback import REWARDS
from shopkeeper.recommend.online.rows import LEAST_TAKEN
from shopkeeper.recommend.rewards import tuning
from shopkeeper.recommend.rewards.signals import EXPLICIT, SIGNALS
from shopkeeper.recommend.rewards.trust import RULES, WEIGHTS

DOCS = Path(__file__).resolve().parents[2] / "docs"
LEARNING = (DOCS / "online-learning.md").read_text(encoding="utf-8")
REWARD = (DOCS / "rewards.md").read_text(encoding="utf-8")
TRUST = dict(re.findall(r"^\| (\w+) \| [\d.]+ \| (.+) \|$", REWARD, re.M))


def test_every_setting_of_a_learner_stands_there_with_its_default() -> None:
    told: dict[str, str] = {}
    for names, values in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ([^|]+) \|", LEARNING, re.M):
        told.update(zip(re.findall(r"`(\w+)`", names), values.strip().split(", "), strict=True))
    plain = msgspec.to_builtins(OnlineSettings())
    assert told == {
        name: str(value).lower()
        if isinstance(value, bool)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
        for name, value in plain.items()
    }
    assert all(f"`{one}`" in LEARNING for kind in (Schedule, Detector, Rolling) for one in get_args(kind))
    assert f"At least {LEAST_TAKEN} held-out slates" in LEARNING
    assert "ftrl" in plugins.names("algorithm")


@pytest.mark.parametrize(("page", "prefix"), [(LEARNING, "learning"), (REWARD, "rewards")])
def test_every_door_is_told(page: str, prefix: str) -> None:
    doors = {(one.method, one.path) for noun in NOUNS for one in noun.all if one.path.startswith(f"/api/v1/{prefix}")}
    assert set(re.findall(rf"`(GET|PUT|POST|DELETE) (/api/v1/{prefix}\S*?)`", page)) == doors


def test_every_command_of_the_pages_is_one() -> None:
    for page, group in ((LEARNING, learning_commands.command), (REWARD, reward_commands.command)):
        named = set(re.findall(rf"shopkeeper {group.name} ([a-z]+)", page))
        assert named
        assert named <= set(group.commands)


def test_every_kind_of_feedback_is_told_as_what_it_is() -> None:
    explicit, implicit = (
        set(re.findall(r"[a-z]+", re.sub(r"\(.*?\)|of an answer", "", row)))
        for row in re.findall(r"^\| (?:explicit|implicit) \| (.+) \|$", REWARD, re.M)
    )
    assert explicit == EXPLICIT - {"dismiss"}
    assert implicit - {"and"} == {*SIGNALS, "dismiss"} - explicit
    by_value = re.search(r"(`rating`.*?) go by their value", REWARD)
    assert by_value is not None
    assert set(re.findall(r"`(\w+)`", by_value[1])) == {name for name, worth in REWARDS.items() if worth is None}


def test_weights_and_thresholds_of_trust_are_those_of_the_code() -> None:
    weights = {name: float(weight) for name, weight in re.findall(r"^\| (\w+) \| ([\d.]+) \|", REWARD, re.M)}
    assert weights == WEIGHTS
    assert f"more than {RULES.most_a_minute} of one visitor in a minute, or {RULES.most_a_second}" in TRUST["too_many"]
    assert f"within {RULES.quickest_s:g} s" in TRUST["too_quick"]
    assert RULES.contradiction_s == 1
    assert "within a second" in TRUST["contradiction"]
    assert f"{RULES.regular_from} or more" in TRUST["too_regular"]
    assert f"more than {RULES.repeats} times in a day" in TRUST["repeats_itself"]
    assert f"more than {RULES.takes:.0%} of {RULES.takes_from} or more".replace("%", " %") in TRUST["takes_everything"]
    assert f"more than {RULES.crowd:.0%} of".replace("%", " %") in TRUST["crowd_of_one"]


def test_what_tuning_wants_is_told() -> None:
    assert (tuning.DAYS, tuning.EARLY_HOURS) == (7, 24.0)
    assert "of the first day" in REWARD
    assert "within a week" in REWARD
    assert f"kinds with {tuning.LEAST_PAIRS} pairs" in REWARD
    assert "It wants 30 orders" in REWARD
