"""The job kind `evaluate_policy`: what a policy would have brought in the rounds of the shop's log, or of a table.

An algorithm learns the older rounds and is judged on the newer ones. A version is judged on rounds that are newer than
what it learned, unless `from` says otherwise. What a live learner knows it has from the very rounds it is judged on:
`learned_from_these` then says so. Runs in the job's child; `evaluations.py` is its other half.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from shopkeeper import plugins
from shopkeeper.core.clock import micros, rfc3339
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import JobContext
from shopkeeper.lifecycle.loading import load_model
from shopkeeper.lifecycle.reporting import within
from shopkeeper.recommend.explore.evaluating import Judging, judge
from shopkeeper.recommend.explore.family import newest
from shopkeeper.recommend.explore.files import table_rounds
from shopkeeper.recommend.explore.keeping import newest_learned
from shopkeeper.recommend.explore.logged import shop_rounds
from shopkeeper.recommend.explore.orders import PolicyTask
from shopkeeper.recommend.explore.params import PolicyParams
from shopkeeper.recommend.explore.policy import Policy
from shopkeeper.recommend.explore.rows import LEAST_ROUNDS, PolicyRows
from shopkeeper.recommend.explore.snapshots import restored

_EVER = 2**62


@dataclass(frozen=True)
class _Asked:
    """The policy, the rounds that it is judged on, and whether it has learned of them."""

    policy: Policy
    rows: PolicyRows
    learned: bool


def evaluate_policy(ctx: JobContext) -> dict[str, Any]:
    """The result: policy, estimates, support, logged, random, greedy, learned_from_these, from, to, data. A number that
    is not known is null."""
    task = msgspec.convert(dict(ctx.params), PolicyTask)
    rows, facts = _rounds(ctx, task)
    asked = _asked(ctx, task, rows)
    how = Judging(
        estimators=tuple(task.estimators),
        most_weight=task.most_weight,
        interval=task.interval,
        confidence=task.confidence,
    )
    found = judge(asked.policy, asked.rows, how, within(ctx.report, 50, 95))
    result: dict[str, Any] = {
        "policy": {name: value for name, value in msgspec.to_builtins(task.policy).items() if value not in (None, {})},
        **msgspec.to_builtins(found),
        "learned_from_these": asked.learned,
        "from": rfc3339(int(asked.rows.time[0])),
        "to": rfc3339(int(asked.rows.time[-1])),
        "data": facts,
    }
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(result))  # infinite is null
    return plain


def _rounds(ctx: JobContext, task: PolicyTask) -> tuple[PolicyRows, dict[str, Any]]:
    since, until = _moment(task.since, 0), _moment(task.until, min(ctx.now, _EVER))
    if task.since is None and task.knows_until is not None:
        since = task.knows_until + 1
    report = within(ctx.report, 0, 30)
    if task.source.get("kind", "shop") == "shop":
        scenario = task.scenario or task.policy.scenario
        rows, facts = shop_rounds(ctx.sql_url, report, scenario=scenario, since=since, until=until)
    else:
        rows, facts = table_rounds(task.source, ctx.zone, _params(task), report)
        if task.since is not None or task.until is not None:
            rows = rows.take((rows.time >= since) & (rows.time <= until))
    if len(rows) < LEAST_ROUNDS:
        raise Invalid(
            f"{len(rows)} rounds lie between from and to, at least {LEAST_ROUNDS} are needed", code="no_rounds"
        )
    return rows, {**facts, "rows": len(rows)}


def _asked(ctx: JobContext, task: PolicyTask, rows: PolicyRows) -> _Asked:
    named = task.policy
    ctx.report(30, 100, message="making the policy")
    if named.algorithm is not None:
        held = newest(rows, task.holdout)
        trainer: Any = plugins.algorithm(named.algorithm)
        made = trainer(plugins.read_params(trainer, named.params), 0)
        return _Asked(made.fit(rows.take(~held), within(ctx.report, 30, 50)), rows.take(held), False)
    if task.rival is not None:
        model, family = load_model(task.rival.algorithm, Path(task.rival.folder), task.rival.files)
        if family.name != "policy":
            raise Invalid(f"{named.model} is a model of family {family.name}, not a policy", field="policy.model")
        old = task.knows_until is None or int(rows.time[0]) <= task.knows_until
        return _Asked(model, rows, old and task.source.get("kind", "shop") == "shop")
    return _Asked(_live(ctx.sql_url, str(named.scenario)), rows, True)


def _params(task: PolicyTask) -> PolicyParams:
    """Which columns of a table are what: the parameters of the algorithm, or the usual names."""
    if task.policy.algorithm is None:
        return PolicyParams()
    found = plugins.read_params(plugins.algorithm(task.policy.algorithm), task.policy.params)
    return found if isinstance(found, PolicyParams) else PolicyParams()


def _live(sql_url: str, scenario: str) -> Policy:
    """What the learner of a scenario knew when it last wrote it down; of several the one that learned the newest round.
    Raises NotFound."""
    return restored(newest_learned(sql_url, scenario)).snapshot()


def _moment(at: datetime | None, otherwise: int) -> int:
    return otherwise if at is None else micros(at)
