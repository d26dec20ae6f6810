"""The fused score, as it serves: numpy only, safe to share between threads.

score = gate * f_rule + (1 - gate) * f_nn             in logits
f_rule = alpha * (sum of the matched rules' weights) + beta
f_nn   = embedding . w_embedding + activity . w_activity + bias
gate   = 1 - (1 - sigmoid(net(rules, embedding, activity))) * seen / (seen + kappa)

Rules enter by their sum and by a summary of fixed size, so a rule may come, change or go while a version serves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.lifecycle.spaces import ItemSpace

SUMMARY = (
    "rules_sum",
    "rules_positive",
    "rules_negative",
    "rules_matched",
    "rules_matched_share",
    "rules_weight_share",
    "rules_strongest_positive",
    "rules_strongest_negative",
)
_ARRAYS = "arrays.npz"
_FACTS = "facts.json"


@dataclass(frozen=True)
class FusionInputs:
    """n users. `score` float64 (n,) sum of the matched weights; `rules` float64 (n, len(SUMMARY)); `embedding` float32
    (n, d); `activity` float32 (n, a), standardised; `seen` float32 (n,) how much the learned side rests on: orders,
    and a quarter for each other sign of interest. Without such an event `seen` is 0."""

    score: NDArray[np.float64]
    rules: NDArray[np.float64]
    embedding: NDArray[np.float32]
    activity: NDArray[np.float32]
    seen: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.score)

    def take(self, where: Any) -> FusionInputs:
        """The users at `where` (positions, mask or slice), in that order."""
        return FusionInputs(**{field.name: getattr(self, field.name)[where] for field in fields(self)})

    @classmethod
    def join(cls, parts: list[FusionInputs]) -> FusionInputs:
        return cls(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)})

    def mean(self) -> FusionInputs:
        """One user who is the mean of these."""
        return FusionInputs(**{f.name: getattr(self, f.name).mean(axis=0, keepdims=True) for f in fields(self)})


@dataclass(frozen=True)
class Fused:
    """All float64 (n,). `score`, `f_rule`, `f_nn` in logits; `spend` in currency, expected within the next 30 days."""

    score: NDArray[np.float64]
    gate: NDArray[np.float64]
    f_rule: NDArray[np.float64]
    f_nn: NDArray[np.float64]
    probability: NDArray[np.float64]
    spend: NDArray[np.float64]


@dataclass(frozen=True)
class Net:
    """The gate's net: `hidden` (in, 64) and `hidden_bias` (64,), rectified, then `out` (64,) and `out_bias`."""

    hidden: NDArray[np.float64]
    hidden_bias: NDArray[np.float64]
    out: NDArray[np.float64]
    out_bias: float

    def __call__(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, in) -> logits (n,)."""
        return np.maximum(inputs @ self.hidden + self.hidden_bias, 0.0) @ self.out + self.out_bias


@dataclass(frozen=True)
class SpendHead:
    """Log of the spend of those who order: affine in embedding, activity and rule score, kept within what was seen.

    `scale` turns exp(log spend) into a mean: exp(s^2/2) of the residuals, corrected on the later block.
    """

    w_embedding: NDArray[np.float64]
    w_activity: NDArray[np.float64]
    w_score: float
    bias: float
    lowest: float
    highest: float
    scale: float

    def log_spend(self, inputs: FusionInputs) -> NDArray[np.float64]:
        said = inputs.embedding.astype(np.float64) @ self.w_embedding
        said += inputs.activity.astype(np.float64) @ self.w_activity
        # A weight that a shop gives a rule today may lie far outside of what training saw.
        said += self.w_score * np.tanh(inputs.score / 4.0) + self.bias
        return np.clip(said, self.lowest, self.highest)


@dataclass(frozen=True)
class FusionModel:
    """`activity_mean`, `activity_scale` (a,) standardise ACTIVITY of inputs.py, see `standardised`.

    `rule_rates`: the share of the training rows that each rule of then matched, by its name.
    """

    items: ItemSpace
    activity_names: tuple[str, ...]
    activity_mean: NDArray[np.float64]
    activity_scale: NDArray[np.float64]
    alpha: float
    beta: float
    w_embedding: NDArray[np.float64]
    w_activity: NDArray[np.float64]
    bias: float
    kappa: float
    net: Net
    head: SpendHead
    baseline: FusionInputs
    horizon_days: int = 30
    half_life_days: float = 180.0
    samples: int = 0
    epochs: int = 0
    final_loss: float = 0.0
    rule_rates: Mapping[str, float] = field(default_factory=dict)

    @property
    def feature_names(self) -> tuple[str, ...]:
        return (*SUMMARY, *self.activity_names)

    @property
    def item_ids(self) -> tuple[str, ...]:
        return self.items.item_ids

    @property
    def item_vectors(self) -> NDArray[np.float32]:
        """float32 (items, d), the same order as `item_ids`."""
        return self.items.vectors

    @property
    def reference(self) -> int | None:
        """The moment (us) of the item vectors."""
        return self.items.until

    @property
    def dims(self) -> int:
        return int(self.items.vectors.shape[1])

    def gate(self, inputs: FusionInputs) -> NDArray[np.float64]:
        """(n,) the rules' share, 0 to 1; exactly 1 for who has not been seen."""
        said = self.net(np.hstack([inputs.rules, inputs.embedding, inputs.activity]).astype(np.float64))
        seen = inputs.seen.astype(np.float64)
        gate: NDArray[np.float64] = 1.0 - sigmoid(-said) * seen / (seen + self.kappa)
        return gate

    def f_rule(self, score: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) -> (n,), logits."""
        return self.alpha * score + self.beta

    def f_nn(self, inputs: FusionInputs) -> NDArray[np.float64]:
        """(n,), logits: affine in embedding and activity."""
        said = inputs.embedding.astype(np.float64) @ self.w_embedding
        said += inputs.activity.astype(np.float64) @ self.w_activity
        said += self.bias
        return said

    def fuse(self, inputs: FusionInputs) -> Fused:
        """Raises Invalid when the inputs were made for another model."""
        wanted = (len(SUMMARY), self.dims, len(self.activity_names))
        got = (inputs.rules.shape[1], inputs.embedding.shape[1], inputs.activity.shape[1])
        if got != wanted:
            raise Invalid(f"inputs of widths {got} for a model of {wanted}: gather them for this version")
        gate, f_rule, f_nn = self.gate(inputs), self.f_rule(inputs.score), self.f_nn(inputs)
        score = gate * f_rule + (1.0 - gate) * f_nn
        probability = sigmoid(score)
        spend = probability * np.exp(self.head.log_spend(inputs)) * self.head.scale
        return Fused(score, gate, f_rule, f_nn, probability, spend)

    def calibrated(self, slope: float, shift: float) -> FusionModel:
        """The model whose score is slope * score + shift: the form stays."""
        return replace(
            self,
            alpha=slope * self.alpha,
            beta=slope * self.beta + shift,
            w_embedding=slope * self.w_embedding,
            w_activity=slope * self.w_activity,
            bias=slope * self.bias + shift,
        )

    def save(self, folder: Path) -> None:
        arrays: dict[str, NDArray[Any]] = {
            "item_vectors": self.items.vectors,
            "activity_mean": self.activity_mean,
            "activity_scale": self.activity_scale,
            "w_embedding": self.w_embedding,
            "w_activity": self.w_activity,
            "net_hidden": self.net.hidden,
            "net_hidden_bias": self.net.hidden_bias,
            "net_out": self.net.out,
            "spend_w_embedding": self.head.w_embedding,
            "spend_w_activity": self.head.w_activity,
            **{f"baseline_{name}": value for name, value in asdict(self.baseline).items()},
        }
        head = {name: getattr(self.head, name) for name in _HEAD}
        facts = {name: getattr(self, name) for name in _NUMBERS}
        named: dict[str, Any] = {"item_ids": self.items.item_ids, "activity_names": self.activity_names}
        named |= {"rule_rates": dict(self.rule_rates), "space": self.items.version, "space_until": self.items.until}
        facts |= {**named, "net_out_bias": self.net.out_bias, "spend": head}
        np.savez(folder / _ARRAYS, allow_pickle=False, **arrays)
        (folder / _FACTS).write_text(json.dumps(facts), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> FusionModel:
        """Raises Invalid when the files do not fit together."""
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
            a = {name: arrays[name] for name in arrays.files}
        try:
            loaded = cls(
                items=ItemSpace(
                    tuple(facts["item_ids"]), a["item_vectors"], facts.get("space", ""), facts.get("space_until")
                ),
                activity_names=tuple(facts["activity_names"]),
                activity_mean=a["activity_mean"],
                activity_scale=a["activity_scale"],
                w_embedding=a["w_embedding"],
                w_activity=a["w_activity"],
                net=Net(a["net_hidden"], a["net_hidden_bias"], a["net_out"], facts["net_out_bias"]),
                head=SpendHead(a["spend_w_embedding"], a["spend_w_activity"], **facts["spend"]),
                baseline=FusionInputs(**{f.name: a[f"baseline_{f.name}"] for f in fields(FusionInputs)}),
                rule_rates=facts["rule_rates"],
                **{name: facts[name] for name in _NUMBERS},
            )
        except (KeyError, TypeError) as error:
            raise Invalid(f"this fusion model is not whole: {error}; train it again", code="bad_artifact") from error
        loaded._check()
        return loaded

    def _check(self) -> None:
        d, a = self.dims, len(self.activity_names)
        shapes = (
            (self.items.vectors, (len(self.item_ids), d)),
            (self.activity_mean, (a,)),
            (self.activity_scale, (a,)),
            (self.w_embedding, (d,)),
            (self.w_activity, (a,)),
            (self.net.hidden, (len(SUMMARY) + d + a, len(self.net.out))),
            (self.net.hidden_bias, (len(self.net.out),)),
            (self.head.w_embedding, (d,)),
            (self.head.w_activity, (a,)),
        )
        if any(array.shape != shape or not np.isfinite(array).all() for array, shape in shapes):
            raise Invalid("the arrays of this fusion model do not fit together; train it again", code="bad_artifact")


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without overflow; the shape of `logits`."""
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1.0, small) / (1.0 + small)


_NUMBERS = ("alpha", "beta", "bias", "kappa", "horizon_days", "half_life_days", "samples", "epochs", "final_loss")
_HEAD = ("w_score", "bias", "lowest", "highest", "scale")
