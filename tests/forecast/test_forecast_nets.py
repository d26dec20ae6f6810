from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from net_checks import same
from torch import Tensor, nn

from shopkeeper import plugins
from shopkeeper.forecast.algorithms.cnn_bilstm_attention import CnnBilstmAttention
from shopkeeper.forecast.algorithms.kan import Kan
from shopkeeper.forecast.algorithms.kan_optimised import KanOptimised
from shopkeeper.forecast.algorithms.mlstm import Mlstm
from shopkeeper.forecast.algorithms.transformer import Transformer
from shopkeeper.forecast.neural.experts import FACTS, Gate, window_facts
from shopkeeper.forecast.neural.sizes import OUTPUTS, Sizes

TRAINERS: dict[str, type[Any]] = {
    each.name: each for each in (Transformer, Kan, KanOptimised, Mlstm, CnnBilstmAttention)
}
NETS = tuple(TRAINERS)
DAILY = Sizes(lookback=56, horizon=28, past=14, future=12, static=(13, 3), width=16, season=7, patch=7, dropout=0.1)
WEEKLY = Sizes(lookback=104, horizon=13, past=6, future=7, static=(4,), width=12, season=52, patch=4, dropout=0.0)
SMALL = Sizes(lookback=7, horizon=1, past=3, future=2, static=(2, 3), width=4, season=7, patch=7, dropout=0.5)
LONG = Sizes(lookback=364, horizon=90, past=9, future=9, static=(501, 3, 11), width=8, season=7, patch=7, dropout=0.1)
SIZES = {"daily": DAILY, "weekly": WEEKLY, "small": SMALL, "long": LONG}


def net_of(name: str, sizes: Sizes, seed: int = 1, **params: Any) -> nn.Module:
    trainer = TRAINERS[name]
    torch.manual_seed(seed)
    net: nn.Module = trainer(plugins.read_params(trainer, params), seed).net(sizes)
    return net


