"""Policies that learned logged rounds: measured on later ones, of which they know nothing, by what they would have
brought."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import rfc3339
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Metrics, Report, TrainingContext, TrainingData
from shopkeeper.core.records import Gate
from shopkeeper.quality import gate
from shopkeeper.quality.offpolicy import Estimate
from shopkeeper.recommend.explore.evaluating import Judgement, Judging, judge
from shopkeeper.recommend.explore.files import table_rounds
from shopkeeper.recommend.explore.keeping import LEARNER, SeenRows, learned_rows, scenario_of
from shopkeeper.recommend.explore.logged import shop_rounds
from shopkeeper.recommend.explore.params import PolicyParams
from shopkeeper.recommend.explore.policy import FORGOTTEN, UNSEEN, Policy
from shopkeeper.recommend.explore.rows import LEAST_ROUNDS, PolicyRows

LEARNED_FROM = "learned_from_these"
_GOLDEN = 4
_GOLDEN_ARMS = 20


class PolicyFamily:
    """Source kinds: `shop` (what its scenarios explored, the default; the scope `scenario:NAME` is one of them),
    `learner` (what a scenario's learner knows) and every kind of table with logged draws (`sources/tables`)."""

    name: ClassVar[str] = "policy"

    def data(self, context: TrainingContext, params: Any, report: Report) -> TrainingData:
        """The newest rounds are held out, slates whole. Raises Invalid (`no_rounds`), and as the readers."""
        wanted = params if isinstance(params, PolicyParams) else PolicyParams()
        if context.source.get("kind") == LEARNER:
            learned, seen, facts = learned_rows(context, report)
            return TrainingData(learned, seen, golden_of(seen), facts)
        rows, facts = rounds_from(context, wanted, report)
        held = newest(rows, wanted.holdout)
        train, kept = rows.take(~held), rows.take(held)
        facts = {**facts, "rows": len(train), "holdout_rows": len(kept), "arms": len(rows.arm_ids)}
        facts |= {"from": rfc3339(int(train.time[0])), "to": rfc3339(int(train.time[-1]))}
        return TrainingData(train, kept, golden_of(kept), facts)

    def evaluate(self, model: Policy, holdout: PolicyRows) -> Metrics:
        """`ips`, `snips`, `dr` with `_low` and `_high` of 95 %, and `replay` where draws were even; `effective` rounds
        and more on how far they carry; `logged` what was there, `naive_random` evenly drawn arms, `naive_greedy` the
        best candidates."""
        even = float(np.ptp(holdout.propensity)) == 0.0
        how = Judging(estimators=("ips", "snips", "dr", "replay")) if even else Judging()
        known = {LEARNED_FROM: 1.0} if isinstance(holdout, SeenRows) else {}
        return measures_of(judge(model, holdout, how)) | known

    def judge(self, candidate: Metrics, champion: Metrics | None) -> Gate:
        """By the interval of `dr`: see `gate.Surely`. What was measured on rounds that it has learned is held."""
        found = gate.judge_policy(candidate, champion)
        if LEARNED_FROM in candidate:
            found = gate.held(found, "measured on rounds that it has learned: let the scenario hold out slates")
        return found

    def probe(self, model: Policy, golden: Any) -> list[float]:
        """Chances and estimates of golden pools."""
        place = {arm: at for at, arm in enumerate(model.arm_ids) if arm != FORGOTTEN}
        outputs: list[float] = []
        for one in golden["rounds"]:
            arms = np.array([place.get(arm, UNSEEN) for arm in one["arms"]], dtype=np.int32)
            context = None if one["context"] is None else np.array(one["context"])
            outputs += [*model.chances(arms, context).tolist(), *model.estimates(arms, context).tolist()]
        return outputs


def rounds_from(context: TrainingContext, params: PolicyParams, report: Report) -> tuple[PolicyRows, dict[str, Any]]:
    """All rounds of a source, and facts. Raises Invalid where they are too few."""
    if context.source.get("kind", "shop") == "shop":
        scenario = scenario_of(context.scope)
        rows, facts = shop_rounds(context.sql_url, report, scenario=scenario, until=context.now)
    else:
        rows, facts = table_rounds(context.source, context.zone, params, report)
    if len(rows) < LEAST_ROUNDS:
        raise Invalid(f"{len(rows)} logged rounds, at least {LEAST_ROUNDS} are needed", code="no_rounds")
    return rows.check(), facts


def newest(rows: PolicyRows, share: float) -> NDArray[np.bool_]:
    """(n,) true for whole clusters, the newest, of about `share` of the rounds; at least one stays, one is held out."""
    _, first, at = np.unique(rows.cluster, return_index=True, return_inverse=True)
    if len(first) < 2:
        raise Invalid("all rounds belong together: nothing can be held out", code="no_rounds")
    order = np.argsort(first, kind="stable")
    sizes = np.bincount(at)[order]
    after = np.cumsum(sizes)
    cut = int(np.searchsorted(after, (1 - share) * len(rows), side="left")) + 1
    late = np.zeros(len(first), dtype=np.bool_)
    late[order[min(max(cut, 1), len(first) - 1) :]] = True
    held: NDArray[np.bool_] = late[at]
    return held


def measures_of(found: Judgement) -> Metrics:
    metrics: Metrics = {}
    for one in found.estimates:
        metrics |= _interval(one.estimator, one)
    told = msgspec.structs.asdict(found.support)
    metrics |= {name: float(value) for name, value in told.items() if name not in ("rounds", "clusters", "clipped")}
    metrics |= {"logged": found.logged.value}
    if found.random is not None:
        metrics |= _interval("naive_random", found.random)
    if found.greedy is not None:
        metrics |= _interval("naive_greedy", found.greedy)
    return metrics


def _interval(name: str, one: Estimate) -> Metrics:
    return {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high}


def golden_of(rows: PolicyRows) -> dict[str, Any]:
    """A few rounds: the arms that could be drawn, at most 20, and the context."""
    places = np.unique(np.linspace(0, len(rows) - 1, _GOLDEN).astype(np.int64)).tolist()
    return {
        "rounds": [
            {
                "arms": [rows.arm_ids[arm] for arm in rows.offered(at)[:_GOLDEN_ARMS].tolist()],
                "context": None if rows.context is None else rows.context[at].tolist(),
            }
            for at in places
        ]
    }
