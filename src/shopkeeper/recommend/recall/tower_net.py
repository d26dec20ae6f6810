"""How towers learn: the same layers in torch, and one pass after another over stretches of what users took."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report
from shopkeeper.learning.one_thread import one_thread
from shopkeeper.recommend.recall.sequence_adam import Adam
from shopkeeper.recommend.recall.sequence_loss import loss_of, shares
from shopkeeper.recommend.recall.sequence_net import pace
from shopkeeper.recommend.recall.stretches import SPAN, Sequences, Stretches
from shopkeeper.recommend.recall.traits import Bag

Floats = NDArray[np.float32]
_HALF_LIVES = (1.0, 5.0, 25.0)
"""Places after which an item counts half, at the beginning, in each of the means over the history."""
_EVERY = 50
_SPREAD = 0.1


@dataclass(frozen=True)
class Plan:
    """`forget`: how often what is said of a user, or the id of an item, is left out, so that each does alone."""

    dimensions: int
    hidden: tuple[int, ...]
    length: int
    dropout: float
    forget: float
    epochs: int
    minutes: float
    batch: int
    negatives: int
    learning_rate: float
    patience: int
    temperature: float


@dataclass(frozen=True)
class Told:
    """What is said of users and of items by their place: tokens, and how many kinds of tokens there are. `bought`: so
    many of the items, the first ones, were taken by somebody. `with_ids`: an item's id means something."""

    users: Bag
    items: Bag
    user_tokens: int
    item_tokens: int
    n_items: int
    bought: int
    with_ids: bool = True


class Net(nn.Module):
    """The user's side; a subclass brings the items'."""

    def __init__(self, plan: Plan, told: Told) -> None:
        super().__init__()
        d = plan.dimensions
        self.plan, self.told = plan, told
        self.user_traits = nn.Parameter(torch.randn(max(told.user_tokens, 1), d) * _SPREAD)
        ages = torch.arange(plan.length, dtype=torch.float32)
        self.recency = nn.Parameter(torch.stack([-ages * np.log(2) / half for half in _HALF_LIVES]))
        self.user = _layers([(len(_HALF_LIVES) + 1) * d + 1, *plan.hidden, d])
        near = plan.length + np.arange(SPAN)[:, None] - np.arange(plan.length + SPAN)[None, :] - 1
        self._age = torch.from_numpy(np.clip(near, 0, plan.length - 1))
        self._before = torch.from_numpy((near >= 0) & (near < plan.length))

    @abstractmethod
    def seen(self, rows: Tensor) -> Tensor:
        """(m, d) what these items add to the side of users who took them."""

    @abstractmethod
    def loss(
        self, state: Tensor, right: NDArray[np.int64], groups: NDArray[np.int64], random: np.random.Generator
    ) -> Tensor:
        """Mean over places of user vectors (m, d) where items `right` (m,) came; `groups` (m,): in which stretch."""

    @abstractmethod
    def vectors(self) -> Tensor:
        """(n, d) of all items."""

    def users(self, given: Stretches, random: np.random.Generator | None = None) -> Tensor:
        """(wanted places, d) vectors, with parts left out when `random` is given."""
        rows, where = np.unique(given.items, return_inverse=True)
        here = functional.embedding(
            torch.from_numpy(where.reshape(given.items.shape)), self.seen(torch.from_numpy(rows))
        )
        present = given.present
        if random is not None and self.plan.dropout:
            present = present & (random.random(present.shape, dtype=np.float32) >= self.plan.dropout)
        there = torch.from_numpy(present.astype(np.float32))
        pools, columns = len(_HALF_LIVES), here.shape[1]
        weight = self.recency.exp()[:, self._age] * self._before
        flat = weight.view(pools * SPAN, columns)
        total = (there @ flat.T).view(-1, pools, SPAN, 1)
        means = (flat @ (here * there[:, :, None])).view(-1, pools, SPAN, here.shape[2])
        means = means / total.clamp(min=1e-9)
        many = (there @ self._before.to(there.dtype).T) / self.plan.length
        known = bag_sums(self.told.users.take(given.user), self.user_traits)
        if random is not None and self.plan.forget:
            known = known * torch.from_numpy((random.random((len(known), 1)) >= self.plan.forget).astype(np.float32))
        wanted = torch.from_numpy(given.wanted)
        inputs = torch.cat(
            [means[:, pool] for pool in range(pools)] + [known[:, None].expand(-1, SPAN, -1), many[:, :, None]], 2
        )
        found: Tensor = self.user(inputs[wanted])
        return found

    def arrays(self) -> dict[str, Floats]:
        """As the model reads them; tokens that no user or item had count for nothing."""
        n = torch.arange(self.told.n_items)
        found = {
            "seen": self.seen(n),
            "recency": self.recency.exp(),
            "user_traits": _known(self.user_traits, self.told.users, self.told.user_tokens),
            "vectors": self.vectors(),
            **_linear("user", self.user),
        }
        return {name: np.ascontiguousarray(each.detach().numpy()) for name, each in found.items()}


