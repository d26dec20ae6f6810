"""docs/multitask.md says what the code does."""

import re
from pathlib import Path

from shopkeeper.learning.labels import LEAST_ROWS
from shopkeeper.recommend.multitask import mmoe, rows, shop_rows, tasks

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "multitask.md").read_text(encoding="utf-8")


def test_the_numbers_and_names_are_those_of_the_code() -> None:
    defaults = mmoe.Mmoe.Params()
    for words in (
        f"--epochs {defaults.epochs} --batch-size {defaults.batch_size}",
        f"vectors of {defaults.embedding} numbers",
        f"over {defaults.spans} quantiles",
        f"(`balance`: `{defaults.balance}`",
        f"on {rows.STOPPING:.0%} of the rows".replace("%", " %"),
        f"fewer than {LEAST_ROWS} rows",
        f"at most {mmoe.TOLERANCE:g}",
        ", ".join(f"`{one}`" for one in tasks.FROM_TABLES),
        ", ".join(f"`{one}`" for one in tasks.FROM_SHOP),
    ):
        assert words in PAGE.replace("\n", " "), words
    assert all(f"`{name}`" in PAGE for name in shop_rows.KINDS)


def test_the_answer_has_the_default_tasks() -> None:
    (answer,) = re.findall(r'"scores_list": \[\{(.*?)\}\]', PAGE)
    told = re.findall(r'"(\w+)":', answer)
    assert told == [task.name for task in tasks.read_tasks(tasks.FROM_TABLES)]
