"""Photographs the console for docs/console.md: a private shop, each page as a person would use it, in a browser.

    python -m scripts.console_tour [NAME ...]

Opens the bundled shop with its first models in a temporary folder (a copy of SHOPKEEPER_BENCH_HOME where that is
set), and ends it. Needs the extra console and a chromium.
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks.consoles import Main, Opened, browser, opened, stands
from benchmarks.shops import trained

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console.words import catalogue

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "console"
CUSTOMER = "17850"
MOST_BYTES = 150_000
_WIDTH, _LOWEST, _HIGHEST = 1280, 640, 1150
_COLOURS = 128
_CURVES_S, _PAUSE_MS = 24.0, 50.0
_SETTLED_MS, _PATIENCE_MS = 1500, 120_000
_CHART: Main = (".js-plotly-plot .main-svg", "")
_TABLE: Main = ('[data-testid="stDataFrame"] canvas', "")

_DRAWN = """() => !document.querySelector('[data-stale="true"]')
    && [...document.querySelectorAll('[data-testid="stPlotlyChart"]')].every(one => one.querySelector('.main-svg'))"""
"""Every chart is drawn, and nothing is from before."""

Says = Callable[[str], str]


@dataclass(frozen=True)
class Stop:
    """A picture: a page by its address and the key of its title, what is done there, and what is then seen, texts by
    their keys."""

    page: str
    title: str
    do: Callable[[Any, Says, Opened], None]
    then: tuple[Main, ...]
    language: str = "en"
    dark: bool = False


def _look(_page: Any, _say: Says, _at: Opened) -> None:
    """Nothing is done."""


def _side(key: str) -> Callable[[Any, Says, Opened], None]:
    def turn(page: Any, say: Says, _at: Opened) -> None:
        page.get_by_role("radio", name=say(key), exact=True).click()

    return turn


def _busy(page: Any, _say: Says, at: Opened) -> None:
    """The curves of a shop whose slates are asked for."""
    until = time.monotonic() + _CURVES_S
    with ShopkeeperClient(at.url) as shop:
        users = [user.user_id for user in shop.users("178", limit=40).items]
        for user in cycle(users):
            shop.recommend(user, 10)
            page.wait_for_timeout(_PAUSE_MS)
            if time.monotonic() > until:
                return


def _condition(page: Any, say: Says, _at: Opened) -> None:
    box = page.get_by_role("textbox", name=say("condition"), exact=True)
    box.fill("orders > 12 and days_since_order < 60")
    box.press("Control+Enter")


def _suggest(page: Any, say: Says, _at: Opened) -> None:
    page.get_by_role("textbox", name=say("customer_id")).fill(CUSTOMER)
    page.get_by_role("textbox", name=say("customer_id")).press("Enter")
    page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()
    page.get_by_role("button", name=say("suggest_now"), exact=True).click()


STOPS = {
    "overview": Stop("", "overview", _busy, (_CHART, _TABLE)),
    "customers": Stop(f"customers?user={CUSTOMER}", "customers", _side("why"), (_CHART,)),
    "customers-graph": Stop(f"customers?user={CUSTOMER}", "customers", _side("graph"), (_CHART, _TABLE)),
    "rules": Stop(
        "rules", "rules_and_segments", _condition,
        (_TABLE, ('[data-testid="stCaptionContainer"]', "such_as")),
    ),
    "recommendations": Stop("recommendations", "recommendations", _suggest, (("h4", "home"), _TABLE, _CHART)),
    "forecasts": Stop("forecasts", "forecasts", _look, (_CHART, _TABLE)),
    "train": Stop("train", "train_page", _look, (("button", "train"),)),
    "models": Stop("models", "models_page", _look, (_TABLE, ("button", "promote"))),
    "operations": Stop("operations", "operations", _side("jobs"), (_TABLE,)),
    "data": Stop("data", "data", _side("holdings"), (_TABLE, ('[data-testid="stMetric"]', ""))),
    "forecasts-dark-zh": Stop("forecasts", "forecasts", _look, (_CHART, _TABLE), "zh", dark=True),
}  # fmt: skip


def photograph(window: Any, at: Opened, stop: Stop) -> bytes:
    """One stop in a context of its own; as high as what stands there, within bounds."""
    words = catalogue(stop.language)
    joint = "&" if "?" in stop.page else "?"
    context = window.new_context(
        viewport={"width": _WIDTH, "height": _HIGHEST}, color_scheme="dark" if stop.dark else "light"
    )
    page = context.new_page()
    page.set_default_timeout(_PATIENCE_MS)
    page.goto(f"{at.console}/{stop.page}{joint}lang={stop.language}")
    title = ("h1", words[stop.title])
    stands(page, title)
    stop.do(page, words.__getitem__, at)
    seen = (title, *((selector, words.get(text, text)) for selector, text in stop.then))
    stands(page, *seen)
    high = page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight")
    page.set_viewport_size({"width": _WIDTH, "height": min(max(high, _LOWEST), _HIGHEST)})
    page.mouse.move(_WIDTH / 2, 4)  # away from whatever would say more under it
    page.wait_for_timeout(_SETTLED_MS)  # charts are drawn anew in the new height
    stands(page, *seen)
    page.wait_for_function(_DRAWN, polling="raf")
    taken: bytes = page.screenshot(animations="disabled", timeout=120_000)
    context.close()
    return taken


def smaller(picture: bytes) -> bytes:
    """With few colours: a third of the bytes."""
    from PIL import Image

    with Image.open(io.BytesIO(picture)) as opened_one:
        few = opened_one.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    held = io.BytesIO()
    few.save(held, "PNG", optimize=True)
    return held.getvalue()


def main(names: list[str]) -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="shopkeeper-tour-") as name:
        folder = Path(name)
        with opened(trained(folder), folder, speed=60) as at, browser() as window:
            for stop in names or STOPS:
                picture = smaller(photograph(window, at, STOPS[stop]))
                if len(picture) > MOST_BYTES:
                    raise SystemExit(f"{stop} is {len(picture):,} bytes, at most {MOST_BYTES:,}")
                (FOLDER / f"{stop}.png").write_bytes(picture)
                print(f"{stop}: {len(picture):,} bytes", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
