"""The docs cannot lie: pages that repeat what code says are compared with the code."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_settings_page_is_the_table_in_the_code():
    made = run("-c", "import sys; sys.path.insert(0, 'scripts'); import settings_page as p; sys.stdout.write(p.page())")
    assert made.stdout == (ROOT / "docs" / "settings.md").read_text(), made.stderr


def test_the_results_page_is_made_from_the_recorded_results():
    done = run("-m", "benchmarks.results", "--check")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_requirement_line_is_in_the_tally_once():
    rows = re.findall(r"^\| ([ABCD]\d+) \|", (ROOT / "docs" / "requirements.md").read_text(), re.M)
    assert len(rows) == len(set(rows)) == 251


def test_every_command_of_the_makefile_named_in_the_readme_exists():
    targets = set(re.findall(r"^([a-z%-]+):", (ROOT / "Makefile").read_text(), re.M))
    for name in re.findall(r"`make ([a-z-]+)", (ROOT / "README.md").read_text()):
        assert name in targets or (name.startswith("bench-") and "bench-%" in targets), name
