"""What a scenario's learner knows, as a version of a model: with files, a gate and a past, like any trained policy.

Measured on slates that the learner was kept from (`explore.held_out`); where a scenario holds nothing out, on slates
that it has learned, which then says so and is never promoted by itself.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final, Protocol

from shopkeeper.core.clock import rfc3339
from shopkeeper.core.errors import Conflict, Invalid, NotFound
from shopkeeper.core.protocols import Report, TrainingContext
from shopkeeper.core.records import Job
from shopkeeper.recommend.explore.asked import Exploring, is_held
from shopkeeper.recommend.explore.logged import shop_rounds
from shopkeeper.recommend.explore.rows import LEAST_ROUNDS, LearnedRows, PolicyRows
from shopkeeper.stores import exploring
from shopkeeper.stores.exploring import ExploredRow, Learned
from shopkeeper.stores.sql import Database, open_database

LEARNER: Final = "learner"
"""Kind of a training's source."""
MODEL: Final = "policy"


class SeenRows(PolicyRows):
    """Rounds that a policy has learned of: on them it looks better than it is."""


class _Training(Protocol):
    def train(
        self,
        model: str,
        algorithm: str,
        *,
        params: dict[str, Any],
        source: dict[str, Any],
        scope: str,
        promote: bool,
        requested_by: str,
    ) -> Job: ...


@dataclass(frozen=True)
class Keeping:
    """`releases` trains, see lifecycle/releasing.py. Safe to share between threads; not for the loop."""

    db: Database
    releases: _Training

    def snapshot(
        self, scenario: str, asked: Exploring | None, *, model: str = MODEL, promote: bool = True, by: str = ""
    ) -> Job:
        """Begins to make a version of `model` in the scope `scenario:NAME` of what the scenario's learner knows. Raises
        Conflict (`not_exploring`; `not_begun`: nothing was learned), Invalid (name of the model), Busy."""
        if asked is None:
            raise Conflict(f"the scenario {scenario!r} explores nothing: give it `explore`", code="not_exploring")
        with self.db.read() as connection:
            found = exploring.learned(connection, scenario, asked.key)
        if found is None:
            raise Conflict(
                f"the {asked.policy} policy of {scenario!r} has not learned anything yet; it does when the window of "
                "what it drew is over",
                code="not_begun",
            )
        return self.releases.train(
            model,
            found.policy,
            params=dict(found.asked["params"]),
            source={"kind": LEARNER, "scenario": scenario, "key": asked.key},
            scope=f"scenario:{scenario}",
            promote=promote,
            requested_by=by,
        )


def learned_rows(context: TrainingContext, report: Report) -> tuple[LearnedRows, PolicyRows, dict[str, Any]]:
    """(rounds with what was learned, rounds to measure on, facts). Of the source: `scenario`, else the scope's; `key`
    of a learner, else the one that learned the newest round. Raises NotFound (`nothing_learned`), Invalid
    (`no_rounds`)."""
    source = context.source
    scenario = source.get("scenario") or scenario_of(context.scope)
    if not isinstance(scenario, str):
        raise Invalid("say whose learner: source.scenario, or a scope scenario:NAME", field="source.scenario")
    found = newest_learned(context.sql_url, scenario, source.get("key"))

    def alike(row: ExploredRow) -> bool:
        return bool(row.asked.get("context") == found.asked["context"])

    rows, facts = shop_rounds(context.sql_url, report, scenario=scenario, until=context.now, wanted=alike)
    if found.asked.get("held_out"):
        apart, _ = shop_rounds(
            context.sql_url,
            report,
            scenario=scenario,
            until=context.now,
            wanted=lambda row: alike(row) and is_held(row.slate_id, found.asked),
        )
    else:
        apart = SeenRows(**_columns(rows))
    if len(apart) < LEAST_ROUNDS:
        raise Invalid(
            f"{len(apart)} rounds are there to measure on, at least {LEAST_ROUNDS} are needed: wait, or let the "
            "scenario hold out more (explore.held_out)",
            code="no_rounds",
        )
    facts |= {"rows": found.rounds, "holdout_rows": len(apart), "snapshot": found.number, "arms": len(rows.arm_ids)}
    facts |= {"from": rfc3339(int(rows.time[0])), "to": rfc3339(int(rows.time[-1]))}
    facts |= {"held_out": found.asked.get("held_out", 0.0)}
    return LearnedRows(**_columns(rows), policy=found.policy, state=found.state), apart, facts


def newest_learned(sql_url: str, scenario: str, key: str | None = None) -> Learned:
    """What a learner of a scenario knew when it last wrote it down; of several the one that learned the newest round.
    Raises NotFound."""
    db = open_database(sql_url, read_only=True)
    try:
        with db.read() as connection:
            if key is None:
                read_to = {
                    one: last for (its, one), (_, last) in exploring.numbers(connection).items() if its == scenario
                }
                key = max(read_to, key=read_to.__getitem__, default="")
            kept = exploring.learned(connection, scenario, key)
    finally:
        db.close()
    if kept is None:
        raise NotFound(f"nothing was learned for the scenario {scenario!r} yet", code="nothing_learned")
    return kept


def scenario_of(scope: str) -> str | None:
    """None: all of them. Raises Invalid (`bad_scope`)."""
    kind, _, name = scope.partition(":")
    if kind not in ("all", "scenario"):
        raise Invalid(f"scope {scope[:80]!r} must be all or scenario:NAME", code="bad_scope", field="scope")
    return name or None


def _columns(rows: PolicyRows) -> dict[str, Any]:
    return {each.name: getattr(rows, each.name) for each in dataclasses.fields(rows)}
