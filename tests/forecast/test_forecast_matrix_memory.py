import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from net_checks import same
from torch import Tensor

from shopkeeper.forecast.neural.matrix_memory import MatrixBlock, remembered


def step_by_step(query: Tensor, key: Tensor, value: Tensor, enter: Tensor, forget: Tensor) -> Tensor:
    """The recurrence as the paper writes it, in double precision and stabilised by a running maximum."""
    b, heads, t, e = query.shape
    matrix, normal = query.new_zeros(b, heads, e, e), query.new_zeros(b, heads, e)
    biggest = query.new_full((b, heads), -torch.inf)
    told = []
    for at in range(t):
        kept = torch.nn.functional.logsigmoid(forget[..., at])
        newest = torch.maximum(kept + biggest, enter[..., at])
        old, new = torch.exp(kept + biggest - newest), torch.exp(enter[..., at] - newest)
        here = key[:, :, at] * e**-0.5
        matrix = old[..., None, None] * matrix + new[..., None, None] * value[:, :, at, :, None] * here[:, :, None, :]
        normal = old[..., None] * normal + new[..., None] * here
        biggest = newest
        size = torch.maximum((normal * query[:, :, at]).sum(-1).abs(), torch.exp(-biggest))
        told.append((matrix @ query[:, :, at, :, None]).squeeze(-1) / size[..., None])
    return torch.stack(told, dim=2)


@given(seed=st.integers(0, 10_000), t=st.integers(1, 20), spread=st.sampled_from([0.1, 1.0, 6.0]))
@settings(max_examples=30, deadline=None)
def test_at_once_is_step_by_step(seed: int, t: int, spread: float) -> None:
    random = torch.Generator().manual_seed(seed)
    query, key, value = (torch.randn(2, 3, t, 4, generator=random) for _ in range(3))
    enter, forget = (spread * torch.randn(2, 3, t, generator=random) for _ in range(2))
    wanted = step_by_step(*(each.double() for each in (query, key, value, enter, forget)))
    same(remembered(query, key, value, enter, forget).double(), wanted, atol=1e-4, rtol=1e-4)


def test_gates_of_any_size_stay_finite() -> None:
    query, key, value = (torch.randn(1, 1, 12, 4) for _ in range(3))
    for enter, forget in ((80.0, 80.0), (-80.0, -80.0), (80.0, -80.0), (-80.0, 80.0)):
        told = remembered(query, key, value, torch.full((1, 1, 12), enter), torch.full((1, 1, 12), forget))
        assert torch.isfinite(told).all()


def test_a_memory_hears_nothing_of_what_comes_later() -> None:
    torch.manual_seed(0)
    block = MatrixBlock(8, 2, 0.0).eval()
    x = torch.randn(3, 10, 8)
    later = x.clone()
    later[:, 6:] += 1
    before, after = block(x), block(later)
    same(before[:, :6], after[:, :6])
    assert (before[:, 6:] != after[:, 6:]).any()
