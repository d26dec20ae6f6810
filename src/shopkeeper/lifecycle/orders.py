"""What may be asked of a training, in one record: the HTTP form, the command line and a schedule all become this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta, field

from shopkeeper.core.converting import converted
from shopkeeper.core.errors import Invalid


class TrainOrder(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`evaluate` false: the gate is not asked, and the version is promoted by force. `register` false: train and
    measure only. `upload` is the place of an object store (s3://bucket/prefix) that gets the version's archive.
    `version` is what the new version shall be called beside its number. `start_from`: a version of this model and
    scope (a number, v3, an alias) whose training goes on; None: begin anew.
    """

    model: str
    algorithm: str
    scope: str = "all"
    params: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=lambda: {"kind": "shop"})
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 42
    promote: bool = True
    evaluate: bool = True
    register: bool = True
    upload: str | None = None
    version: str | None = None
    start_from: int | str | None = None


def read_order(given: Mapping[str, Any]) -> TrainOrder:
    """Raises Invalid naming the field."""
    return converted(given, TrainOrder)


def check_steps(order: TrainOrder) -> None:
    """Raises Invalid for steps that contradict each other."""
    if not order.register and order.upload is not None:
        raise Invalid("what is not registered cannot be uploaded: leave upload out, or register", field="upload")


def cannot_continue(algorithm: str) -> str:
    return f"{algorithm} always begins anew: leave start_from out"
