"""What a net is told of the tensors that it will be given."""

from __future__ import annotations

from dataclasses import dataclass

LEVELS = 9
OUTPUTS = LEVELS + 1
"""Columns of a net's answer: the nine levels of core.records.QUANTILES in their order, then the mean."""
_WIDEST = 16


@dataclass(frozen=True)
class Sizes:
    """`lookback` L steps of the past, a multiple of `patch` (7 by day, 4 by week); `horizon` H steps to say; channels
    of the `past` and the `future`; `static` the codes of each static column, of which 0 is "unknown";
    `dims` how many numbers each column becomes, where it is not the usual."""

    lookback: int
    horizon: int
    past: int
    future: int
    static: tuple[int, ...]
    width: int
    season: int
    patch: int
    dropout: float
    dims: tuple[int, ...] = ()

    @property
    def embeddings(self) -> list[tuple[int, int]]:
        """Codes and numbers of each static column."""
        dims = self.dims or tuple(map(dims_of, self.static))
        return list(zip(self.static, dims, strict=True))


def dims_of(codes: int) -> int:
    """How many numbers so many codes become, usually."""
    return min(_WIDEST, 1 + round(float(codes**0.4)))
