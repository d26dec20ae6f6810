"""docs/forecasting-concepts.md: every picture is drawn by the script, and every way has its page."""

import ast
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from shopkeeper import plugins

pytest.importorskip("plotly")
ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "concept_pictures.py"
PAGE = (ROOT / "docs" / "forecasting-concepts.md").read_text()
CHAPTERS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
WAYS = [title for title in CHAPTERS if title != "Which one?"]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("concept_pictures", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("title", WAYS)
def test_a_way_has_a_question_a_picture_three_levels_a_formula_and_says_when_it_loses(title: str) -> None:
    text = CHAPTERS[title]
    assert text.count("\n") < 40
    assert re.findall(r"^### (\w+)", text, re.M) == ["Basic", "Intermediate", "Advanced"]
    assert len(re.findall(r"^\$\$.+\$\$$", text, re.M)) == 1
    assert len(re.findall(r"^!\[.+\]\(pictures/[\w-]+\.svg\)$", text, re.M)) == 1
    assert re.search(r'^> \*"', text, re.M)
    assert "**When it loses**" in text


def test_the_pictures_are_those_of_the_script(script: ModuleType) -> None:
    shown = re.findall(r"\(pictures/([\w-]+)\.svg\)", PAGE)
    assert shown == list(script.PICTURES)
    assert sorted(path.stem for path in script.FOLDER.iterdir()) == sorted(shown)
    for name in shown:
        path = script.FOLDER / f"{name}.svg"
        assert path.stat().st_size < script.MOST_BYTES
        drawing = ElementTree.parse(path).getroot()
        assert drawing.findtext(f"{SVG}title") == name
        assert len(drawing.findtext(f"{SVG}desc") or "") == 16


def test_every_picture_is_a_chart_of_the_console(script: ModuleType) -> None:
    tree = ast.parse(SCRIPT.read_text())
    drawn = {one.__name__ for one in script.PICTURES.values()}
    for function in (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in drawn):
        last = function.body[-1]
        assert isinstance(last, ast.Return)
        assert isinstance(last.value, ast.Call)
        assert ast.unparse(last.value.func).startswith("charts."), function.name


@pytest.mark.parametrize("name", ["moving-average", "lstm", "transformer"])
def test_a_picture_of_the_data_is_the_one_that_is_kept(script: ModuleType, name: str) -> None:
    """No trained model has a say in these, so they are the same on every machine."""
    kept = ElementTree.parse(script.FOLDER / f"{name}.svg").getroot()
    figure = script.PICTURES[name]()
    assert kept.findtext(f"{SVG}desc") == script.digest(figure)
    assert {trace.name for trace in figure.data} <= {text.strip() for text in kept.itertext()}


def test_algorithms_that_are_named_are_there() -> None:
    known = {name for name in plugins.names("algorithm") if plugins.describe(name).task == "forecast"}
    named = set(re.findall(r"`(\w+)`", PAGE)) - {"strategy"}
    assert named <= known
