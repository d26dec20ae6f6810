"""Scenarios from and to the shape in which they are stored, and with other fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shopkeeper.recommend.candidates import Quota
from shopkeeper.recommend.scenarios import Boost, Scenario

_PLAIN = ("help", "anchored", "candidates", "ranker", "diversity", "ttl_s")
_MAPS = ("objectives", "explore", "agent", "deadlines")


def body_of(scenario: Scenario) -> dict[str, Any]:
    """What is stored of it."""
    return {key: value for key, value in scenario.facts().items() if key not in ("name", "version")}


def scenario_of(name: str, version: int, body: Mapping[str, Any]) -> Scenario:
    """From the shape of `facts`; what is left out is as in a new one. Raises KeyError, TypeError for other shapes."""
    given = {key: body[key] for key in _PLAIN if key in body}
    given |= {key: dict(body[key]) for key in _MAPS if key in body}
    if "filters" in body:
        given["filters"] = tuple(body["filters"])
    return Scenario(
        name=name,
        version=version,
        recall=tuple(Quota(each["channel"], each["quota"], each.get("weight", 1.0)) for each in body["recall"]),
        boosts=tuple(Boost(each["rule"], each["factor"]) for each in body.get("boosts", ())),
        **given,
    )


def varied(scenario: Scenario, config: Mapping[str, Any]) -> Scenario:
    """The scenario with other fields. Raises KeyError, TypeError, ValueError for what is not of their form."""
    return scenario_of(scenario.name, scenario.version, {**body_of(scenario), **config}) if config else scenario
