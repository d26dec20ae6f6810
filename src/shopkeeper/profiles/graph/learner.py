"""Encoders and layers together in torch: a training's learned state, and the model that it makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shopkeeper.profiles.graph import parameters
from shopkeeper.profiles.graph.artifact import HgtModel
from shopkeeper.profiles.graph.blocks import Blocks
from shopkeeper.profiles.graph.encoders import TypeEncoder
from shopkeeper.profiles.graph.hgt import HgtLayers, States
from shopkeeper.profiles.graph.parameters import Shape
from shopkeeper.profiles.graph.schema import GraphSchema
from shopkeeper.profiles.graph.starting import nearly_linear
from shopkeeper.profiles.graph.tables import NodeTable
from shopkeeper.profiles.graph.weights import Floats

_NOTHING: Mapping[str, Floats] = {}


class TypeInputs(torch.nn.Module):
    """A `TypeEncoder` that learns. What its fields read of all nodes of the type is kept; nodes are asked for by
    position. `forget`: in training, the share of learned id vectors that is left out, so that things without one are
    met before they come."""

    def __init__(self, encoder: TypeEncoder, ids: tuple[str, ...], table: NodeTable, forget: float) -> None:
        super().__init__()
        self.encoder, self.forget = encoder, forget
        self.start = torch.nn.Parameter(torch.from_numpy(encoder.start.copy()))
        self.id_vectors = torch.nn.Parameter(torch.from_numpy(encoder.id_vectors.copy()))
        self.learned = torch.nn.ParameterList(
            torch.nn.Parameter(torch.from_numpy(array.copy()))
            for each in encoder.fields
            for array in encoder.learned[each.name].values()
        )
        # Buffers: they go to the device with the module.
        self._given: list[list[tuple[str, str]]] = []
        for at, each in enumerate(encoder.fields):
            read = each.read(table)
            self._given.append([(what, f"given{at}_{what}") for what in read])
            for what, array in read.items():
                self.register_buffer(f"given{at}_{what}", torch.from_numpy(array), persistent=False)
        place = encoder.places(ids) if len(encoder.ids) else np.full(table.n, -1, dtype=np.int64)
        self.register_buffer("place", torch.from_numpy(place), persistent=False)

    def forward(self, nodes: Tensor) -> Tensor:
        """h of layer 0 of nodes int64 (n,), (n, width)."""
        h = self.start.expand(len(nodes), -1)
        for each, learned, given in zip(self.encoder.fields, self._split(), self._given, strict=True):
            h = h + each.forward(learned, {what: getattr(self, name)[nodes] for what, name in given}, torch)
        if len(self.id_vectors):
            place: Tensor = self.get_buffer("place")[nodes]
            known = (place >= 0).to(h.dtype)
            if self.training and self.forget:
                known = known * (torch.rand(len(nodes), device=h.device) >= self.forget)
            h = h + self.id_vectors[place.clamp(min=0)] * known[:, None]
        return h

    def _split(self) -> list[dict[str, Tensor]]:
        numbers = iter(self.learned)
        return [{what: next(numbers) for what in self.encoder.learned[each.name]} for each in self.encoder.fields]

    def plain(self) -> TypeEncoder:
        """As it serves."""
        learned = {
            each.name: {what: _array(array) for what, array in mine.items()}
            for each, mine in zip(self.encoder.fields, self._split(), strict=True)
        }
        return replace(self.encoder, learned=learned, start=_array(self.start), id_vectors=_array(self.id_vectors))


class Learner(torch.nn.Module):
    """Of one schema. `begun`: numbers that were learned before, by name; the others are drawn."""

    def __init__(
        self,
        schema: GraphSchema,
        encoders: Mapping[str, TypeEncoder],
        ids: Mapping[str, tuple[str, ...]],
        tables: Mapping[str, NodeTable],
        shape: Shape,
        random: np.random.Generator,
        *,
        drop: float,
        forget: float,
        begun: Mapping[str, Floats] = _NOTHING,
    ) -> None:
        super().__init__()
        self.shape = shape
        drawn = nearly_linear(parameters.initial(schema, shape, random), random)
        numbers = {name: begun.get(name, array) for name, array in drawn.items()}
        self.layers = HgtLayers(schema, shape, random, drop, numbers)
        self._types = list(encoders)
        self.encoders = torch.nn.ModuleList(
            TypeInputs(encoder, ids.get(name, ()), tables[name], forget) for name, encoder in encoders.items()
        )

    def inputs(self, nodes: Mapping[str, Tensor]) -> States:
        """Layer 0 of nodes given by position, by type."""
        return {name: encode(nodes[name]) for name, encode in zip(self._types, self.encoders, strict=True)}

    def forward(self, blocks: Blocks, nodes: Mapping[str, Tensor], edges: Any = None) -> States:
        """The last layer of what `blocks` was made for; `nodes` are those of the blocks as tensors."""
        last: States = self.layers(blocks, self.inputs(nodes), edges)
        return last

    def model(self, **more: Any) -> HgtModel:
        """What was learned so far, folded for serving."""
        encoders = {
            name: each.plain()
            for name, each in zip(self._types, self.encoders, strict=True)
            if isinstance(each, TypeInputs)
        }
        return HgtModel.folded(self.layers.schema, encoders, self.layers.arrays(), self.shape, **more)


def _array(tensor: Tensor) -> Any:
    return tensor.detach().cpu().numpy().copy()
