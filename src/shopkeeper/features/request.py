"""What a request says of the moment it comes from: device, network, place, visit, page, weather, occasion.

Read from the request's `context`; no event writes this, and a replay of the log does not know it, so rankers learn it
from what was served (`source: {"kind": "served"}`). What is not said, or is no such value, is 0.

    user_agent, or device, os, browser      network: wifi | cellular | wired, or {type, downlink}
    location: {country, region, latitude, longitude}, or country and region      session: {seconds, pages}
    scenario, page                weather: {condition, temperature}, or a condition      event: an occasion
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple

from shopkeeper.features.agents import BROWSERS, DEVICES, NOBODY, SYSTEMS, agent
from shopkeeper.features.base import Accumulator, Ask, Reading

NETWORKS = ("wifi", "cellular", "wired")
WEATHERS = ("sunny", "cloudy", "rain", "snow", "storm")
CODES = 251
_CELLULAR = ("cellular", "mobile", "2g", "3g", "4g", "5g", "slow-2g")
Context = Mapping[str, Any]


class Heard(NamedTuple):
    """What a context says, read once for all features: words in small letters, else ""; numbers, else None."""

    device: str
    system: str
    browser: str
    network: str
    weather: str
    country: str
    region: str
    scenario: str
    page: str
    event: str
    downlink: float | None
    latitude: float | None
    longitude: float | None
    session_seconds: float | None
    session_pages: float | None
    temperature: float | None


def heard(context: Context) -> Heard:
    if not context:
        return _SILENCE
    header = context.get("user_agent")
    known = agent(header) if isinstance(header, str) else NOBODY
    network, weather = _word(context, "network", "network.type", "connection"), _word(context, *_WEATHER)
    return Heard(
        device=_word(context, "device") or known.device,
        system=_word(context, "os") or known.system,
        browser=_word(context, "browser") or known.browser,
        network="cellular" if network in _CELLULAR else "wired" if network == "ethernet" else network,
        weather=_SKIES.get(weather, weather),
        country=_word(context, "location.country", "country"),
        region=_word(context, "location.region", "region", "location.city", "city"),
        scenario=_word(context, "scenario"),
        page=_word(context, "page", "page_type"),
        event=_word(context, "event", "event.name", "holiday"),
        downlink=_number(context, "network.downlink", "downlink", low=0, high=1e5),
        latitude=_number(context, "location.latitude", "location.lat", low=-90, high=90),
        longitude=_number(context, "location.longitude", "location.lon", low=-180, high=180),
        session_seconds=_number(context, "session.seconds", "session_seconds", low=0, high=1e7),
        session_pages=_number(context, "session.pages", "session_pages", low=0, high=1e6),
        temperature=_number(context, "weather.temperature", "temperature", low=-100, high=70),
    )


_WEATHER = ("weather", "weather.condition")
_SKIES = {"clear": "sunny", "clouds": "cloudy", "rainy": "rain", "snowy": "snow", "thunderstorm": "storm"}
_SILENCE = Heard(*[""] * 10, *[None] * 6)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Said:
    """One number out of what was heard; None: not said."""

    name: str
    of_heard: Callable[[Heard], float | None]
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
        said = self.of_heard(ask.once(_heard))
        return self.default if said is None else said


def _heard(ask: Ask) -> Heard:
    return heard(ask.context)


def code(word: str) -> float:
    """A word as a number from 1 to CODES: the same in every process and at every start; two words may share one."""
    return 1.0 + zlib.crc32(word.strip().lower().encode()) % CODES


def _word(context: Context, *names: str) -> str:
    """The first of these that is a text, in small letters; of a name `a.b` the `b` within `a`; "": none is."""
    for name in names:
        found = _at(context, name)
        if isinstance(found, str) and found.strip():
            return found.strip().lower()[:128]
    return ""


def _number(context: Context, *names: str, low: float, high: float) -> float | None:
    for name in names:
        found = _at(context, name)
        if isinstance(found, int | float) and not isinstance(found, bool) and low <= found <= high:
            return float(found)
    return None


def _at(context: Context, name: str) -> Any:
    outer, dot, inner = name.partition(".")
    found = context.get(outer)
    if not dot:
        return found
    return found.get(inner) if isinstance(found, dict) else None


def _is(field: str, word: str) -> Callable[[Heard], float | None]:
    """1 for this word, 0 for another one."""
    read = attrgetter(field)

    def of(heard: Heard) -> float | None:
        said = read(heard)
        return float(said == word) if said else None

    return of


def _coded(field: str) -> Callable[[Heard], float | None]:
    read = attrgetter(field)

    def of(heard: Heard) -> float | None:
        said = read(heard)
        return code(said) if said else None

    return of


def _all() -> Iterable[Said]:
    for name, field, words, told in (
        ("device", "device", DEVICES, "the device is of kind"),
        ("os", "system", SYSTEMS, "the system is"),
        ("browser", "browser", BROWSERS, "the browser is"),
        ("network", "network", NETWORKS, "the connection is"),
        ("weather", "weather", WEATHERS, "the weather is"),
    ):
        for word in words:
            yield Said(f"request_{name}_{word}", _is(field, word), "0 or 1", f"{told} {word}")
    for field, unit, help in (
        ("downlink", "Mbit/s", "of the network"),
        ("country", "code", "country as a stable number, 1 to 251"),
        ("region", "code", "region or city as a stable number, 1 to 251"),
        ("latitude", "degrees", "latitude, north positive"),
        ("longitude", "degrees", "longitude, east positive"),
        ("session_seconds", "seconds", "length of the visit so far"),
        ("session_pages", "pages", "pages of the visit so far"),
        ("scenario", "code", "scenario as a stable number, 1 to 251"),
        ("page", "code", "kind of page as a stable number, 1 to 251"),
        ("temperature", "degrees Celsius", "temperature outside"),
        ("event", "code", "occasion (a holiday, a sale) as a stable number, 1 to 251"),
    ):
        yield Said(f"request_{field}", _coded(field) if unit == "code" else attrgetter(field), unit, help)


FEATURES = SimpleNamespace(**{each.name: each for each in _all()})
"""By name, as entry points reach them."""
