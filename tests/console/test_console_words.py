"""Every text in both languages, and every text used."""

import re
import string
from pathlib import Path

import pytest

from shopkeeper.console import launch
from shopkeeper.console.words import LANGUAGES, catalogue

PAGES = Path(launch.__file__).parent


def blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("key", catalogue("en"))
def test_a_text_stands_in_every_language_with_the_same_blanks(key):
    texts = [catalogue(code)[key] for code in LANGUAGES]
    assert all(texts)
    assert len({frozenset(blanks(text)) for text in texts}) == 1


def test_catalogues_name_the_same_texts_in_the_same_order():
    english, *others = (list(catalogue(code)) for code in LANGUAGES)
    assert all(other == english for other in others)


def test_texts_and_their_uses_agree():
    code = "".join(path.read_text() for path in PAGES.rglob("*.py"))
    used = set(re.findall(r"""say\(\s*["'](\w+)["']""", code))
    assert used == set(catalogue("en"))


def test_the_console_listens_where_it_is_told_and_asks_nobody_outside():
    command = launch.command(8123, "127.0.0.1")
    assert command[command.index("--server.port") + 1] == "8123"
    assert command[command.index("--server.address") + 1] == "127.0.0.1"
    assert command[command.index("--browser.gatherUsageStats") + 1] == "false"
    assert command[command.index("--server.maxUploadSize") + 1] == "1024"  # as the API
    assert launch.missing() is None
