"""Where the sequence model begins: item vectors from what stands near what, which spares it the first passes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

Items = NDArray[np.int64]
Floats = NDArray[np.float32]
_REACH = 8
"""Two items of a user are near when at most so many places lie between them; the next one counts most."""
_TIMID = 2.0
"""What was seen together this often is believed by half."""
_SPREAD = 0.7
_MORE, _ROUNDS = 16, 5


def item_vectors(sequences: Sequence[Items], n_items: int, width: int, random: np.random.Generator) -> Floats:
    """(n_items, width): the strongest directions of how much more often than by chance two items stand near, turned any
    way and with a little noise, so that what is near nothing has a vector, too."""
    noise = random.normal(0, _SPREAD / np.sqrt(width), (n_items, width))
    near = _near(sequences, n_items)
    if not near.nnz:
        return noise.astype(np.float32)
    kept = min(width, n_items)
    base = random.normal(size=(n_items, min(width + _MORE, n_items)))
    for _ in range(_ROUNDS):
        base = np.linalg.qr(near @ base)[0]
    strength, turn = np.linalg.eigh(base.T @ (near @ base))
    best = np.argsort(-np.abs(strength))[:kept]
    found = (base @ turn[:, best]) * np.sqrt(np.abs(strength[best]))
    found = found @ np.linalg.qr(random.normal(size=(width, width)))[0][:kept]
    result: Floats = (found * (_SPREAD / np.sqrt(width) / found.std()) + 0.1 * noise).astype(np.float32)
    return result


def popularity(sequences: Sequence[Items], n_items: int) -> Floats:
    """(n_items,) half the logarithm of how often an item comes, over the average."""
    count = counts(sequences, n_items) + 1
    result: Floats = (0.5 * np.log(count * n_items / count.sum())).astype(np.float32)
    return result


def counts(sequences: Sequence[Items], n_items: int) -> NDArray[np.int64]:
    return np.bincount(np.concatenate([*sequences, np.empty(0, dtype=np.int64)]).astype(np.int64), minlength=n_items)


def _near(sequences: Sequence[Items], n_items: int) -> csr_matrix:
    """(n_items, n_items) symmetric: log of the share of pairs over that by chance, where above 0."""
    both = csr_matrix((n_items, n_items))
    for gap in range(1, _REACH + 1):
        long = [each for each in sequences if len(each) > gap]
        if not long:
            break
        one, other = np.concatenate([each[:-gap] for each in long]), np.concatenate([each[gap:] for each in long])
        both = both + csr_matrix((np.full(len(one), 1 / gap), (one, other)), shape=both.shape)
    pairs = (both + both.T).tocoo()
    alone = np.asarray(pairs.sum(axis=1)).ravel()
    over = np.log(pairs.data * pairs.data.sum() / (alone[pairs.row] * alone[pairs.col]))
    sure = np.maximum(over, 0) * pairs.data / (pairs.data + _TIMID)
    result = csr_matrix((sure, (pairs.row, pairs.col)), shape=pairs.shape)
    result.eliminate_zeros()
    return result
