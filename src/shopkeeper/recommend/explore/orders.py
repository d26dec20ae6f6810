"""What may be asked of an evaluation of a policy: the door, the command line and a job's parameters all become this."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec

from shopkeeper import plugins
from shopkeeper.core.converting import converted
from shopkeeper.core.errors import Invalid
from shopkeeper.lifecycle.measuring import Rival
from shopkeeper.lifecycle.sourcing import secrets_of
from shopkeeper.quality.offpolicy import Estimator, Interval
from shopkeeper.recommend.explore.asked import ALIASES
from shopkeeper.recommend.explore.snapshots import trainer_of

_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Named(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which policy, one of: an `algorithm` with `params`, which learns the older rounds first; a `version` of `model`;
    what the live learner of a `scenario` knows now."""

    algorithm: str | None = None
    params: dict[str, Any] = msgspec.field(default_factory=dict)
    model: str | None = None
    version: int | str = "champion"
    scope: str = "all"
    scenario: str | None = None


class PolicyOrder(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`from` and `to` (with a zone) bound the moments of the rounds, `scenario` says whose they are (None: those of all
    scenarios; of a live learner: its own). See `Judging` for the others."""

    policy: Named
    estimators: Annotated[list[Estimator], msgspec.Meta(min_length=1, max_length=6)] = msgspec.field(
        default_factory=lambda: ["ips", "snips", "dr"]
    )
    since: _Moment | None = msgspec.field(default=None, name="from")
    until: _Moment | None = msgspec.field(default=None, name="to")
    scenario: str | None = None
    source: dict[str, Any] = msgspec.field(default_factory=lambda: {"kind": "shop"})
    most_weight: Annotated[float, msgspec.Meta(gt=0)] | None = None
    interval: Interval = "normal"
    confidence: Annotated[float, msgspec.Meta(gt=0.5, lt=1)] = 0.95
    holdout: Annotated[float, msgspec.Meta(ge=0.05, le=0.9)] = 0.3


class PolicyTask(PolicyOrder, kw_only=True, forbid_unknown_fields=False):
    """What the child gets beside. `rival`: the version's files. `knows_until`: what it learned is not newer than this
    moment (us); None: it is not known."""

    rival: Rival | None = None
    knows_until: int | None = None


def read_order(given: Mapping[str, Any]) -> PolicyOrder:
    """`policy` may be the bare name of an algorithm. Raises Invalid naming the field."""
    asked = {name: value for name, value in given.items() if value is not None}
    if isinstance(asked.get("policy"), str):
        asked["policy"] = {"algorithm": asked["policy"]}
    order = converted(asked, PolicyOrder)
    _check_policy(order.policy)
    if order.since is not None and order.until is not None and order.since > order.until:
        raise Invalid("from lies after to: no round is between them", field="from")
    if secret := next((name for name in secrets_of(order.source) if order.source.get(name) is not None), None):
        raise Invalid(
            f"source.{secret} is a secret and what is asked of a job is kept; set it in the server's environment",
            field=f"source.{secret}",
            code="secret",
        )
    return order


def _check_policy(policy: Named) -> None:
    told = [name for name in ("algorithm", "model", "scenario") if getattr(policy, name) is not None]
    if len(told) != 1:
        raise Invalid(
            f"policy names {' and '.join(told) or 'nothing'}; expected one of: algorithm, model, scenario",
            field="policy",
            code="bad_policy",
        )
    if policy.algorithm is not None:
        policy.algorithm = ALIASES.get(policy.algorithm, policy.algorithm)
        plugins.read_params(trainer_of(policy.algorithm, field="policy.algorithm"), policy.params)
