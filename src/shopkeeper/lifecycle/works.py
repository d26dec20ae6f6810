"""What a schedule can do: a table from a kind to how its parameters are checked and its job is submitted.

`bootstrap` fills it with the same services that the HTTP doors call, so a scheduled training meets the same checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.records import Job
from shopkeeper.lifecycle.sourcing import SECRETS

Params: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class Work:
    """`check` raises Invalid or NotFound. `submit(params, requested_by, work_key)` queues the job; a kind whose service
    has a work key of its own (a training: its model) ignores the one given.
    """

    check: Callable[[Params], object]
    submit: Callable[[Params, str, str], Job]


Works: TypeAlias = Mapping[str, Work]


def check_work(works: Works, kind: str, params: Params) -> None:
    """Raises Invalid with the place: `kind`, or `params` and the field in it."""
    if kind not in works:
        known = ", ".join(sorted(works))
        raise Invalid(f"a schedule cannot do {kind[:64]!r}; it can do: {known}", code="unknown_kind", field="kind")
    if (secret := _secret_in(params)) is not None:
        place = f"params.{secret}"
        raise Invalid(
            f"{place} is a secret, and a schedule is kept; set it in the server's environment",
            field=place,
            code="secret",
        )
    try:
        works[kind].check(params)
    except (Invalid, NotFound) as error:
        place = f"params.{error.field}" if error.field else "params"
        raise Invalid(f"{place}: {error.message}", code="bad_params", field=place) from error


def _secret_in(params: Params) -> str | None:
    """The dotted place of a secret in nested parameters."""
    for name, value in params.items():
        if name in SECRETS:
            return name
        if isinstance(value, Mapping) and (inner := _secret_in(value)) is not None:
            return f"{name}.{inner}"
    return None
