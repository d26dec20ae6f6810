"""What a request says of its moment, and visits as they go."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from feature_world import T0, event, rows_of, shop

from shopkeeper.core.clock import DAY, MINUTE
from shopkeeper.features.agents import Agent, agent
from shopkeeper.features.base import Ask
from shopkeeper.features.registry import feature, registered
from shopkeeper.features.request import code

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
)
AGENTS = {
    CHROME: ("desktop", "windows", "chrome"),
    CHROME + " Edg/120.0.0.0": ("desktop", "windows", "edge"),
    CHROME + " OPR/106.0": ("desktop", "windows", "opera"),
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605 Version/17.1 Mobile/15E148 Safari/604.1": (
        "mobile", "ios", "safari",
    ),
    "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605 CriOS/119 Mobile/15E148 Safari/604.1": (
        "tablet", "ios", "chrome",
    ),
    "Mozilla/5.0 (Linux; Android 13; SM-S901B) AppleWebKit/537 SamsungBrowser/23.0 Chrome/115 Mobile Safari/537": (
        "mobile", "android", "samsung",
    ),
    "Mozilla/5.0 (Linux; Android 12; SM-X700) AppleWebKit/537 Chrome/119 Safari/537": ("tablet", "android", "chrome"),
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 13_6) AppleWebKit/605 Version/17.0 Safari/605": (
        "desktop", "macos", "safari",
    ),
    "Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0": ("desktop", "linux", "firefox"),
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": ("bot", "", ""),
    "Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/538 Version/6.0 TV Safari/538": ("tv", "linux", "safari"),
    "something else": ("", "", ""),
    "": ("", "", ""),
}  # fmt: skip


@pytest.mark.parametrize("header", AGENTS)
def test_a_browser_is_known_by_what_it_says(header: str) -> None:
    assert agent(header) == Agent(*AGENTS[header])


def read(name: str, context: dict[str, Any]) -> float:
    value = feature(name).read(Ask.live(-1, T0, rows_of([]), shop(), context))
    assert isinstance(value, float)
    return value


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({"user_agent": CHROME}, {"device_desktop": 1, "device_mobile": 0, "os_windows": 1, "browser_chrome": 1}),
        ({"user_agent": CHROME, "device": "TV"}, {"device_tv": 1, "device_desktop": 0, "os_windows": 1}),
        ({"network": "4g"}, {"network_cellular": 1, "network_wifi": 0}),
        ({"network": {"type": "wifi", "downlink": 20}}, {"network_wifi": 1, "downlink": 20.0}),
        ({"location": {"country": "DE", "latitude": 52.5, "longitude": 13.4}}, {"latitude": 52.5, "longitude": 13.4}),
        ({"location": {"country": "DE"}}, {"country": code("de")}),
        ({"country": " de "}, {"country": code("DE"), "region": 0}),
        ({"session": {"seconds": 90, "pages": 4}}, {"session_seconds": 90, "session_pages": 4}),
        ({"weather": "Clear"}, {"weather_sunny": 1, "weather_rain": 0}),
        ({"weather": {"condition": "rain", "temperature": -3.5}}, {"weather_rain": 1, "temperature": -3.5}),
        ({"event": {"name": "black friday"}}, {"event": code("black friday")}),
        ({"scenario": "home"}, {"scenario": code("home")}),
    ],
)
def test_it_is_read_from_the_context(context: dict[str, Any], expected: dict[str, float]) -> None:
    assert {name: read(f"request_{name}", context) for name in expected} == expected


@pytest.mark.parametrize(
    "odd",
    [None, 3, True, [], {}, "", "  ", float("nan"), float("inf"), -1e300, "x" * 100_000, {"latitude": "north"}, [[[]]]],
    ids=lambda odd: str(odd)[:12],
)
def test_what_is_no_such_value_is_as_if_it_was_not_said(odd: Any) -> None:
    names = ("user_agent", "network", "location", "session", "weather", "event", "device", "downlink", "temperature")
    context = dict.fromkeys(names, odd)
    for name in registered():
        if name.startswith("request_"):
            value = read(name, context)
            assert value == value
            assert abs(value) <= 1e7


def test_codes_are_the_same_in_another_process() -> None:
    words = ["DE", "de", "Berlin", "掌柜"]
    script = f"from shopkeeper.features.request import code; print([code(word) for word in {words!r}])"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str([code(word) for word in words])
    assert code("DE") == code("de")


def visit(name: str, *events: tuple, at: int) -> float:
    value = feature(name).read(Ask.live(0, T0 + at, rows_of([]), shop(*events)))
    assert isinstance(value, float)
    return value


def test_a_visit_goes_on_until_half_an_hour_of_silence() -> None:
    before = [event("view", 0, 9, 0), event("order", 0, 9, MINUTE)]
    now = [event("view", 0, 1, 60 * MINUTE), event("view", 0, 2, 62 * MINUTE), event("cart", 0, 2, 65 * MINUTE)]
    told = {"visit_events": 3, "visit_items": 2, "visit_minutes": 5, "visit_stage": 2, "visit_same_item": 2}
    assert {name: visit(name, *before, *now, at=70 * MINUTE) for name in told} == told
    assert {name: visit(name, *before, *now, at=96 * MINUTE) for name in told} == dict.fromkeys(told, 0)
    assert visit("frequency_visits_7d", *before, *now, at=96 * MINUTE) == 2
    assert visit("frequency_active_days_30d", *before, *now, at=96 * MINUTE) == 1
    assert visit("frequency_events_a_day_30d", *before, *now, at=96 * MINUTE) == 5


def test_a_step_from_looking_to_taking_is_in_order() -> None:
    taken = [event("view", 0, 1, 0), event("order", 0, 1, MINUTE), event("order", 0, 2, 2 * MINUTE)]
    assert visit("sequence_looked_then_took_24h", *taken, event("view", 0, 2, 3 * MINUTE), at=4 * MINUTE) == 1
    assert visit("sequence_looked_then_took_24h", *taken, at=2 * DAY) == 0
