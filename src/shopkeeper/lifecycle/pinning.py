"""What an operator's settings say about versions: which models are enabled, and which version serves from the start on.

A pin moves the alias champion when the shop starts, forced and written down like any promotion; what is promoted later
serves until the next start. A pin that cannot be followed leaves the champion as it is, and the shop says that it is
not ready: a roll-out stops there while the old servers go on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import lru_cache

from shopkeeper.core.errors import Invalid, NotFound, ShopkeeperError
from shopkeeper.core.ids import check_name
from shopkeeper.lifecycle.addresses import CHAMPION, version_number
from shopkeeper.lifecycle.registry import Registry

log = logging.getLogger(__name__)
BY = "MODEL_VERSION"


@lru_cache(maxsize=64)
def names_in(text: str | None) -> tuple[str, ...]:
    """The names of a list with commas between, sorted, each once."""
    return tuple(sorted({name.strip() for name in (text or "").split(",")} - {""}))


def pins_in(text: str | None, enabled: tuple[str, ...]) -> dict[str, str]:
    """Model to version: `v3` means the one enabled model, else it is `model=v3,other=v1`. Raises Invalid."""
    pins: dict[str, str] = {}
    for part in names_in(text):
        model, named, version = part.rpartition("=")
        if not named and len(enabled) != 1:
            raise Invalid(
                f"{BY}={part!r} names no model; write model={part}, or enable exactly one: ENABLED_MODELS", field=BY
            )
        model = check_name(model.strip() if named else enabled[0], BY)
        if version_number(version.strip()) is None:
            raise Invalid(f"{BY}: {version[:40]!r} is no version; expected a number like v3", field=BY)
        if model in pins:
            raise Invalid(f"{BY} names {model!r} twice", field=BY)
        pins[model] = version.strip()
    return pins


def pin(registry: Registry, pins: Mapping[str, str]) -> list[str]:
    """Makes the pinned versions champions. Answers what could not be done, for people."""
    problems = []
    for model, version in pins.items():
        try:
            champion = registry.model(model).aliases.get(CHAMPION)
        except NotFound:  # it was never trained: readiness says so already, and there is nothing that serves instead
            log.warning("%s pins model %s, which is not there yet", BY, model)
            continue
        try:
            if champion != version_number(version):
                registry.promote(model, version, force=True, reason="pinned at the start", by=BY)
        except ShopkeeperError as error:
            problems.append(f"{BY} {version} of {model}: {error.message}")
            log.error("model %s is not pinned: %s", model, error.message)
    return problems
