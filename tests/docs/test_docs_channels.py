"""docs/channels.md says what the code does."""

import re
from pathlib import Path

from shopkeeper import plugins
from shopkeeper.recommend import reasons
from shopkeeper.recommend.asking import _PARTS, channel_names
from shopkeeper.recommend.candidates import COLUMNS, TOLD
from shopkeeper.recommend.channels import SPACE
from shopkeeper.recommend.newcomers import NEW_DAYS
from shopkeeper.recommend.together import SEEDS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "channels.md").read_text()
ROWS = [line.split("|") for line in PAGE.splitlines() if line.startswith("| `")]


def named(cell: str) -> list[str]:
    return re.findall(r"`([\w:]+)`", cell)


def test_every_channel_has_a_row() -> None:
    table = [name for cells in ROWS if len(cells) == 5 for name in named(cells[1])]
    trained = [name for name in table if name in plugins.names("algorithm")]
    assert trained
    assert all(plugins.describe(name).task == "recall" for name in trained)
    assert sorted(table) == sorted([*channel_names(trained), f"{SPACE}NAME"])


def test_the_parts_of_blends_are_named() -> None:
    for cells in ROWS:
        for name in named(cells[1]):
            if name in _PARTS:
                assert named(cells[3]) == [part for part, _ in _PARTS[name]]


def test_every_kind_of_reason_is_there() -> None:
    source = Path(reasons.__file__).read_text()
    kinds = set(re.findall(r'Reason\(\s*"(\w+)"', source))
    assert [named(cells[1])[0] for cells in ROWS if len(cells) == 4] == [
        *["due", "again", "matches", "because", "like", "goes_with", "new", "alike", "popular", "fits"]
    ]
    assert {named(cells[1])[0] for cells in ROWS if len(cells) == 4} == kinds


def test_what_a_ranker_reads_is_named() -> None:
    assert sorted(set(re.findall(r"`(recall_\w+)`", PAGE))) == sorted(COLUMNS)
    assert f"how well {', '.join(each.channel for each in TOLD[:-1])} and {TOLD[-1].channel} agree" in PAGE


def test_numbers() -> None:
    assert f"within {NEW_DAYS:.0f} days" in PAGE
    assert SEEDS == 12
    assert "last twelve items" in PAGE
