"""Attention along the edges of one relation for torch: on CPUs by `attention.py`, elsewhere in torch's own terms."""

from __future__ import annotations

from functools import cache
from typing import Any

from shopkeeper.profiles.graph.attention import Arcs, attend, gradients
from shopkeeper.profiles.graph.blocks import Blocks
from shopkeeper.profiles.graph.schema import Relation
from shopkeeper.profiles.graph.weights import LOGIT_LIMIT


def arcs_of(blocks: Blocks) -> list[dict[Relation, Arcs]]:
    """Of every layer, made once for all epochs; layers that have the same edges share them."""
    made: dict[tuple[Relation, int], Arcs] = {}
    layers = []
    for number in range(blocks.layers):
        layers.append(dict[Relation, Arcs]())
        for relation, block in blocks.layer(number).items():
            key = relation, len(block)
            if key not in made:
                made[key] = Arcs.of(block)
            layers[-1][relation] = made[key]
    return layers


def attended(
    arcs: Arcs, heads: int, query: Any, key: Any, key_time: Any, value: Any, value_time: Any
) -> tuple[Any, Any]:
    """Sums over the edges into each node (n,) whose `query` (n, d) is given: (n, d) of exp(logit) times message, and
    (n, heads) of exp(logit); zero where there is no edge. All are tensors with gradients."""
    if query.device.type == "cpu":
        total, share = _function().apply(arcs, heads, query, key, key_time, value, value_time)
        return total, share
    return in_torch(arcs, heads, query, key, key_time, value, value_time)


def in_torch(
    arcs: Arcs, heads: int, query: Any, key: Any, key_time: Any, value: Any, value_time: Any
) -> tuple[Any, Any]:
    """The same in torch's own terms, several numbers for each edge and each of its d."""
    import torch

    some, local, source, bucket = (
        torch.from_numpy(each).long().to(query.device) for each in (arcs.some, arcs.target, arcs.source, arcs.bucket)
    )
    target = some[local]
    split = (len(target), heads, query.shape[1] // heads)
    logit = (query[target] * (key[source] + key_time[bucket])).reshape(split).sum(-1)
    weight = logit.clamp(-LOGIT_LIMIT, LOGIT_LIMIT).exp()
    message = ((value[source] + value_time[bucket]).reshape(split) * weight[:, :, None]).flatten(1)
    total = torch.zeros_like(query).index_add(0, target, message)
    return total, query.new_zeros((len(query), heads)).index_add(0, target, weight)


@cache
def _function() -> Any:
    import torch

    class Attend(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, arcs: Arcs, heads: int, query: Any, *others: Any) -> tuple[Any, ...]:
            some = torch.from_numpy(arcs.some)
            total, share, weight = attend(arcs, heads, *(each.detach().numpy() for each in (query[some], *others)))
            ctx.kept = arcs, weight
            ctx.save_for_backward(query, *others)
            return _spread(total, some, query), _spread(share, some, query)

        @staticmethod
        def backward(ctx: Any, total: Any, share: Any) -> tuple[Any, ...]:
            arcs, weight = ctx.kept
            query, *others = ctx.saved_tensors
            some = torch.from_numpy(arcs.some)
            given = (query[some], *others, total[some], share[some])
            mine, *found = gradients(arcs, weight, *(each.detach().numpy() for each in given))
            return None, None, _spread(mine, some, query), *(torch.from_numpy(each) for each in found)

    def _spread(rows: Any, some: Any, like: Any) -> Any:
        return like.new_zeros((len(like), rows.shape[1])).index_copy_(0, some, torch.from_numpy(rows))

    return Attend