class TwoTowerNet(Net):
    """An item is its id and what is said of it; both towers end at length 1."""

    def __init__(self, plan: Plan, told: Told, counts: NDArray[np.int64]) -> None:
        super().__init__(plan, told)
        d = plan.dimensions
        self.ids = nn.Parameter(torch.randn(told.n_items, d) * _SPREAD)
        if not told.with_ids:
            nn.init.zeros_(self.ids)
            self.ids.requires_grad_(False)
        with torch.no_grad():
            self.ids[told.bought :] = 0
        self.item_traits = nn.Parameter(torch.randn(max(told.item_tokens, 1), d) * _SPREAD)
        self.item = _layers([d, *plan.hidden, d])
        self._share = counts[: told.bought] / max(int(counts.sum()), 1)

    def seen(self, rows: Tensor) -> Tensor:
        return functional.embedding(rows, self.ids) + self._said(rows)

    def users(self, given: Stretches, random: np.random.Generator | None = None) -> Tensor:
        return functional.normalize(super().users(given, random), dim=1)

    def loss(
        self, state: Tensor, right: NDArray[np.int64], groups: NDArray[np.int64], random: np.random.Generator
    ) -> Tensor:
        """A softmax among the items of the batch and drawn ones, each raised by how seldom it is there (logQ). Those of
        a place's own stretch are there for sure."""
        share = 1 - (1 - self._share) ** len(right)
        even = min(self.plan.negatives / max(self.told.bought, 1), 1.0)
        rows = np.union1d(right, np.flatnonzero(random.random(self.told.bought) < even))
        column = np.searchsorted(rows, right)
        there = 1 - (1 - share[rows]) * (1 - even)
        raised = torch.from_numpy(-np.log(np.maximum(there, 1e-12)).astype(np.float32))
        items = self._tower(torch.from_numpy(rows), random)
        logit = torch.addmm(raised, state / self.plan.temperature, items.T)
        place, other = _same_group(groups)
        sure = torch.from_numpy(column[other])
        logit = logit.index_put((torch.from_numpy(place), sure), -raised[sure], accumulate=True)
        return functional.cross_entropy(logit, torch.from_numpy(column))

    def vectors(self) -> Tensor:
        return self._tower(torch.arange(self.told.n_items), None)

    def arrays(self) -> dict[str, Floats]:
        said = _known(self.item_traits, self.told.items, self.told.item_tokens)
        more = {"item_traits": said, **_linear("item", self.item)}
        return super().arrays() | {name: np.ascontiguousarray(each.detach().numpy()) for name, each in more.items()}

    def _said(self, rows: Tensor) -> Tensor:
        return bag_sums(self.told.items.take(rows.numpy()), self.item_traits)

    def _tower(self, rows: Tensor, random: np.random.Generator | None) -> Tensor:
        ids = functional.embedding(rows, self.ids)
        if random is not None and self.plan.forget and self.told.item_tokens:
            ids = ids * torch.from_numpy((random.random((len(rows), 1)) >= self.plan.forget).astype(np.float32))
        found: Tensor = functional.normalize(self.item(ids + self._said(rows)), dim=1)
        return found


class YoutubeNet(Net):
    """The output layer has a vector of its own for each item; it is learned by a sampled softmax."""

    def __init__(self, plan: Plan, told: Told, counts: NDArray[np.int64]) -> None:
        super().__init__(plan, told)
        d = plan.dimensions
        self.ids = nn.Parameter(torch.randn(told.n_items, d) * _SPREAD)
        self.out = nn.Parameter(torch.randn(told.n_items, d) * _SPREAD)
        self._bias = torch.zeros(told.n_items)
        self._drawing = shares(counts, plan.negatives)

    def seen(self, rows: Tensor) -> Tensor:
        return functional.embedding(rows, self.ids)

    def loss(
        self, state: Tensor, right: NDArray[np.int64], groups: NDArray[np.int64], random: np.random.Generator
    ) -> Tensor:
        del groups
        return loss_of(state, torch.from_numpy(right), self.out, self._bias, self._drawing, random)

    def vectors(self) -> Tensor:
        return self.out


@dataclass(frozen=True)
class Learned:
    """The arrays of the best pass, which one it was (1 ...), and what was measured after each."""

    arrays: dict[str, Floats]
    best: int
    curve: list[dict[str, float]]


