"""The console's pages in a browser: first paint, until a page stands, and one thing that a person does on each.

    python -m benchmarks.console [--quick]      --quick: two runs; writes nothing

Beside them a bare page of Streamlit with one text, by the same flags: what the framework costs by itself.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import record
from benchmarks.consoles import Main, browser, opened, stands
from benchmarks.processes import alive, running, until
from benchmarks.shops import trained
from shopkeeper.cli.sidecar import free_port
from shopkeeper.console.launch import SCRIPT, command
from shopkeeper.console.words import catalogue

RUNS, QUICK_RUNS = 7, 2
_BARE = 'import streamlit as st\n\nst.title("Bare")\nst.write("one text")\n'
_SAY = catalogue("en").__getitem__
_CHART, _TABLE = (".js-plotly-plot .main-svg", ""), ('[data-testid="stDataFrame"] canvas', "")
_LABEL = '[data-testid="stWidgetLabel"]'
_METRIC = ('[data-testid="stMetricValue"]', "")
_CHOSEN = '[data-testid="stSelectbox"] input'
_WINDOW = {"width": 1280, "height": 1000}
_PATIENCE_MS, _PAUSE_MS = 120_000, 300
_PROTOCOL = (
    "The bundled shop with its first models, `shopkeeper up` with its console, headless Chromium on the same machine, "
    "1280 x 1000; {runs} runs over all pages, medians in milliseconds, by the browser's own clock. *First paint* is "
    "`first-contentful-paint`; a page *stands* when its script has ended and its title and main content are seen, "
    "none of it left from before. Each page is loaded by its address in a new session, with Streamlit's files in the "
    "browser's cache. The *deed* is timed from the key or the click until its outcome is seen. The bare page is "
    "Streamlit with a title and one text, by the same flags, in the same runs."
)
_PAINTED = """() => new Promise(found => new PerformanceObserver(
    list => list.getEntriesByName('first-contentful-paint').forEach(entry => found(entry.startTime))
).observe({type: 'paint', buffered: true}))"""

Act = Callable[[Any], None]


@dataclass(frozen=True)
class Page:
    """A page by its address, and what is seen when it stands; what is done there, and what is seen afterwards."""

    address: str
    name: str
    main: tuple[Main, ...]
    deed: str
    prepare: Act
    act: Act
    then: tuple[Main, ...]


@dataclass
class Times:
    """Milliseconds, one a run."""

    paint: list[float] = field(default_factory=list)
    stands: list[float] = field(default_factory=list)
    deed: list[float] = field(default_factory=list)


def _nothing(_page: Any) -> None:
    """Nothing is to be prepared."""


def _side(key: str) -> Act:
    return lambda page: page.get_by_role("radio", name=_SAY(key), exact=True).click()


def _button(key: str) -> Act:
    return lambda page: page.get_by_role("button", name=_SAY(key), exact=True).click()


def _list(label: str) -> Act:
    return lambda page: page.get_by_role("combobox", name=label).last.click()


def _option(text: str) -> Act:
    return lambda page: page.get_by_role("option", name=text).first.click()


def _write(key: str, text: str) -> Act:
    return lambda page: page.get_by_role("textbox", name=_SAY(key), exact=True).fill(text)


def _send(key: str, by: str) -> Act:
    return lambda page: page.get_by_role("textbox", name=_SAY(key), exact=True).press(by)


PAGES = (
    Page("", "overview", (_CHART, _TABLE), "the language changed", _list("Language · 语言"), _option("中文"),
         (("h1", catalogue("zh")["overview"]), _CHART, _TABLE)),
    Page("customers?user=17850", "customers", (_METRIC, _TABLE), "another customer found",
         _write("find_customer", "14911"), _send("find_customer", "Enter"), ((_CHOSEN, "14911"), _METRIC, _TABLE)),
    Page("rules", "rules_and_segments", (_TABLE, _METRIC), "a condition tried on all customers",
         _write("condition", "orders >= 0"), _send("condition", "Control+Enter"),
         (('[data-testid="stMetricDelta"]', "100.0%"),)),
    Page("recommendations", "recommendations", (("button", _SAY("suggest_now")),), "a slate with what made it",
         _nothing, _button("suggest_now"), (("h4", "home"), _TABLE, _CHART)),
    Page("forecasts", "forecasts", (_CHART, _TABLE), "a product forecast instead of the shop",
         _list(_SAY("scope")), _option(_SAY("product")), ((_LABEL, _SAY("find_product")), _CHART, _TABLE)),
    Page("train", "train_page", (("button", _SAY("train")),), "the form of another task",
         _list(_SAY("task")), _option("forecast"), ((_LABEL, _SAY("scope")), ("button", _SAY("train")))),
    Page("models", "models_page", (_TABLE, ("button", _SAY("promote"))), "the files of a version",
         _nothing, _side("files"), (("button", _SAY("import_do")),)),
    Page("operations", "operations", (("h4", _SAY("ingestion")),), "the jobs", _nothing, _side("jobs"),
         (_TABLE, (_LABEL, _SAY("one_job")))),
    Page("data", "data", (('[data-testid="stFileUploader"]', ""),), "what the shop holds", _nothing,
         _side("holdings"), (_TABLE, _METRIC)),
)  # fmt: skip


def main() -> None:
    quick = "--quick" in sys.argv
    runs = QUICK_RUNS if quick else RUNS
    with tempfile.TemporaryDirectory(prefix="shopkeeper-bench-") as name:
        folder = Path(name)
        with opened(trained(folder), folder) as at, _bare(folder) as bare, browser() as window:
            measured = {one.name: Times() for one in PAGES}
            alone, cold = Times(), {"bare": Times(), "console": Times()}
            for run in range(runs + 1):
                context = window.new_context(viewport=_WINDOW)
                _load(context, bare, (("h1", "Bare"),), cold["bare"])
                _load(context, at.console, _all_of(PAGES[0]), cold["console"])
                if run:  # the first run of a page is of a console that nobody has opened yet
                    _load(context, bare, (("h1", "Bare"),), alone)
                for one in PAGES:
                    _run(context, at.console, one, measured[one.name] if run else Times())
                context.close()
                print(f"round {run} of {runs}", flush=True)
    tables = _tables(measured, alone, cold)
    if quick:
        for table in tables:
            print(table["title"], table["columns"], *table["rows"], sep="\n")
        return
    record.write("console", "The console in a browser", _PROTOCOL.format(runs=runs), tables)


def _all_of(one: Page) -> tuple[Main, ...]:
    return (("h1", _SAY(one.name)), *one.main)


def _load(context: Any, url: str, main: tuple[Main, ...], times: Times) -> Any:
    page = context.new_page()
    page.set_default_timeout(_PATIENCE_MS)
    page.goto(url)
    times.stands.append(stands(page, *main))
    times.paint.append(float(page.evaluate(_PAINTED)))
    page.close()


def _run(context: Any, console: str, one: Page, times: Times) -> None:
    """A page loaded with what the browser has kept, and its deed done once."""
    page = context.new_page()
    page.set_default_timeout(_PATIENCE_MS)
    page.goto(f"{console}/{one.address}")
    times.stands.append(stands(page, *_all_of(one)))
    times.paint.append(float(page.evaluate(_PAINTED)))
    one.prepare(page)
    page.wait_for_timeout(_PAUSE_MS)
    begun = float(page.evaluate("performance.now()"))
    one.act(page)
    times.deed.append(stands(page, *one.then) - begun)
    page.close()


@contextmanager
def _bare(folder: Path) -> Iterator[str]:
    script = folder / "bare.py"
    script.write_text(_BARE)
    port = free_port("127.0.0.1", 0)
    with running([str(script) if part == str(SCRIPT) else part for part in command(port)], {}, folder) as process:
        url = f"http://127.0.0.1:{port}"
        until(process, lambda: alive(url))
        yield url


def _tables(measured: dict[str, Times], alone: Times, cold: dict[str, Times]) -> list[dict[str, Any]]:
    rows: list[list[Any]] = [["bare page", _median(alone.paint), _median(alone.stands), "–", "–"]]
    for one in PAGES:
        times = measured[one.name]
        rows.append([_SAY(one.name), _median(times.paint), _median(times.stands), one.deed, _median(times.deed)])
    first = [
        ["bare page", _median(cold["bare"].paint), _median(cold["bare"].stands), cold["bare"].stands[0]],
        [_SAY("overview"), _median(cold["console"].paint), _median(cold["console"].stands), cold["console"].stands[0]],
    ]
    return [
        {
            "title": "Pages, ms",
            "columns": ["page", "first paint", "stands after", "deed", "deed done after"],
            "rows": rows,
        },
        {
            "title": "With an empty browser cache, ms",
            "columns": ["page", "first paint", "stands after", "the very first visit after the start"],
            "rows": first,
        },
    ]


def _median(values: list[float]) -> float:
    return round(statistics.median(values), 1)


if __name__ == "__main__":
    main()
