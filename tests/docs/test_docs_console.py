"""docs/console.md: every page of the console has a chapter with a picture, and all pictures are those of the tour."""

import re
from pathlib import Path

import pytest

pytest.importorskip("streamlit")

from shopkeeper.console.words import catalogue

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "console.md").read_text()
CHAPTERS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
HOME = (ROOT / "src" / "shopkeeper" / "console" / "home.py").read_text()
TITLES = [catalogue("en")[key] for key in re.findall(r'st\.Page\(\s*\w+\.page, title=say\("(\w+)"\)', HOME)]
SHOWN = re.findall(r"\(console/([\w-]+)\.png\)", PAGE)
STOPS = re.findall(r'^    "([\w-]+)": Stop\(', (ROOT / "scripts" / "console_tour.py").read_text(), re.M)
FOLDER = ROOT / "docs" / "console"


def test_every_page_has_its_chapter_in_the_order_of_the_console() -> None:
    assert len(TITLES) == HOME.count("st.Page(")
    assert list(CHAPTERS)[: len(TITLES)] == TITLES


@pytest.mark.parametrize("title", TITLES)
def test_a_page_is_shown(title: str) -> None:
    assert re.search(r"^!\[.+\]\(console/[\w-]+\.png\)$", CHAPTERS[title], re.M)


def test_the_pictures_are_those_of_the_tour() -> None:
    assert sorted(SHOWN) == sorted(STOPS)
    assert sorted(path.stem for path in FOLDER.iterdir()) == sorted(STOPS)


def test_the_pictures_are_small() -> None:
    sizes = [path.stat().st_size for path in FOLDER.glob("*.png")]
    assert max(sizes) < 150_000
    assert sum(sizes) < 2_000_000
