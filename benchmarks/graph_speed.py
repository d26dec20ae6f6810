"""The layers of the graph transformer beside PyG's HGTConv on one graph, and how fast neighbourhoods are sampled."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np

from benchmarks import graph_world as world
from benchmarks import record
from shopkeeper.core.clock import DAY
from shopkeeper.profiles.graph.blocks import whole
from shopkeeper.profiles.graph.inference import embed_all
from shopkeeper.profiles.graph.sampler import Sampler

SIZES = ((6_000, 4_000, 1_200_000), (50_000, 20_000, 1_200_000))
ROUNDS = 3
SAMPLES = 30
BATCH = 1024
_WAYS = {
    "ours": "ours, torch, one thread",
    "pyg": "PyG HGTConv, one thread",
    "serving": "ours, numpy (what serves)",
}
_MODES = (
    ("newest, one moment", True, False),
    ("drawn, one moment", False, False),
    ("newest, a moment for each seed", True, True),
    ("drawn, a moment for each seed", False, True),
)


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(_measured(sys.argv[1], *SIZES[int(sys.argv[2])])))
        return
    layers, samples = [], []
    for at, (users, items, _) in enumerate(SIZES):
        size = f"{users // 1000} k users, {items // 1000} k items"
        for way, name in _WAYS.items():
            found = _child(way, at)
            layers.append([size, name, found["forward"], found["step"], found["megabytes"]])
        samples += [[size, *row] for row in _child("sampler", at)["rows"]]
    record.write(
        "graph_speed",
        "Graph transformer: layers and sampler",
        f"Synthetic orders of a year, {SIZES[0][2]:,} and as many reverse edges, and each product's category; "
        "2 layers, 64 wide, 4 heads, h of layer 0 learned. A step is forward and backward over the whole graph, "
        f"gradients of all weights and of layer 0. Median of {ROUNDS} after one to warm up; every row in a process "
        "of its own, one thread; memory is the peak above what the graph and the inputs take. Ours reads the age of "
        f"every edge, HGTConv does not. Sampler: neighbourhoods of {BATCH} users and {BATCH} products, at most 10 "
        f"edges of each relation, two hops; mean of {SAMPLES}. All times are of the processor: other work on the "
        "machine does not count.",
        [
            {
                "title": f"One pass over {2 * SIZES[0][2]:,} edges",
                "columns": ["graph", "layers", "forward CPU s", "step CPU s", "peak MB of a step"],
                "rows": layers,
            },
            {
                "title": "A sample of two hops",
                "columns": ["graph", "which edges", "CPU ms", "edges", "million edges/s"],
                "rows": samples,
            },
        ],
        [_loaders()],
    )


def _child(way: str, size: int) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.graph_speed", way, str(size)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=record.ROOT)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(way, size, found, flush=True)
    return found


def _measured(way: str, users: int, items: int, count: int) -> dict[str, Any]:
    import torch

    torch.set_num_threads(1)
    shop = world.graph(users, items, count)
    if way == "sampler":
        return {"rows": [_sampled(shop.graph, *mode) for mode in _MODES]}
    if way == "serving":
        model = world.model(shop.graph.nodes, shop.names["category"], recent=count)
        given = world.inputs(model, shop)
        found = world.stage(lambda: embed_all(model, shop.graph, given, world.SPAN), ROUNDS, warm=True)
        return {"forward": found.seconds, "step": "-", "megabytes": found.megabytes}
    forward, step = _ours(shop) if way == "ours" else _pyg(shop)
    with torch.no_grad():
        only = world.stage(forward, ROUNDS, warm=True)
    both = world.stage(step, ROUNDS, warm=True)
    return {"forward": only.seconds, "step": both.seconds, "megabytes": both.megabytes}


def _ours(shop: world.ShopGraph) -> tuple[Any, Any]:
    import torch

    from shopkeeper.profiles.graph.hgt import HgtLayers, edges_of

    layers = HgtLayers(shop.graph.schema, world.SHAPE, np.random.default_rng(0))
    blocks = whole(shop.graph, world.SPAN, world.SHAPE.layers)
    edges = {relation: edges_of(block) for relation, block in blocks.edges.items()}
    h = _learned(shop)

    def forward() -> Any:
        return layers(blocks, h, edges)

    def step() -> None:
        sum(each.square().mean() for each in forward().values()).backward()
        for each in [*layers.parameters(), *h.values()]:
            each.grad = None

    assert torch.is_grad_enabled()
    return forward, step


def _pyg(shop: world.ShopGraph) -> tuple[Any, Any]:
    import torch
    from torch_geometric.nn import HGTConv

    shape, schema = world.SHAPE, shop.graph.schema
    kinds = [(each.source, each.name, each.target) for each in schema.relations]
    metadata = (list(schema.node_types), kinds)
    layers = torch.nn.ModuleList(
        HGTConv(shape.width, shape.width, metadata, heads=shape.heads) for _ in range(shape.layers)
    )
    ends = {
        kind: torch.from_numpy(np.stack([edges.source, edges.target]).astype(np.int64))
        for kind, edges in zip(kinds, (shop.graph.edges[each] for each in schema.relations), strict=True)
    }
    h = _learned(shop)

    def forward() -> Any:
        states = h
        for layer in layers:
            states = layer(states, ends)
        return states

    def step() -> None:
        sum(each.square().mean() for each in forward().values()).backward()
        for each in [*layers.parameters(), *h.values()]:
            each.grad = None

    return forward, step


def _learned(shop: world.ShopGraph) -> dict[str, Any]:
    import torch

    torch.manual_seed(0)
    return {name: torch.randn(n, world.SHAPE.width, requires_grad=True) for name, n in shop.graph.nodes.items()}


def _sampled(graph: Any, name: str, newest: bool, own: bool) -> list[Any]:
    random, sampler = np.random.default_rng(0), Sampler(graph, (10, 10), newest=newest)
    drawn = []
    for _ in range(SAMPLES):
        seeds = {kind: random.integers(0, graph.nodes[kind], BATCH, dtype=np.int32) for kind in ("user", "product")}
        moments = {kind: random.integers(0, world.SPAN, BATCH) for kind in seeds} if own else 300 * DAY
        drawn.append((seeds, moments))
    found: list[int] = []

    def work() -> None:
        for seeds, moments in drawn:
            blocks = sampler.sample(seeds, moments, random)
            found.append(sum(len(block) for block in blocks.edges.values()))

    seconds = world.stage(work, warm=True).seconds
    return [name, 1000 * seconds / SAMPLES, round(np.mean(found)), sum(found[:SAMPLES]) / seconds / 1e6]


def _loaders() -> str:
    """Whether PyG's own loaders could be measured here."""
    from torch_geometric.data import HeteroData
    from torch_geometric.loader import HGTLoader

    data = HeteroData()
    data["user"].num_nodes = data["product"].num_nodes = 2
    data["user", "order", "product"].edge_index = np.zeros((2, 1), dtype=np.int64)
    try:
        next(iter(HGTLoader(data, {"user": [2]}, ("user", None))))
    except ImportError as error:
        return f'PyG\'s HGTLoader is not among the rows of the sampler: "{error}", and neither is a wheel on the index.'
    return "PyG's loaders run here, and are not measured."


if __name__ == "__main__":
    main()
