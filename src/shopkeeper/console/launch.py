"""How the console is started: a Streamlit server of its own process, on loopback unless told otherwise."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

SCRIPT = Path(__file__).with_name("served.py")
_THEME = {
    "light.primaryColor": "#0f766e",
    "light.backgroundColor": "#ffffff",
    "light.secondaryBackgroundColor": "#f3f6f5",
    "light.textColor": "#17211f",
    "light.sidebar.backgroundColor": "#f3f6f5",
    "dark.primaryColor": "#2dd4bf",
    "dark.backgroundColor": "#111816",
    "dark.secondaryBackgroundColor": "#1a2421",
    "dark.textColor": "#e6efec",
    "dark.sidebar.backgroundColor": "#1a2421",
}
"""Light or dark is what the browser asks for, or what a person chooses in the menu."""


def missing() -> str | None:
    """What to install before the console can run, or None."""
    absent = [name for name in ("streamlit", "plotly") if find_spec(name) is None]
    return f"the console needs {' and '.join(absent)}: pip install 'shopkeeper[console]'" if absent else None


def command(port: int, host: str = "127.0.0.1", *, upload_mb: int = 1024) -> list[str]:
    """The command line. The API's address is handed over in the environment as SHOPKEEPER_URL. `upload_mb`: the
    largest file that a person can hand over, in MiB; what the API takes by itself."""
    options = {
        "server.port": str(port),
        "server.address": host,
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "server.maxUploadSize": str(upload_mb),
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "viewer",
        **{f"theme.{name}": value for name, value in _THEME.items()},
    }
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]
    return [sys.executable, "-m", "streamlit", "run", str(SCRIPT), *flags]