def windows(sizes: Sizes, b: int, seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """As a board cuts them: pieces of mean 1, zeros where they do not count, codes that are known or not."""
    random = torch.Generator().manual_seed(seed)
    past = torch.randn(b, sizes.lookback, sizes.past, generator=random)
    past[..., 1] = (torch.rand(b, sizes.lookback, generator=random) > 0.2).float()
    past[..., 0] = torch.poisson(torch.rand(b, sizes.lookback, generator=random), generator=random) * past[..., 1]
    future = torch.randn(b, sizes.horizon, sizes.future, generator=random) * 0.5
    static = torch.stack([torch.randint(0, many, (b,), generator=random) for many in sizes.static], dim=1)
    return past, future, static


@pytest.mark.parametrize(
    ("name", "kind"),
    [*((name, kind) for name in NETS for kind in ("daily", "small")), ("mlstm", "weekly"), ("kan", "long"),
     ("cnn_bilstm_attention", "weekly")],
)  # fmt: skip
def test_the_export_says_what_torch_says_for_any_number_of_windows(name: str, kind: str, tmp_path: Path) -> None:
    sizes = SIZES[kind]
    net = net_of(name, sizes).eval()
    names, file = ["past", "future", "static"], tmp_path / "net.onnx"
    torch.onnx.export(
        net,
        windows(sizes, 2),
        str(file),
        input_names=names,
        output_names=["answer"],
        dynamic_axes={each: {0: "b"} for each in [*names, "answer"]},
        opset_version=17,
        dynamo=False,
    )
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for b in (1, 2, 37):
        given = windows(sizes, b, seed=b)
        with torch.no_grad():
            wanted = net(*given).numpy()
        (found,) = session.run(None, {each: tensor.numpy() for each, tensor in zip(names, given, strict=True)})
        assert found.shape == (b, sizes.horizon, OUTPUTS)
        np.testing.assert_allclose(found, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", NETS)
def test_a_window_is_answered_the_same_whoever_is_beside_it(name: str) -> None:
    net = net_of(name, DAILY).eval()
    past, future, static = windows(DAILY, 9)
    with torch.no_grad():
        together = net(past, future, static)
        alone = net(past[4:5], future[4:5], static[4:5])
    same(together[4:5], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", NETS)
def test_answers_are_ordered_and_not_below_zero(name: str) -> None:
    net = net_of(name, DAILY).eval()
    with torch.no_grad():
        said = net(*windows(DAILY, 9))
    assert torch.isfinite(said).all()
    assert (said >= 0).all()
    assert (said[..., :-1].diff(dim=2) >= 0).all()


@pytest.mark.parametrize("name", NETS)
def test_every_number_of_a_net_learns(name: str) -> None:
    net = net_of(name, DAILY).train()
    began = {key: each.detach().clone() for key, each in net.named_parameters()}
    _moved(net, windows(DAILY, 8))
    still = [key for key, each in net.named_parameters() if torch.equal(each, began[key])]
    assert not still


@pytest.mark.parametrize("name", NETS)
def test_all_that_is_given_is_read(name: str) -> None:
    net = net_of(name, DAILY).train()
    past, future, static = windows(DAILY, 8)
    _moved(net, (past, future, static))
    net.eval()
    with torch.no_grad():
        said = net(past, future, static)
        for place in (0, DAILY.lookback // 2, DAILY.lookback - 1):
            other = past.clone()
            other[:, place, 0] += 1
            assert (net(other, future, static) != said).any()
        assert (net(past, future, (static + 1) % 3) != said).any()
        known = future.clone()
        known[:, 5, 1:] += 1
        change = (net(past, known, static) - said).abs().sum(dim=(0, 2))
    assert change[5] > change.mean()  # what is known of a day is of that day before all


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("transformer", {"blocks": 1, "heads": 16}),
        ("mlstm", {"blocks": 1, "heads": 3}),
        ("kan", {"grid": 2}),
        ("kan_optimised", {"experts": 1, "centres": 2}),
        ("cnn_bilstm_attention", {"kernel": 4, "layers": 2, "heads": 5}),
    ],
)
def test_parameters_shape_the_net(name: str, params: dict[str, int]) -> None:
    changed, usual = net_of(name, DAILY, **params).eval(), net_of(name, DAILY)
    with torch.no_grad():
        assert changed(*windows(DAILY, 2)).shape == (2, DAILY.horizon, OUTPUTS)
    assert _numbers(changed) != _numbers(usual)


def test_facts_of_a_window() -> None:
    past = torch.zeros(4, 28, 3)
    past[..., 1] = 1.0
    past[1, ::2, 0] = 2.0  # half zeros
    past[2, :, 0] = torch.linspace(0.5, 1.5, 28)  # grows
    past[3, :, 1] = 0.0  # says nothing
    facts = window_facts(past)
    assert facts.shape == (4, FACTS)
    assert torch.isfinite(facts).all()
    same(facts[:, 0], torch.tensor([1.0, 1.0, 1.0, 0.0]), atol=1e-5, rtol=0)
    same(facts[:3, 1], torch.tensor([1.0, 0.5, 0.0]), atol=1e-5, rtol=0)
    assert facts[2, 3] > 0.1
    assert facts[2, 4] > 0.1


def test_shares_of_experts_sum_to_one_and_even_out_while_they_learn() -> None:
    torch.manual_seed(0)
    gate = Gate(4, 2)
    with torch.no_grad():
        gate.choose.bias.copy_(torch.tensor([3.0, 0.0, 0.0, 0.0]))
    past, statics = windows(DAILY, 64)[0], torch.randn(64, 2)
    began = gate(past, statics).mean(dim=0).max()
    for _ in range(100):
        (gate(past, statics).sum() * 0.0).backward()  # no error to learn from: only the load is left
        _stepped(gate, 10.0)
    shares = gate(past, statics)
    same(shares.sum(dim=1), torch.ones(64))
    assert shares.mean(dim=0).max() < began - 0.2


def test_a_gate_that_serves_pulls_at_nothing() -> None:
    gate = Gate(4, 2).eval()
    past, statics = windows(DAILY, 8)[0], torch.randn(8, 2)
    (gate(past, statics).sum() * 0.0).backward()
    assert not gate.choose.weight.grad.any()


def _moved(net: nn.Module, given: tuple[Tensor, Tensor, Tensor]) -> None:
    """A few steps from where a net starts, at which it says the usual whatever it is given."""
    torch.manual_seed(5)
    wanted = 2 * torch.rand(len(given[0]), DAILY.horizon, OUTPUTS)
    for _ in range(3):
        ((net(*given) - wanted) ** 2).mean().backward()
        _stepped(net, 0.05)


def _stepped(net: nn.Module, rate: float) -> None:
    """Down the slope, by hand: torch.optim takes seconds to import."""
    with torch.no_grad():
        for each in net.parameters():
            if each.grad is not None:
                each -= rate * each.grad
                each.grad = None


def _numbers(net: nn.Module) -> int:
    return sum(each.numel() for each in net.parameters())
