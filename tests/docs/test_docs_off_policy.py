"""docs/off-policy.md says what the code does."""

import inspect
import json
import re
from pathlib import Path

import msgspec

from shopkeeper import plugins
from shopkeeper.api import bandit
from shopkeeper.quality.gate import Surely, judge_policy
from shopkeeper.quality.offpolicy import ESTIMATORS, WEAK, Support
from shopkeeper.quality.ratios import DRAWS
from shopkeeper.recommend.explore import expected, files
from shopkeeper.recommend.explore.evaluating import Judgement
from shopkeeper.recommend.explore.orders import Named, PolicyOrder, read_order
from shopkeeper.recommend.explore.params import PolicyParams

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "off-policy.md").read_text(encoding="utf-8")
PART = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))


def named(title: str) -> list[str]:
    """The code words of the first column of a part's table."""
    cells = re.findall(r"^\| ([^|]+) \|", PART[title], re.M)
    return [word for cell in cells for word in re.findall(r"`(\w+)`", cell)]


def test_all_that_may_be_asked_stands_in_the_table_with_its_default():
    fields = {field.encode_name: field for field in msgspec.structs.fields(PolicyOrder)}
    assert set(named("What may be asked")) == set(fields)
    order = read_order({"policy": "ucb1"})
    assert order.estimators == ["ips", "snips", "dr"]
    assert (order.interval, order.confidence, order.holdout) == ("normal", 0.95, 0.3)
    assert order.source == {"kind": "shop"}
    assert f"{DRAWS:,} samples" in PAGE
    assert all(name in PART["What may be asked"] for name in Named.__struct_fields__)


def test_the_question_of_the_page_is_understood_and_its_door_is_there():
    body = re.search(r"-d '(.*?)'", PAGE, re.S).group(1)
    assert read_order(json.loads(body)).policy.algorithm == "thompson_beta"
    assert "/api/v1/bandit/evaluate" in PAGE
    assert "evaluate" in dir(bandit)
    assert "evaluate_policy" in plugins.names("job kind")
    assert all(f"`{name}`" in PAGE for name in Judgement.__struct_fields__)


def test_every_estimator_and_every_word_of_support_has_its_row():
    assert named("Estimators") == list(ESTIMATORS)
    assert named("How far the rounds carry") == list(Support.__struct_fields__)
    assert f"above {WEAK:.0f}" in PAGE
    assert expected.FOLDS == 5


def test_the_gate_is_as_told():
    rule = Surely("dr")
    assert f"less {rule.tolerance:.0%}".replace("%", " %") in PAGE
    assert f"below {rule.least:.0f} effective rounds, or {rule.least_rewarded:.0f} rewarded ones" in PAGE
    assert inspect.signature(judge_policy).parameters["tolerance"].default == rule.tolerance
    assert PolicyParams().holdout == 0.3


def test_the_columns_of_a_table_are_those_that_are_read():
    usual = {*files.ARM, *files.PROPENSITY, *files.REWARD, *files.SLOT}
    told = set(named("Rounds of a table"))
    assert usual < told
    assert {name for name in PolicyParams.__struct_fields__ if name.endswith("_column")} < told
    assert f"the {files.MOST_WORDS} most frequent values" in PAGE
