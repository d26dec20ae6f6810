"""The heterogeneous graph transformer in torch: what is trained. It folds its weights as serving does and runs on the
same blocks of edges, a whole graph or a sample of it.

References: Hu, Dong, Wang and Sun, "Heterogeneous graph transformer", WWW 2020.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from shopkeeper.profiles.graph import parameters
from shopkeeper.profiles.graph.attending import TensorEdges, attend
from shopkeeper.profiles.graph.blocks import Block, Blocks
from shopkeeper.profiles.graph.parameters import Shape
from shopkeeper.profiles.graph.schema import GraphSchema, Relation
from shopkeeper.profiles.graph.weights import Floats, Layer

States: TypeAlias = Mapping[str, Tensor]
"""h of the nodes of each type, (n, width)."""


def edges_of(block: Block, device: str | torch.device = "cpu") -> TensorEdges:
    """The edges of a block as torch reads them."""
    columns = (block.target, block.source, block.bucket)
    return TensorEdges(*(torch.as_tensor(column.astype(np.int64), device=device) for column in columns))


def layer_forward(
    layer: Layer, below: States, edges: Mapping[Relation, TensorEdges], counts: Mapping[str, int], drop: float = 0.0
) -> dict[str, Tensor]:
    """h of the first `counts` nodes of each type from h of the layer below. `layer` is folded, of torch tensors;
    `drop`: the share of what was heard that is left out (training)."""
    above: dict[str, Tensor] = {}
    folded: Any = layer  # its arrays are tensors here
    for node_type, weights in folded.types.items():
        own = below[node_type][: counts[node_type]]
        query = own @ weights.query_w + weights.query_b
        total, share = torch.zeros_like(query), query.new_zeros((len(query), layer.heads))
        for relation, of in folded.relations.items():
            if relation.target != node_type or relation not in edges or not len(edges[relation]):
                continue
            source = below[relation.source]
            key, value = source @ of.key_w + of.key_b, source @ of.value_w + of.value_b
            told, said = attend(query, key, value, of, edges[relation], layer.heads)
            total, share = total + told, share + said
        # Who hears nothing has an aggregate of zero.
        share = torch.where(share > 0, share, torch.ones_like(share))
        each = total.shape[1] // layer.heads
        heard = (total.view(len(total), layer.heads, each) / share[:, :, None]).flatten(1)
        out = torch.nn.functional.gelu(heard) @ weights.out_w + weights.out_b
        out = torch.nn.functional.dropout(out, drop, training=drop > 0)
        if own.shape[1] == out.shape[1]:
            out = out + weights.keep * own
        if weights.norm is not None:
            out = torch.nn.functional.layer_norm(out, out.shape[1:], *weights.norm)
        above[node_type] = out
    return above


class HgtLayers(torch.nn.Module):
    """All layers and the heads. `numbers` are the learned arrays as `parameters.initial` names them; drawn when not
    given."""

    def __init__(
        self,
        schema: GraphSchema,
        shape: Shape,
        random: np.random.Generator,
        drop: float = 0.0,
        numbers: Mapping[str, Floats] | None = None,
    ) -> None:
        super().__init__()
        self.schema, self.shape, self.drop = schema, shape, drop
        self._names = {}
        for at, (name, array) in enumerate((numbers or parameters.initial(schema, shape, random)).items()):
            self._names[name] = f"n{at}"  # a module's names may not hold dots
            self.register_parameter(f"n{at}", torch.nn.Parameter(torch.from_numpy(array.copy())))

    @property
    def numbers(self) -> dict[str, Tensor]:
        return {name: getattr(self, at) for name, at in self._names.items()}

    def arrays(self) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
        """Copies of the learned numbers for numpy."""
        return {name: each.detach().cpu().numpy().copy() for name, each in self.numbers.items()}

    def forward(self, blocks: Blocks, inputs: States, edges: Mapping[Relation, TensorEdges] | None = None) -> States:
        """The last layer of the nodes that `blocks` was made for. `inputs`: h of layer 0 of all its nodes. `edges` are
        those of the blocks, where they were made before: a whole graph's are the same in every step."""
        numbers, h = self.numbers, inputs
        device = next(iter(inputs.values())).device
        given = edges or {relation: edges_of(block, device) for relation, block in blocks.edges.items() if len(block)}
        for at in range(self.shape.layers):
            layer = parameters.fold(numbers, self.schema, self.shape, at, torch)
            cut = {}
            for relation, of in given.items():
                m = blocks.bounds[relation][at]
                cut[relation] = of if m == len(of) else TensorEdges(of.target[:m], of.source[:m], of.bucket[:m])
            h = layer_forward(layer, h, cut, blocks.counts[at + 1], self.drop if self.training else 0.0)
        return h

    def vectors(self, node_type: str, last: Tensor, *, offset: bool) -> tuple[Tensor, Tensor | None]:
        """Vectors of length 1 (n, out), and the offsets (n,) of what is ranked."""
        head: Any = parameters.head(self.numbers, node_type, offset)
        flat = torch.nn.functional.normalize(last @ head.weight + head.bias, dim=1, eps=1e-12)
        return flat, None if head.offset_w is None else last @ head.offset_w + head.offset_b
