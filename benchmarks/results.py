"""Makes benchmarks/RESULTS.md from benchmarks/results/*.json. `--check` fails when the page is not what they give."""

from __future__ import annotations

import json
import sys
from typing import Any

from benchmarks.record import RESULTS, ROOT

PAGE = ROOT / "benchmarks" / "RESULTS.md"
HEAD = """# Results

Made by `python -m benchmarks.results` from `benchmarks/results/*.json`; do not edit. Each section is one
`make bench-NAME`. The machine is shared and noisy: compare within a section, trust ratios and medians.
"""


def page() -> str:
    sections = [_section(json.loads(path.read_text())) for path in sorted(RESULTS.glob("*.json"))]
    return "\n".join([HEAD, *sections])


def _section(result: dict[str, Any]) -> str:
    machine = result["machine"]
    lines = [
        f"## {result['title']}",
        "",
        f"`make bench-{result['name'].replace('_', '-')}`, {machine['date']}, commit {machine['commit']}, "
        f"{machine['cores']} cores, Python {machine['python']}.",
        "",
        result["protocol"],
        "",
    ]
    for table in result["tables"]:
        lines += [f"### {table['title']}", "", *_table(table["columns"], table["rows"]), ""]
    lines += [f"- {note}" for note in result["notes"]]
    return "\n".join(lines).rstrip() + "\n"


def _table(columns: list[str], rows: list[list[Any]]) -> list[str]:
    head = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return head + [f"| {' | '.join(_cell(value) for value in row)} |" for row in rows]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def main() -> None:
    made = page()
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text() != made:
            sys.exit("benchmarks/RESULTS.md is not what benchmarks/results gives: run python -m benchmarks.results")
        return
    PAGE.write_text(made)
    print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
