"""LightGCN in plain torch: vectors of users and items from pairs, to stdout's file.

python lightgcn.py GIVEN.npz MADE.npz: given are `user`, `item` (distinct pairs), `n_users`, `n_items`, `seed` and the
settings below. Full propagation at every step; a pair is told from a pair of the same user and a random item (BPR).

References: He et al., "LightGCN: simplifying and powering graph convolution network for recommendation", SIGIR 2020.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import scipy.sparse as sp
import torch


class Propagate(torch.autograd.Function):
    """Mean over 0 ... layers of the normalised adjacency's powers. The operator is symmetric: so is its gradient."""

    @staticmethod
    def forward(ctx, vectors, adjacency, layers):
        ctx.adjacency, ctx.layers = adjacency, layers
        return propagated(vectors, adjacency, layers)

    @staticmethod
    def backward(ctx, grad):
        return propagated(grad, ctx.adjacency, ctx.layers), None, None


def propagated(vectors, adjacency, layers):
    total, last = vectors.clone(), vectors
    for _ in range(layers):
        last = adjacency @ last
        total += last
    return total / (layers + 1)


def normalised(user, item, n_users, n_items):
    n = n_users + n_items
    half = sp.coo_matrix((np.ones(len(user), np.float32), (user, item + n_users)), shape=(n, n))
    whole = (half + half.T).tocsr()
    degree = np.maximum(np.asarray(whole.sum(axis=1)).ravel(), 1e-9)
    scale = sp.diags((1 / np.sqrt(degree)).astype(np.float32))
    whole = (scale @ whole @ scale).tocsr().astype(np.float32)
    crow, col = torch.from_numpy(whole.indptr.astype(np.int64)), torch.from_numpy(whole.indices.astype(np.int64))
    return torch.sparse_csr_tensor(crow, col, torch.from_numpy(whole.data), whole.shape)


def main() -> None:
    given = np.load(sys.argv[1])
    user, item = torch.from_numpy(given["user"].astype(np.int64)), torch.from_numpy(given["item"].astype(np.int64))
    n_users, n_items, seed = int(given["n_users"]), int(given["n_items"]), int(given["seed"])
    dim, layers, batch = int(given["dim"]), int(given["layers"]), int(given["batch"])
    epochs, rate, decay = int(given["epochs"]), float(given["rate"]), float(given["decay"])
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    adjacency = normalised(given["user"], given["item"], n_users, n_items)
    vectors = torch.nn.Parameter(torch.randn(n_users + n_items, dim, generator=random) * 0.1)
    adam = torch.optim.Adam([vectors], lr=rate)
    taken = set((given["user"].astype(np.int64) * n_items + given["item"]).tolist())
    taken = torch.tensor(sorted(taken))
    began = time.perf_counter()
    for epoch in range(epochs):
        order, losses = torch.randperm(len(user), generator=random), []
        for rows in order.split(batch):
            u, good = user[rows], item[rows]
            bad = torch.randint(n_items, (len(rows),), generator=random)
            for _ in range(3):  # drawn again where the user has it
                key = u * n_items + bad
                have = taken[torch.searchsorted(taken, key).clamp(max=len(taken) - 1)] == key
                bad = torch.where(have, torch.randint(n_items, bad.shape, generator=random), bad)
            made = Propagate.apply(vectors, adjacency, layers)
            wins = (made[u] * (made[n_users + good] - made[n_users + bad])).sum(1)
            size = vectors[u].pow(2).sum() + vectors[n_users + good].pow(2).sum() + vectors[n_users + bad].pow(2).sum()
            loss = torch.nn.functional.softplus(-wins).mean() + decay * size / len(rows) / 2
            adam.zero_grad()
            loss.backward()
            adam.step()
            losses.append(loss.item())
        print(epoch, round(float(np.mean(losses)), 4), round(time.perf_counter() - began, 1), file=sys.stderr)
    with torch.no_grad():
        made = propagated(vectors, adjacency, layers).numpy()
    seconds = time.perf_counter() - began
    np.savez(sys.argv[2], users=made[:n_users], items=made[n_users:], seconds=seconds)


if __name__ == "__main__":
    main()
