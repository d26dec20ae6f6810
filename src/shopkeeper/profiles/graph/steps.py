"""The steps of an epoch: a graph before a moment, and links after it, the same for whole graphs, parts and samples.

A ground is a graph with windows of targets; the whole graph is one, each part of a partition is another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from shopkeeper.profiles.graph.attending import TensorEdges
from shopkeeper.profiles.graph.blocks import Blocks, whole
from shopkeeper.profiles.graph.hetero import HeteroGraph
from shopkeeper.profiles.graph.hgt import edges_of
from shopkeeper.profiles.graph.sampler import Sampler
from shopkeeper.profiles.graph.schema import USER, Relation
from shopkeeper.profiles.graph.targets import Window, candidates, cutoffs, window

MOST_LINKS = 16_384
"""Links of a step."""
_KEPT = 4_000_000
"""So many edges are kept as tensors from epoch to epoch; more are made again each time."""


@dataclass(frozen=True)
class Choice:
    """Of one kind of item: `rows` (m,) places among `users`, `right` (m,) places among `items` of what was taken.
    `users` and `items` are places in the step's blocks; `log_expected` (c,) is taken off the items' logits."""

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    rows: NDArray[np.int64]
    right: NDArray[np.int64]
    log_expected: NDArray[np.float32]


@dataclass(frozen=True)
class Step:
    """`nodes` are the blocks' nodes as positions in the whole graph."""

    blocks: Blocks
    nodes: Mapping[str, NDArray[np.int64]]
    choices: Mapping[str, Choice]
    edges: Mapping[Relation, TensorEdges]


@dataclass
class Ground:
    """`nodes` int64 (n,) by type: positions in the whole graph. `users`: how many users a step has at most."""

    graph: HeteroGraph
    nodes: Mapping[str, NDArray[np.int64]]
    windows: Sequence[Window]
    layers: int
    recent: int
    users: int
    negatives: float
    device: str = "cpu"
    fanout: int | None = None
    """None: whole graphs; a number: samples with so many neighbours along each relation."""
    _kept: dict[int, tuple[Blocks, dict[Relation, TensorEdges]]] = field(default_factory=dict)

    def count(self) -> int:
        return sum(len(self._batches(at, None)) for at in range(len(self.windows)))

    def steps(self, random: np.random.Generator) -> Iterator[Step]:
        """Of one epoch, in an order of its own."""
        todo = [(at, batch) for at in range(len(self.windows)) for batch in self._batches(at, random)]
        for place in random.permutation(len(todo)).tolist():
            at, batch = todo[place]
            drawn = {kind: each for kind in batch if (each := self._draw(at, kind, batch[kind], random)) is not None}
            if drawn:
                yield self._sampled(at, drawn, random) if self.fanout else self._whole(at, drawn)

    def _batches(self, at: int, random: np.random.Generator | None) -> list[dict[str, NDArray[np.int64]]]:
        """Which users, by kind of item. A whole graph is read for one batch, drawn anew in each epoch; samples are read
        for everybody."""
        found: list[dict[str, NDArray[np.int64]]] = []
        for kind, links in self.windows[at].by_kind.items():
            users = np.unique(links.user[links.new]).astype(np.int64)
            users = users if random is None else random.permutation(users)
            parts = [users[start : start + self.users] for start in range(0, len(users), self.users)]
            if self.fanout:
                found += [{kind: part} for part in parts]
            elif parts:
                found = [{**(found[0] if found else {}), kind: parts[0]}]
        return found

    def _draw(
        self, at: int, kind: str, users: NDArray[np.int64], random: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int32], Choice] | None:
        """Users and items by position, and the choice among them with places 0, 1 ..."""
        links = self.windows[at].by_kind[kind]
        mine = np.flatnonzero(links.new & np.isin(links.user, users))
        if len(mine) > MOST_LINKS:
            mine = random.choice(mine, MOST_LINKS, replace=False)
        if not len(mine):
            return None
        n = self.graph.nodes[kind]
        popularity = np.bincount(links.item[links.new], minlength=n).astype(np.float64)
        taken = links.item[mine]
        items, expected = candidates(taken, popularity, round(self.negatives * len(mine)), random)
        asked, rows = np.unique(links.user[mine].astype(np.int64), return_inverse=True)
        right = np.searchsorted(items, taken)
        return asked, items, Choice(asked, items.astype(np.int64), rows, right, expected)

    def _whole(self, at: int, drawn: Mapping[str, Any]) -> Step:
        choices = {kind: choice for kind, (_, _, choice) in drawn.items()}
        if at in self._kept:
            blocks, edges = self._kept[at]
        else:
            moment = self.windows[at].moment
            blocks = whole(self.graph.before(moment).newest(self.recent), moment, self.layers)
            edges = _edges(blocks, self.device)
            if sum(map(len, edges.values())) * len(self.windows) <= _KEPT:
                self._kept[at] = blocks, edges
        return Step(blocks, self.nodes, choices, edges)

    def _sampled(self, at: int, drawn: Mapping[str, Any], random: np.random.Generator) -> Step:
        ((kind, (asked, items, choice)),) = drawn.items()
        sampler = Sampler(self.graph, (self.fanout or 1,) * self.layers)
        seeds = {USER: asked.astype(np.int32), kind: items}
        blocks = sampler.sample(seeds, self.windows[at].moment, random)
        users, places = blocks.seeds[USER].astype(np.int64), blocks.seeds[kind].astype(np.int64)
        moved = Choice(users, places, choice.rows, choice.right, choice.log_expected)
        nodes = {name: self.nodes[name][found] for name, found in blocks.nodes.items()}
        return Step(blocks, nodes, {kind: moved}, _edges(blocks, self.device))


def _edges(blocks: Blocks, device: str) -> dict[Relation, TensorEdges]:
    return {relation: edges_of(block, device) for relation, block in blocks.edges.items() if len(block)}


def ground_of(
    graph: HeteroGraph, train_end: int, windows: int, nodes: Mapping[str, NDArray[np.int64]] | None = None, **how: Any
) -> Ground:
    """With windows of targets before `train_end`. `nodes`: where the graph is a part of another."""
    own = nodes or {name: np.arange(n, dtype=np.int64) for name, n in graph.nodes.items()}
    return Ground(graph, own, [window(graph, a, b) for a, b in cutoffs(graph, train_end, windows)], **how)


def loss_of(learner: Any, step: Step, temperature: float) -> torch.Tensor:
    """Mean over the links of minus the logarithm of the chance of what was taken, among the step's items."""
    device = next(learner.parameters()).device
    nodes = {name: torch.as_tensor(found, device=device) for name, found in step.nodes.items()}
    last = learner(step.blocks, nodes, step.edges)
    total, links = torch.zeros((), device=device), 0
    for kind, choice in step.choices.items():
        at = {
            name: torch.as_tensor(getattr(choice, name), device=device) for name in ("users", "items", "rows", "right")
        }
        users, _ = learner.layers.vectors(USER, last[USER][at["users"]], offset=False)
        items, offset = learner.layers.vectors(kind, last[kind][at["items"]], offset=True)
        logits = (users @ items.T + offset) / temperature - torch.as_tensor(choice.log_expected, device=device)
        chances = torch.log_softmax(logits, dim=1)
        total = total - chances[at["rows"], at["right"]].sum()
        links += len(choice.rows)
    return total / max(links, 1)