def train(
    kind: type[TwoTowerNet] | type[YoutubeNet], sequences: Sequences, told: Told, plan: Plan, seed: int, report: Report
) -> Learned:
    """Passes over all users but for the last items of a few, on which each pass is measured; the best pass serves.
    `plan.minutes` are those of the wall; a training that they end is not repeatable to the bit.

    Raises Invalid (`diverged`) when numbers are not finite any more.
    """
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        random = np.random.default_rng(seed)
        learned, held = sequences.apart(plan.length, seed)
        net = kind(plan, told, learned.counts(told.n_items))
        adam = Adam(each for each in net.parameters() if each.requires_grad)
        steps = learned.steps(plan.batch) * plan.epochs
        step, began = 0, time.monotonic()
        curve, best, least, kept = list[dict[str, float]](), 0, float("inf"), _state(net)
        for epoch in range(plan.epochs):
            total, places = 0.0, 0
            for given, right, groups in _steps(learned, plan, random):
                late = (time.monotonic() - began) / 60 / plan.minutes
                if late >= 1:
                    break
                loss = net.loss(net.users(given, random), right, groups, random)
                if not bool(torch.isfinite(loss)):
                    raise Invalid(
                        f"the loss is no number any more in pass {epoch + 1}; take a lower learning_rate or a higher "
                        "temperature",
                        code="diverged",
                    )
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(net.parameters(), 5.0)
                adam.step(plan.learning_rate * pace(step, steps, late))
                step += 1
                total, places = total + float(loss.detach()) * len(right), places + len(right)
                if step % _EVERY == 0:
                    report(min(step, steps), steps, message="learning towers")
            if not places:
                break
            told_of = {"loss": total / places}
            if held is not None:
                told_of["val_loss"] = _measured(net, held)
            curve.append(told_of)
            report(epoch + 1, plan.epochs, told_of, message="learning towers", epoch=True)
            now = told_of.get("val_loss", -float(epoch))
            if now < least:
                best, least, kept = epoch + 1, now, _state(net)
            elif epoch + 1 - best >= plan.patience:
                break
        net.load_state_dict(kept)
        with torch.no_grad():
            arrays = net.arrays()
        if not all(np.isfinite(each).all() for each in arrays.values()):
            raise Invalid("the towers have numbers that are not finite; take a lower learning_rate", code="diverged")
        return Learned(arrays, best, curve)


def bag_sums(bag: Bag, vectors: Tensor) -> Tensor:
    """(n, d) weighted sums of token vectors."""
    if not len(bag.token):
        return torch.zeros(len(bag.start) - 1, vectors.shape[1])
    found: Tensor = functional.embedding_bag(
        torch.from_numpy(bag.token),
        vectors,
        torch.from_numpy(bag.start),
        mode="sum",
        per_sample_weights=torch.from_numpy(bag.weight),
        include_last_offset=True,
    )
    return found


def _steps(
    sequences: Sequences, plan: Plan, random: np.random.Generator
) -> Iterator[tuple[Stretches, NDArray[np.int64], NDArray[np.int64]]]:
    """(stretches, the items to foretell (m,), the stretch of each (m,))."""
    for given in sequences.epoch(plan.length, plan.batch, random):
        yield given, given.items[:, plan.length :][given.wanted], np.nonzero(given.wanted)[0]


@torch.no_grad()
def _measured(net: Net, held: Stretches) -> float:
    """Mean of -log of the share that a softmax over all that was bought gives the right item."""
    right = torch.from_numpy(held.items[:, net.plan.length :][held.wanted])
    logit = net.users(held) @ net.vectors()[: net.told.bought].T / net.plan.temperature
    return float(functional.cross_entropy(logit, right))


def _state(net: nn.Module) -> dict[str, Tensor]:
    return {name: each.detach().clone() for name, each in net.state_dict().items()}


def _layers(sizes: list[int]) -> nn.Sequential:
    parts = list[nn.Module]()
    for a, b in pairwise(sizes):
        parts += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*parts[:-1])


def _linear(tower: str, layers: nn.Sequential) -> dict[str, Tensor]:
    found = dict[str, Tensor]()
    for at, layer in enumerate(each for each in layers if isinstance(each, nn.Linear)):
        found[f"{tower}{at}"], found[f"{tower}{at}_b"] = layer.weight.T, layer.bias
    return found


def _known(vectors: Tensor, bag: Bag, tokens: int) -> Tensor:
    """The first `tokens` rows; zero where no row had the token."""
    had = np.bincount(bag.token, minlength=tokens) > 0
    return vectors[:tokens] * torch.from_numpy(had.astype(np.float32))[:, None]


def _same_group(groups: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All pairs of places (m,) of one group; `groups` are sorted."""
    sizes = np.bincount(groups)
    sizes = sizes[sizes > 0]
    begin = np.cumsum(sizes) - sizes
    of_place, start = np.repeat(sizes, sizes), np.repeat(begin, sizes)
    place = np.repeat(np.arange(len(groups)), of_place)
    other = np.arange(len(place)) - np.repeat(np.cumsum(of_place) - of_place, of_place) + np.repeat(start, of_place)
    return place, other
