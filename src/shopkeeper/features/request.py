"""What a request says of the moment it comes from: device, network, place, visit, page, weather, occasion.

Read from the request's `context`; no event writes this, and a replay of the log does not know it, so rankers learn it
from what was served (`source: {"kind": "served"}`). What is not said, or is no such value, is 0.

    user_agent, or device, os, browser      network: wifi | cellular | wired, or {type, downlink}
    location: {country, region, latitude, longitude}, or country and region      session: {seconds, pages}
    scenario, page                weather: {condition, temperature}, or a condition      event: an occasion
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

from shopkeeper.features.agents import BROWSERS, DEVICES, NOBODY, SYSTEMS, Agent, agent
from shopkeeper.features.base import Accumulator, Ask, Reading

NETWORKS = ("wifi", "cellular", "wired")
WEATHERS = ("sunny", "cloudy", "rain", "snow", "storm")
CODES = 251
_CELLULAR = ("cellular", "mobile", "2g", "3g", "4g", "5g", "slow-2g")
Context = Mapping[str, Any]


@dataclass(frozen=True)
class Said:
    """One number out of the context; None: not said."""

    name: str
    of_context: Callable[[Context], float | None]
    unit: str
    help: str
    group: str = "contextual"
    default: float = 0.0
    of: str = "context"
    version: int = 1
    standard: bool = False
    reads_request: bool = True
    needs: ClassVar[tuple[type[Accumulator], ...]] = ()

    def read(self, ask: Ask) -> Reading:
        said = self.of_context(ask.context)
        return self.default if said is None else said

    def said(self, ask: Ask) -> bool:
        """Whether the request says it."""
        return self.of_context(ask.context) is not None


def code(word: str) -> float:
    """A word as a number from 1 to CODES: the same in every process and at every start; two words may share one."""
    return 1.0 + zlib.crc32(word.strip().lower().encode()) % CODES


def _agent(context: Context) -> Agent:
    header = context.get("user_agent")
    found = agent(header) if isinstance(header, str) else NOBODY
    given = [_word(context, name) for name in ("device", "os", "browser")]
    return Agent(*(word or known for word, known in zip(given, found, strict=True)))


def _is(read: Callable[[Context], str | None], word: str) -> Callable[[Context], float | None]:
    """1 for this word, 0 for another one."""

    def of(context: Context) -> float | None:
        said = read(context)
        return None if not said else float(said == word)

    return of


def _coded(read: Callable[[Context], str | None]) -> Callable[[Context], float | None]:
    def of(context: Context) -> float | None:
        said = read(context)
        return code(said) if said else None

    return of


def _word(context: Context, *names: str) -> str | None:
    """The first of these that is a text, in small letters; of a name `a.b` the `b` within `a`."""
    for name in names:
        found = _at(context, name)
        if isinstance(found, str) and found.strip():
            return found.strip().lower()[:128]
    return None


def _number(*names: str, low: float = -math.inf, high: float = math.inf) -> Callable[[Context], float | None]:
    def of(context: Context) -> float | None:
        for name in names:
            found = _at(context, name)
            if isinstance(found, int | float) and not isinstance(found, bool) and low <= found <= high:
                return float(found)
        return None

    return of


def _at(context: Context, name: str) -> Any:
    outer, dot, inner = name.partition(".")
    found = context.get(outer)
    if not dot:
        return found
    return found.get(inner) if isinstance(found, dict) else None


def _network(context: Context) -> str | None:
    said = _word(context, "network", "network.type", "connection")
    return "cellular" if said in _CELLULAR else "wired" if said == "ethernet" else said


def _weather(context: Context) -> str | None:
    said = _word(context, "weather", "weather.condition")
    return {"clear": "sunny", "clouds": "cloudy", "rainy": "rain", "snowy": "snow", "thunderstorm": "storm"}.get(
        said or "", said
    )


def _of(*names: str) -> Callable[[Context], str | None]:
    return lambda context: _word(context, *names)


def _all() -> Iterable[Said]:
    sets: tuple[tuple[str, tuple[str, ...], Callable[[Context], str | None], str], ...] = (
        ("device", DEVICES, lambda context: _agent(context).device, "the device is of kind"),
        ("os", SYSTEMS, lambda context: _agent(context).system, "the system is"),
        ("browser", BROWSERS, lambda context: _agent(context).browser, "the browser is"),
        ("network", NETWORKS, _network, "the connection is"),
        ("weather", WEATHERS, _weather, "the weather is"),
    )
    for name, words, read, told in sets:
        for word in words:
            yield Said(f"request_{name}_{word}", _is(read, word), "0 or 1", f"{told} {word}")
    yield Said("request_downlink", _number("network.downlink", "downlink", low=0, high=1e5), "Mbit/s", "of the network")
    country, region = _of("location.country", "country"), _of("location.region", "region", "location.city", "city")
    yield Said("request_country", _coded(country), "code", "country as a stable number, 1 to 251")
    yield Said("request_region", _coded(region), "code", "region or city as a stable number, 1 to 251")
    latitude = _number("location.latitude", "location.lat", low=-90, high=90)
    yield Said("request_latitude", latitude, "degrees", "latitude, north positive")
    longitude = _number("location.longitude", "location.lon", low=-180, high=180)
    yield Said("request_longitude", longitude, "degrees", "longitude, east positive")
    seconds = _number("session.seconds", "session_seconds", low=0, high=1e7)
    yield Said("request_session_seconds", seconds, "seconds", "length of the visit so far")
    pages = _number("session.pages", "session_pages", low=0, high=1e6)
    yield Said("request_session_pages", pages, "pages", "pages of the visit so far")
    yield Said("request_scenario", _coded(_of("scenario")), "code", "scenario as a stable number, 1 to 251")
    yield Said("request_page", _coded(_of("page", "page_type")), "code", "kind of page as a stable number, 1 to 251")
    temperature = _number("weather.temperature", "temperature", low=-100, high=70)
    yield Said("request_temperature", temperature, "degrees Celsius", "temperature outside")
    occasion = _of("event", "event.name", "holiday")
    yield Said("request_event", _coded(occasion), "code", "occasion (a holiday, a sale) as a stable number, 1 to 251")


FEATURES = SimpleNamespace(**{each.name: each for each in _all()})
"""By name, as entry points reach them."""
