"""What Streamlit serves: the script of the console, and its pages by their own addresses.

Streamlit's page looks for its server beside the address that it was opened at, so that `/customers` first asks
`/customers/_stcore/health`, which is no door: an error in the browser and a detour before the first word. A page that
is opened by its own address is told where its server is.
"""

from __future__ import annotations

from pathlib import Path
from pkgutil import iter_modules

import streamlit
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from streamlit.starlette import App

_FOLDER = Path(__file__).parent
_INDEX = Path(streamlit.__file__).parent / "static" / "index.html"
_FIRST = "overview"
"""Its address is that of the console; its name leads there."""
_TOLD = "<script>window.__streamlit = {BACKEND_BASE_URL: new URL('.', window.location.href).href}</script>"
"""Relative, so that it holds behind a proxy too."""


def page(_request: Request) -> Response:
    """Streamlit's own page, which knows where its server is. Not kept by browsers, like the original."""
    html = _INDEX.read_text("utf-8").replace("<head>", f"<head>{_TOLD}", 1)
    return HTMLResponse(html, headers={"Cache-Control": "no-cache"})


def first(request: Request) -> Response:
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"./{query}", 307)


def addresses() -> list[str]:
    """Of all pages: each bears the name of its file."""
    return [one.name for one in iter_modules([str(_FOLDER / "views")])]


app = App(
    _FOLDER / "home.py",
    routes=[Route(f"/{name}", first if name == _FIRST else page) for name in addresses()],
)
