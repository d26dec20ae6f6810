"""What a browser says it is: device, system and browser out of a User-Agent header.

Rough on purpose: a handful of classes that a ranker can learn from, no list of models that has to be kept up to date.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

DEVICES = ("mobile", "tablet", "desktop", "tv", "bot")
SYSTEMS = ("android", "ios", "windows", "macos", "linux")
BROWSERS = ("chrome", "safari", "firefox", "edge", "samsung", "opera")
_LONGEST = 512


class Agent(NamedTuple):
    """Each one of its tuple, or "": not known."""

    device: str
    system: str
    browser: str


NOBODY = Agent("", "", "")
_BOTS = ("bot", "crawl", "spider", "slurp", "headless", "curl/", "wget/", "python-requests", "httpx/", "monitoring")
_TVS = ("smart-tv", "smarttv", "googletv", "appletv", "bravia", "netcast", "hbbtv", "roku", "aft")
# In this order: Edge, Opera and Samsung say that they are Chrome, and Chrome says that it is Safari.
_BROWSERS = (
    ("edg", "edge"), ("opr/", "opera"), ("opera", "opera"), ("samsungbrowser", "samsung"), ("firefox", "firefox"),
    ("fxios", "firefox"), ("crios", "chrome"), ("chrome", "chrome"), ("safari", "safari"),
)  # fmt: skip


@lru_cache(maxsize=4096)
def agent(header: str) -> Agent:
    """Of a header; of an empty one nothing is known."""
    said = header[:_LONGEST].lower()
    if not said:
        return NOBODY
    system = _system(said)
    browser = next((name for sign, name in _BROWSERS if sign in said), "")
    return Agent(_device(said, system), system, browser)


def _system(said: str) -> str:
    if "android" in said:
        return "android"
    if "iphone" in said or "ipad" in said or "ipod" in said:
        return "ios"
    if "windows" in said:
        return "windows"
    if "mac os" in said or "macintosh" in said:
        return "macos"
    return "linux" if "linux" in said or "x11" in said or "cros" in said else ""


def _device(said: str, system: str) -> str:
    if any(sign in said for sign in _BOTS):
        return "bot"
    if any(sign in said for sign in _TVS):
        return "tv"
    if "ipad" in said or "tablet" in said or (system == "android" and "mobile" not in said):
        return "tablet"
    if system in ("android", "ios") or "mobile" in said:
        return "mobile"
    return "desktop" if system else ""
