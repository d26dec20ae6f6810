"""Writes docs/settings.md from the table in settings.py. A test compares the two."""

from __future__ import annotations

from pathlib import Path

from shopkeeper.settings import Settings

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
HEAD = """# Settings

Environment variables, read once at start. Made from `src/shopkeeper/settings.py` by `python scripts/settings_page.py`.

| variable | default | meaning |
|---|---|---|
"""


def page() -> str:
    return HEAD + "".join(_row(name) for name in Settings.model_fields)


def _row(name: str) -> str:
    field = Settings.model_fields[name]
    choices = getattr(field.validation_alias, "choices", [])
    variable, *aliases = [str(choice) for choice in choices]
    also = f" (also read: {', '.join(f'`{alias}`' for alias in aliases)})" if aliases else ""
    return f"| `{variable}` | {_default(field.default)} | {field.description}{also} |\n"


def _default(value: object) -> str:
    return "none" if value is None else f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(page())
