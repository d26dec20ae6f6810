"""Training of the graph model: epochs of steps by Adam, the best epoch on later links kept."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, Literal

import numpy as np
import torch

from shopkeeper.core.errors import Conflict, Invalid
from shopkeeper.core.protocols import Metrics, Report
from shopkeeper.profiles.graph.artifact import HgtModel, new_encoders, ranked_types
from shopkeeper.profiles.graph.encoders import LEAST, facts_of
from shopkeeper.profiles.graph.hetero import HeteroGraph
from shopkeeper.profiles.graph.inference import embed_all
from shopkeeper.profiles.graph.learner import Learner
from shopkeeper.profiles.graph.measures import by_relation, measure
from shopkeeper.profiles.graph.parameters import Shape
from shopkeeper.profiles.graph.partition import partition
from shopkeeper.profiles.graph.rows import GraphRows, inputs_of
from shopkeeper.profiles.graph.schema import USER
from shopkeeper.profiles.graph.starting import spectral, takers
from shopkeeper.profiles.graph.steps import Ground, ground_of, loss_of
from shopkeeper.profiles.graph.targets import Window, target_relations, window
from shopkeeper.profiles.graph.warm import GENTLE, check_shape, warmed

OF_AUC = 0.1
"""What AUC counts beside recall@20 when the best epoch is chosen."""
Mode = Literal["full_graph", "sampled", "metis_sampling"]


@dataclass(frozen=True)
class Parting:
    """Of mode `metis_sampling`; `only` one part is trained on, None: all in turn."""

    parts: int = 4
    imbalance: float = 0.01
    seed: int = 0
    recursive: bool = True
    only: int | None = None


@dataclass(frozen=True)
class Plan:
    """How to train; what the numbers mean stands at the parameters of `Hgt`."""

    shape: Shape
    recent: int
    mode: Mode
    epochs: int
    patience: int
    finish: int
    learning_rate: float
    decay: float
    temperature: float
    negatives: float
    windows: int
    users: int
    fanout: int
    drop: float
    forget: float
    parting: Parting


def train(rows: GraphRows, plan: Plan, seed: int, report: Report) -> HgtModel:
    """Raises Conflict when there is nothing to learn from, Invalid when the loss is no number any more."""
    begun = time.perf_counter()
    random = np.random.default_rng(seed)
    past = rows.graph.before(rows.split.train_end)
    device = "cuda" if torch.cuda.is_available() else "cpu"  # a shop that is to stay on the CPU hides the others
    if plan.mode == "metis_sampling":
        report(0, 1, message="partition of the graph")
    grounds, sampling = _grounds(rows, past, plan, device)
    steps = sum(ground.count() for ground in grounds)
    if not steps:
        raise Conflict("no user took anything new in any window of the training: nothing to learn", code="needs_data")
    check = window(rows.graph, rows.split.train_end, rows.split.until)
    with _seeded(seed):
        learner = _learner(rows, past, plan, random, seed).to(device)
        course = _epochs(learner, grounds, steps, (rows, past, _foreseeable(check, past)), plan, random, report)
        if course.best and rows.split.train_end < rows.split.until:
            _finish(learner, rows, plan, random, device, report)
    model = learner.model(recent=plan.recent)
    return _published(model, rows, course, {**sampling, "device": device}, time.perf_counter() - begun, check)


@dataclass(frozen=True)
class _Course:
    losses: list[float]
    best: int
    measured: Metrics


def _epochs(
    learner: Learner,
    grounds: list[Ground],
    steps: int,
    later: tuple[GraphRows, HeteroGraph, Window],
    plan: Plan,
    random: np.random.Generator,
    report: Report,
) -> _Course:
    """Leaves the learner as it was after its best epoch. What a warm start begins with is none: it may have learned the
    later links already; whether it was better is for the gate to say."""
    rate = plan.learning_rate * (1.0 if later[0].champion is None else GENTLE)
    optimizer = torch.optim.AdamW(learner.parameters(), lr=rate, weight_decay=plan.decay)
    # The rate rises for a seventh of the steps and then falls: few steps are enough.
    pace = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=max(plan.epochs * steps, 2), pct_start=0.15)
    losses: list[float] = []
    kept, best, best_score, measured = deepcopy(learner.state_dict()), 0, -np.inf, Metrics()
    for epoch in range(1, plan.epochs + 1):
        learner.train()
        total, done = 0.0, 0
        for ground in grounds:
            for step in ground.steps(random):
                total += _step(learner, optimizer, step, plan, epoch)
                pace.step()
                done += 1
                report((epoch - 1) * steps + done, plan.epochs * steps, message=f"epoch {epoch} of {plan.epochs}")
        losses.append(total / max(done, 1))
        learner.eval()
        found = _measured(learner, *later, plan.recent)
        told = {"loss": losses[-1], **{f"val_{name}": found[name] for name in ("auc", "recall@20") if name in found}}
        report(epoch, plan.epochs, told, message=f"epoch {epoch} of {plan.epochs}", epoch=True)
        score = _score(found)
        if not isfinite(score) or score > best_score:
            kept, best, measured = deepcopy(learner.state_dict()), epoch, found
            best_score = score if isfinite(score) else best_score
        elif epoch - best >= plan.patience:
            break
    learner.load_state_dict(kept)
    return _Course(losses, best, measured)


def _finish(
    learner: Learner, rows: GraphRows, plan: Plan, random: np.random.Generator, device: str, report: Report
) -> None:
    """Epochs at a lower rate over windows up to the end of what may be read: the newest links, which told when to stop,
    say most of what comes next."""
    whole = replace(rows, split=replace(rows.split, train_end=rows.split.until))
    grounds, _ = _grounds(whole, rows.graph, plan, device)
    total = plan.finish * sum(ground.count() for ground in grounds)
    if not total:
        return
    rate = plan.learning_rate * GENTLE
    optimizer = torch.optim.AdamW(learner.parameters(), lr=rate, weight_decay=plan.decay)
    pace = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=max(total, 2), pct_start=0.15)
    learner.train()
    done = 0
    for more in range(plan.finish):
        for ground in grounds:
            for step in ground.steps(random):
                _step(learner, optimizer, step, plan, plan.epochs + more + 1)
                pace.step()
                done += 1
                report(9 * total + done, 10 * total, message=f"the newest links, step {done} of {total}")
    learner.eval()


def _foreseeable(check: Window, past: HeteroGraph) -> Window:
    """Only the links of users with a past: what the others take is guessed by popularity alone."""
    told = np.zeros(past.nodes[USER], dtype=np.bool_)
    for relation in target_relations(past.schema):
        told |= past.edges[relation.reverse].degree > 0
    return check.of(told)


def _score(found: Metrics) -> float:
    """Recall, and what AUC says of those who have little of it."""
    return found.get("recall@20", float("nan")) + OF_AUC * found.get("auc", float("nan"))


def _step(learner: Learner, optimizer: Any, step: Any, plan: Plan, epoch: int) -> float:
    loss = loss_of(learner, step, plan.temperature)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    norm = float(torch.nn.utils.clip_grad_norm_(learner.parameters(), 5.0))
    value = float(loss.detach())
    if not isfinite(value) or not isfinite(norm):
        raise Invalid(
            f"the loss of epoch {epoch} is not a number any more: nothing was published; try a smaller learning_rate "
            f"than {plan.learning_rate:g} or a higher temperature than {plan.temperature:g}",
            code="diverged",
            field="learning_rate",
        )
    optimizer.step()
    return value


def _measured(learner: Learner, rows: GraphRows, past: HeteroGraph, check: Window, recent: int) -> Metrics:
    """On the links after the training; empty when there are none to check on."""
    if not len(check):
        return {}
    model = learner.model(recent=recent)
    inputs = inputs_of(model, rows.ids, rows.tables)
    return measure(embed_all(model, past, inputs, check.moment), past, check)


def _grounds(rows: GraphRows, past: HeteroGraph, plan: Plan, device: str) -> tuple[list[Ground], dict[str, Any]]:
    """What is trained on, and what is to be told of it."""
    sampled = plan.mode == "sampled"
    how: dict[str, Any] = {
        "layers": plan.shape.layers,
        "recent": plan.recent,
        "users": plan.users,
        "negatives": plan.negatives,
        "device": device,
    }
    end = rows.split.train_end
    if plan.mode != "metis_sampling":
        found = [ground_of(past, end, plan.windows, fanout=plan.fanout if sampled else None, **how)]
        return found, {"mode": plan.mode, **({"fanout": plan.fanout} if sampled else {})}
    parting = plan.parting
    parted = partition(past, parting.parts, imbalance=parting.imbalance, seed=parting.seed, recursive=parting.recursive)
    chosen = range(parting.parts) if parting.only is None else [parting.only]
    parts = [parted.part(past, number) for number in chosen]
    grounds = [
        ground_of(part.graph, end, plan.windows, {name: at.astype(np.int64) for name, at in part.nodes.items()}, **how)
        for part in parts
    ]
    stats = {"parts": parting.parts, "trained": list(chosen), "nodes": parted.sizes().tolist()}
    return grounds, {"mode": plan.mode, **stats, "edges_inside": parted.inside, "edges": parted.total}


def _learner(rows: GraphRows, past: HeteroGraph, plan: Plan, random: np.random.Generator, seed: int) -> Learner:
    """Encoders are fitted on the nodes that the past knows. An item that fewer than five users took has no learned
    vector: it would be a picture of these few."""
    schema, width = past.schema, plan.shape.width
    known = {name: _known(past, name) for name in schema.node_types}
    takings = {kind: takers(past, kind) for kind in ranked_types(schema)}
    common = {kind: np.flatnonzero(np.asarray(taken.sum(axis=0)).ravel() >= LEAST) for kind, taken in takings.items()}
    ids = {
        name: tuple(mine[at] for at in common[name].tolist()) if name in common else mine
        for name, mine in rows.ids.items()
        if name != USER
    }
    encoders = new_encoders(
        schema, {name: table.take(known[name]) for name, table in rows.tables.items()}, ids, width, random
    )
    for kind, at in common.items():
        encoders[kind] = replace(encoders[kind], id_vectors=spectral(takings[kind], width, seed)[at])
    how: dict[str, Any] = {"drop": plan.drop, "forget": plan.forget}
    if rows.champion is not None:
        check_shape(rows.champion, plan.shape)
        encoders, how["begun"] = warmed(encoders, rows.champion), rows.champion.learned
    return Learner(schema, encoders, rows.ids, rows.tables, plan.shape, random, **how)


def _known(graph: HeteroGraph, node_type: str) -> Any:
    """Positions of the nodes that have an edge with a user at its other end, or are users with any edge."""
    total = np.zeros(graph.nodes[node_type], dtype=np.int64)
    for relation in graph.schema.into(node_type):
        if USER in (relation.source, relation.target) or node_type not in ranked_types(graph.schema):
            total += graph.edges[relation].degree
    return np.flatnonzero(total)


def _published(
    model: HgtModel, rows: GraphRows, course: _Course, sampling: Mapping[str, Any], seconds: float, check: Window
) -> HgtModel:
    """With the vectors of the items at the end of what was read, and the summary."""
    vectors = embed_all(model, rows.graph, inputs_of(model, rows.ids, rows.tables), rows.split.until)
    kinds = ranked_types(model.schema)
    trained = {str(r): int(e.degree.sum()) for r, e in rows.graph.before(rows.split.train_end).edges.items()}
    val = {str(relation): int(links.new.sum()) for relation, links in check.links.items()}
    statistics = {
        name: {"train_pos": trained[name], "val_pos": n, "val_neg": n, **dict.fromkeys(("test_pos", "test_neg"), 0)}
        for name, n in val.items()
    }
    for name, n in rows.test_links.items():
        statistics.get(name, {}).update(test_pos=n, test_neg=n)
    summary = {
        "loss_history": course.losses,
        "best_epoch": course.best,
        "val_metrics": by_relation(course.measured),
        "val": {name: course.measured[name] for name in ("auc", "recall@20", "ndcg@10") if name in course.measured},
        "edge_statistics": statistics,
        "sampling_stats": dict(sampling),
        "duration_seconds": seconds,
        "node_counts": dict(rows.graph.nodes),
        "encoders": facts_of(model.encoders),
        "warm_start": rows.begun or None,
    }
    return replace(
        model,
        reference=rows.split.until,
        item_ids=tuple(id for kind in kinds for id in rows.ids[kind]),
        item_vectors=np.concatenate([vectors[kind] for kind in kinds]),
        summary=_finite(summary),
    )


def _finite(value: Any) -> Any:
    """JSON has no NaN: what was not measured is null."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """torch draws by `seed` inside and goes on outside as if nothing had been drawn."""
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.random.set_rng_state(state)
