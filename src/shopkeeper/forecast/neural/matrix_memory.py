"""A memory that is a matrix, with exponential gates: what mLSTM remembers, for a whole sequence at once.

Reference: Beck and others, "xLSTM: extended long short-term memory", 2024 (arXiv 2405.04517), section 2.3 and the
parallel form of appendix A.3. Step by step it would be

    C_t = f_t C_(t-1) + i_t v_t k_t'     n_t = f_t n_(t-1) + i_t k_t     h_t = C_t q_t / max(|n_t' q_t|, 1)

which unrolled is an attention whose weights are products of gates: no loop, so that it trains and exports as one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_NEVER = -1e9
_READS = 4
"""Places that the convolution before queries and keys reads."""


def remembered(query: Tensor, key: Tensor, value: Tensor, enter: Tensor, forget: Tensor) -> Tensor:
    """h (b, heads, t, e) of queries, keys and values of that shape; `enter` and `forget` (b, heads, t) are the gates
    before exp and sigmoid. All exponents are taken relative to the biggest of their row, which cancels out."""
    t, e = query.shape[2], query.shape[3]
    kept = torch.cumsum(-functional.softplus(-forget), dim=2)
    exponent = kept.unsqueeze(3) - kept.unsqueeze(2) + enter.unsqueeze(2)
    exponent = exponent + torch.triu(torch.full((t, t), _NEVER), diagonal=1).to(exponent)
    biggest = exponent.amax(dim=3, keepdim=True)
    weight = (query @ key.transpose(2, 3)) * (e**-0.5) * torch.exp(exponent - biggest)
    size = torch.maximum(weight.sum(dim=3, keepdim=True).abs(), torch.exp(-biggest))
    told: Tensor = weight @ value / size
    return told


class MatrixBlock(nn.Module):
    """(b, t, width) to the same: widened, remembered in heads, gated by a branch that saw no memory, and added."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        inner = 2 * width
        self.heads, self.each = heads, inner // heads
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 2 * inner), nn.Linear(inner, width)
        self.reads = nn.Conv1d(inner, inner, _READS, groups=inner)
        self.query, self.key, self.value = (nn.Linear(inner, inner, bias=False) for _ in range(3))
        self.gates = nn.Linear(inner, 2 * heads)
        self.normed = nn.LayerNorm(self.each, elementwise_affine=False)
        self.scale, self.skip = nn.Parameter(torch.ones(inner)), nn.Parameter(torch.ones(inner))
        self.dropout = nn.Dropout(dropout)
        with torch.no_grad():  # a new memory forgets slowly, some heads more slowly than others
            self.gates.weight.mul_(0.1)
            self.gates.bias.copy_(torch.cat([torch.zeros(heads), torch.linspace(3.0, 6.0, heads)]))

    def forward(self, x: Tensor) -> Tensor:
        t = x.shape[1]
        told, gate = self.up(self.norm(x)).chunk(2, dim=2)
        read = functional.silu(self.reads(functional.pad(told.transpose(1, 2), (_READS - 1, 0))).transpose(1, 2))
        enter, forget = self.gates(read).transpose(1, 2).chunk(2, dim=1)
        h = remembered(self._split(self.query(read)), self._split(self.key(read)), self._split(self.value(told)),
                       enter, forget)  # fmt: skip
        h = self.normed(h).transpose(1, 2).reshape(-1, t, self.heads * self.each) * self.scale
        added: Tensor = x + self.dropout(self.down((h + self.skip * read) * functional.silu(gate)))
        return added

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(-1, x.shape[1], self.heads, self.each).transpose(1, 2)
