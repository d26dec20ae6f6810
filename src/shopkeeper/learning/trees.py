"""Boosted trees as flat columns, read from the dumps of XGBoost and LightGBM: what `onnx_forms.py` writes as a graph.

Exact in every decision for finite float32 inputs and NaN. Only the order in which leaves are added up may differ from
the library's, and with it the last bits of the sum.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid


@dataclass(frozen=True)
class Trees:
    """m nodes of all trees; a row goes to `yes` where value `test` threshold holds, NaN where `missing_yes` says so.

    `tree` (m,) and `node` (m,) number them, `yes` and `no` are nodes of the same tree, `value` is what a leaf adds.
    The answer is sigmoid(`base` + sum of one leaf of each tree).
    """

    test: Literal["<", "<="]
    base: float
    tree: NDArray[np.int64]
    node: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: NDArray[np.float32]
    yes: NDArray[np.int64]
    no: NDArray[np.int64]
    missing_yes: NDArray[np.bool_]
    leaf: NDArray[np.bool_]
    value: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.tree)


def trees_of_xgboost(booster: Any) -> Trees:
    """Of a booster with objective binary:logistic and numeric splits. Raises Invalid for another."""
    learner = json.loads(booster.save_raw("json"))["learner"]
    objective = learner["objective"]["name"]
    if objective != "binary:logistic":
        raise Invalid(f"trees of objective {objective} have no form of their own", code="no_form")
    told = json.loads(learner["learner_model_param"]["base_score"])
    chance = float(told[0] if isinstance(told, list) else told)
    if not 0.0 < chance < 1.0:  # all labels were the same: XGBoost begins at an infinity
        raise Invalid(f"trees that begin at a probability of {chance:g} have no form of their own", code="no_form")
    parts = []
    for number, tree in enumerate(learner["gradient_booster"]["model"]["trees"]):
        if any(tree["split_type"]):
            raise Invalid("trees with categorical splits have no form of their own", code="no_form")
        yes = np.array(tree["left_children"], dtype=np.int64)
        values = np.array(tree["split_conditions"], dtype=np.float32)
        leaf = yes < 0
        parts.append(
            (
                np.full(len(yes), number, dtype=np.int64),
                np.arange(len(yes), dtype=np.int64),
                np.where(leaf, 0, np.array(tree["split_indices"], dtype=np.int64)),
                np.where(leaf, np.float32(0), values),
                np.where(leaf, 0, yes),
                np.where(leaf, 0, np.array(tree["right_children"], dtype=np.int64)),
                np.array(tree["default_left"], dtype=np.bool_) & ~leaf,
                leaf,
                np.where(leaf, values, np.float32(0)),
            )
        )
    return _joined("<", log(chance / (1 - chance)), parts)


def trees_of_lightgbm(booster: Any) -> Trees:
    """Of a booster with objective binary. Raises Invalid for another, and where a split is not numeric."""
    dump = booster.dump_model()
    objective = str(dump.get("objective", ""))
    if objective.split()[:1] != ["binary"] or "sigmoid:1" not in objective.split():
        raise Invalid(f"trees of objective {objective!r} have no form of their own", code="no_form")
    parts = []
    for number, tree in enumerate(dump["tree_info"]):
        rows = list(_nodes(tree["tree_structure"]))
        columns = zip(zip(*rows, strict=True), _TYPES, strict=True)
        typed = [np.array(column, dtype=kind) for column, kind in columns]
        parts.append((np.full(len(rows), number, dtype=np.int64), *typed))
    return _joined("<=", 0.0, parts)


_TYPES: tuple[type[np.generic], ...] = (
    np.int64, np.int64, np.float32, np.int64, np.int64, np.bool_, np.bool_, np.float32,
)  # fmt: skip


def _nodes(root: dict[str, Any]) -> Iterator[tuple[int, int, float, int, int, bool, bool, float]]:
    """(node, feature, threshold, yes, no, missing_yes, leaf, value), the children after their parent."""
    waiting, given = [(0, root)], 1
    while waiting:
        number, node = waiting.pop()
        if "leaf_value" in node:
            yield number, 0, 0.0, 0, 0, False, True, float(node["leaf_value"])
            continue
        if node["decision_type"] != "<=" or node["missing_type"] == "Zero":
            raise Invalid("trees with categorical splits have no form of their own", code="no_form")
        threshold = float(node["threshold"])
        # Where no value was missing in training, LightGBM reads a missing one as 0.
        missing_yes = bool(node["default_left"]) if node["missing_type"] == "NaN" else threshold >= 0.0
        yes, no, given = given, given + 1, given + 2
        yield number, int(node["split_feature"]), _below(threshold), yes, no, missing_yes, False, 0.0
        waiting += [(no, node["right_child"]), (yes, node["left_child"])]


_ZERO = float(np.float32(1e-35))  # LightGBM reads what is not further from 0 as 0


def _below(threshold: float) -> float:
    """The largest float32 that is not above: for a float32 x, LightGBM's x <= threshold just when x <= that."""
    if 0.0 <= threshold < _ZERO:
        return _ZERO
    if -_ZERO <= threshold < 0.0:
        return float(np.nextafter(np.float32(-_ZERO), np.float32(-np.inf)))
    with np.errstate(over="ignore"):
        near = np.float32(threshold)
    return float(near if float(near) <= threshold else np.nextafter(near, np.float32(-np.inf)))


def _joined(test: Literal["<", "<="], base: float, parts: Sequence[tuple[NDArray[Any], ...]]) -> Trees:
    if not parts:
        raise Invalid("a model without trees has no form of its own", code="no_form")
    return Trees(test, base, *(np.concatenate(column) for column in zip(*parts, strict=True)))
