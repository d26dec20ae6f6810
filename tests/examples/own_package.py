"""The package of `examples/`, and what CONTRIBUTING.md says about it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
PAGE = (ROOT / "CONTRIBUTING.md").read_text()


def entry_points_of_the_page() -> dict[str, dict[str, str]]:
    """What a reader is told to write into a pyproject.toml: group -> name -> object."""
    blocks = re.findall(r"^```toml\n(.*?)^```", PAGE, re.M | re.S)
    return tomllib.loads("\n".join(blocks))["project"]["entry-points"]


def install(site: Path) -> None:
    """Leaves the metadata that an installer would leave."""
    info = site / "own_shop-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-shop\nVersion: 1.0\n")
    lines = []
    for group, points in entry_points_of_the_page().items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
