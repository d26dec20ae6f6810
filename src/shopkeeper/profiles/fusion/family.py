"""The family `fusion`: customers as of past months, what they then did, and the rules alone as the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from shopkeeper.core.clock import rfc3339
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Metrics, Report, TrainingContext, TrainingData
from shopkeeper.core.records import Gate
from shopkeeper.lifecycle.reporting import within
from shopkeeper.profiles.fusion.algorithm import Fusion
from shopkeeper.profiles.fusion.blocks import HORIZON_DAYS, Block, blocks, cutoffs
from shopkeeper.profiles.fusion.calibration import calibration
from shopkeeper.profiles.fusion.measures import of_chance, of_spend
from shopkeeper.profiles.fusion.model import FusionModel, sigmoid
from shopkeeper.profiles.fusion.past import ShopPast, read_past, signature
from shopkeeper.profiles.fusion.rows import FusionHoldout, FusionRows, golden_inputs, golden_of
from shopkeeper.profiles.fusion.space import look_ahead, published_vectors
from shopkeeper.profiles.fusion.vectors import Takings
from shopkeeper.quality import gate


class FusionFamily:
    """Label: at least one order within the next 30 days. Learns from the shop's own log only."""

    name: ClassVar[str] = "fusion"

    def data(self, context: TrainingContext, params: Any, report: Report) -> TrainingData:
        """Raises Invalid (source, space), NotFound (space), Conflict when the shop has too little to learn from, or the
        space has learned from the days that are held out."""
        kind = context.source.get("kind", "shop")
        if kind != "shop":
            raise Invalid(f"a fusion model learns from the shop's own log, not from source kind {kind!r}", field="kind")
        wanted = params if isinstance(params, Fusion.Params) else Fusion.Params()
        space = published_vectors(context, wanted.space) if wanted.space else None
        past = read_past(context, within(report, 0, 40))
        at = cutoffs(int(past.events.time[0]), context.now)
        seen = look_ahead(space, at)
        training, validation, held = blocks(
            past,
            at,
            sample_size=wanted.sample_size,
            seed=context.seed,
            report=within(report, 40, 100),
        )
        rows = FusionRows(training, validation, past.items, takings(past, at.training[0]), space)
        facts = {
            "rows": len(rows),
            "from": rfc3339(int(past.events.time[0])),
            "to": rfc3339(at.holdout),
            "cutoffs": [rfc3339(block.cutoff) for block in training],
            "validation_rows": len(validation),
            "holdout_rows": len(held),
            "horizon_days": HORIZON_DAYS,
            "rules": len(past.rules),
            "rules_signature": signature(past.rules),
            "space": wanted.space or None,
            **seen,
            "refused": len(past.refused),
            "fingerprint": past.fingerprint(),
        }
        return TrainingData(rows, FusionHoldout(held, past.items, _naive(validation, held)), golden_of(rows), facts)

    def evaluate(self, model: FusionModel, holdout: FusionHoldout) -> Metrics:
        """`naive_`: the rules alone, calibrated on the same block. `spend_`: in currency, of everybody, also of those
        who did not order; its naive is the mean. `gate` is the mean share of the rules."""
        inputs, block = holdout.inputs(model), holdout.block
        fused = model.fuse(inputs)
        return {
            **of_chance(block.ordered, fused.probability),
            **of_spend(block.spend, fused.spend),
            "base_rate": float(block.ordered.mean()) if len(block) else 0.0,
            "gate": float(fused.gate.mean()),
            "samples": float(model.samples),
            "epochs": float(model.epochs),
            "final_loss": model.final_loss,
            **holdout.naive,
        }

    def told_and_true(self, model: FusionModel, holdout: FusionHoldout) -> tuple[Sequence[float], Sequence[float]]:
        return model.fuse(holdout.inputs(model)).probability.tolist(), holdout.block.ordered.tolist()

    def judge(self, candidate: Metrics, champion: Metrics | None) -> Gate:
        """AUC and Brier score beside the champion's, and neither worse than those of the rules alone."""
        rules: list[gate.Rule] = [
            gate.AtLeast("auc", 0.99),
            gate.AtMost("brier", 1.01),
            gate.Beats("auc", "naive_auc"),
            gate.Beats("brier", "naive_brier", higher=False),
        ]
        return gate.judge(rules, candidate, champion)

    def probe(self, model: FusionModel, golden: Any) -> list[float]:
        """Score, gate and expected spend of the golden customers."""
        fused = model.fuse(golden_inputs(model, golden))
        outputs: list[float] = np.concatenate([fused.score, fused.gate, fused.spend]).tolist()
        return outputs


def takings(past: ShopPast, cutoff: int) -> Takings:
    """Who had ordered what up to the first cutoff: no label has a part in the vectors."""
    events = past.events
    known = (events.time <= cutoff) & (events.user >= 0) & (events.item >= 0) & past.are("order")
    known &= ~np.isin(events.user, np.fromiter(past.refused, dtype=np.int64))
    return Takings(events.user[known], events.item[known])


def _naive(validation: Block, held: Block) -> Metrics:
    # In units of its spread: a shop's weights may be of any size, and the calibration looks near slope 1.
    unit = float(validation.facts.score.std()) or 1.0
    slope, shift = calibration(validation.facts.score / unit, validation.ordered)
    alone = of_chance(held.ordered, sigmoid(slope * held.facts.score / unit + shift))
    mean = np.full(len(held), float(validation.spend.mean()))
    return {f"naive_{name}": value for name, value in {**alone, **of_spend(held.spend, mean)}.items()}
