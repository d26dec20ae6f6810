"""The learned numbers of a heterogeneous graph transformer as serving reads them: plain arrays, projections folded.

For layer l, relation r from s to t, head k, edge e of age bucket b:

    logit = q_t(h_target) . (key_r(h_source) + key_time_r[b])      message = value_r(h_source) + value_time_r[b]
    agg = sum(exp(logit) * message) / sum(exp(logit))              over all edges of all relations into the target
    h' = keep * h_target + out_t(gelu(agg))                        then the norm, where there is one

The relation's attention matrix, its prior and 1 / sqrt(width of a head) are folded into `key_*`, its message matrix
into `value_*`, 1 - keep into `out_*`. That is HGT with its relative time encoding, the encoding taken at buckets of
age: a linear map of h + T(age) is a map of h plus a map of T(age).

References: Hu, Dong, Wang and Sun, "Heterogeneous graph transformer", WWW 2020.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.profiles.graph.schema import Relation

Floats = NDArray[np.float32]
LOGIT_LIMIT = 30.0
"""Logits are cut at this before exp, so that numerator and denominator can be kept as plain sums."""


@dataclass(frozen=True)
class TypeWeights:
    """Of nodes of one type in one layer: `query_w` (d_in, d), `query_b` (d,), `out_w` (d, d_out), `out_b` (d_out,).
    `keep`: the share of the input in the output, 0 where the widths differ. `norm`: scale and shift of a layer norm,
    each (d_out,), epsilon 1e-5."""

    query_w: Floats
    query_b: Floats
    out_w: Floats
    out_b: Floats
    keep: float
    norm: tuple[Floats, Floats] | None = None


@dataclass(frozen=True)
class RelationWeights:
    """`key_w`, `value_w` (d_in, d); `key_b`, `value_b` (d,); `key_time`, `value_time` (BUCKETS, d), row 0 is zero."""

    key_w: Floats
    key_b: Floats
    key_time: Floats
    value_w: Floats
    value_b: Floats
    value_time: Floats


@dataclass(frozen=True)
class Layer:
    """d is split evenly among `heads`: head k has the columns k * d / heads and following."""

    heads: int
    types: Mapping[str, TypeWeights]
    relations: Mapping[Relation, RelationWeights]


@dataclass(frozen=True)
class Head:
    """Vector of a node = normalise(h @ weight + bias) of length 1, then one number more where the space has it:
    h @ offset_w + offset_b for items, 1 for others (`offset_w` None). The inner product then ranks."""

    weight: Floats
    bias: Floats
    offset_w: Floats | None = None
    offset_b: float = 0.0
