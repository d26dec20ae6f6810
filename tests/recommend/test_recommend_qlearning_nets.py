"""The small net beside torch: values, gradients of the loss, steps of Adam; and what deep agents make of it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from shopkeeper.recommend.qlearning.adam import Adam, huber, huber_slope
from shopkeeper.recommend.qlearning.config import AgentConfig
from shopkeeper.recommend.qlearning.deep import DeepAgent
from shopkeeper.recommend.qlearning.files import packed, unpacked
from shopkeeper.recommend.qlearning.qnet import QNet
from shopkeeper.recommend.qlearning.steps import Transition


def by_torch(net: QNet, theta: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The same net, written down anew."""

    def layers(at: int, x: torch.Tensor, sizes: list[int], *, rectified: bool) -> tuple[int, torch.Tensor]:
        for k, (rows, columns) in enumerate(pairwise(sizes)):
            weights = theta[at : at + rows * columns].reshape(rows, columns)
            x = x @ weights + theta[at + rows * columns : at + (rows + 1) * columns]
            at += (rows + 1) * columns
            if rectified or k < len(sizes) - 2:
                x = torch.relu(x)
        return at, x

    if not net.dueling:
        return layers(0, x, [net.inputs, *net.hidden, net.actions], rectified=False)[1]
    *shared, last = net.hidden
    at, trunk = layers(0, x, [net.inputs, *shared], rectified=True) if shared else (0, x)
    before = shared[-1] if shared else net.inputs
    at, value = layers(at, trunk, [before, last, 1], rectified=False)
    _, better = layers(at, trunk, [before, last, net.actions], rectified=False)
    return value + better - better.mean(dim=1, keepdim=True)


@pytest.mark.parametrize("dueling", [False, True])
@pytest.mark.parametrize("hidden", [(5,), (6, 4), (5, 4, 3)])
def test_values_and_gradients_are_those_of_autograd(hidden: tuple[int, ...], dueling: bool) -> None:
    net, random = QNet(3, hidden, 4, dueling), np.random.default_rng(1)
    theta = net.start(random) + 0.1 * random.normal(size=net.parameters)
    x, targets, weights = random.normal(size=(7, 3)), 3 * random.normal(size=7), random.random(7)
    actions, rows = random.integers(0, 4, 7), np.arange(7)
    expected = torch.tensor(theta, requires_grad=True)
    values = by_torch(net, expected, torch.tensor(x))
    assert net.values(theta, x) == pytest.approx(values.detach().numpy())
    each = torch.nn.functional.huber_loss(values[rows, actions], torch.tensor(targets), reduction="none")
    (each * torch.tensor(weights)).mean().backward()

    def slope_of(values: np.ndarray) -> np.ndarray:
        slope = np.zeros_like(values)
        slope[rows, actions] = -weights * huber_slope(targets - values[rows, actions]) / 7
        return slope

    assert expected.grad is not None
    assert net.gradient(theta, x, slope_of) == pytest.approx(expected.grad.numpy(), abs=1e-12)


def test_hubers_loss_is_torchs() -> None:
    errors = np.linspace(-3, 3, 25)
    found = torch.nn.functional.huber_loss(torch.tensor(errors), torch.zeros(25), reduction="none")
    assert huber(errors) == pytest.approx(found.numpy())


def test_adam_moves_as_its_paper_says_and_cuts_long_gradients() -> None:
    random, theta, expected = np.random.default_rng(2), np.ones(6), np.ones(6)
    adam, mean, square = Adam(6, 0.01), np.zeros(6), np.zeros(6)
    for step, scale in enumerate((1, 0.1, 3, 1000, 1), start=1):
        gradient = scale * random.normal(size=6)
        adam.move(theta, gradient)
        gradient = gradient * min(1.0, 10 / np.linalg.norm(gradient))
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        expected -= 0.01 * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        assert theta == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("kind", ["dqn", "double", "dueling"])
@pytest.mark.parametrize("prioritized", [False, True])
def test_a_net_finds_what_a_walk_is_worth(kind: str, prioritized: bool) -> None:
    """Three places in a row; to the right of the last waits a reward, to the left nothing."""
    agent = DeepAgent(AgentConfig(
        agent_type=kind, states="index", state_size=3, action_size=2, gamma=0.5, hidden=[16], learning_rate=0.01,
        target_every=20, prioritized=prioritized, batch_size=16, buffer_size=50,
    ))  # fmt: skip
    random = np.random.default_rng(3)
    for _ in range(500):
        at, action = int(random.integers(3)), int(random.integers(2))
        after = at + 2 * action - 1
        done = after in (-1, 3)
        state, then = np.array([float(at)]), np.array([float(np.clip(after, 0, 2))])
        agent.learn(Transition(state, action, float(after == 3), then, done))
    found = agent.values(np.arange(3.0)[:, None])
    assert found == pytest.approx(np.array([[0, 0.25], [0.125, 0.5], [0.25, 1.0]]), abs=0.08)
    assert (found.argmax(axis=1) == 1).all()


def test_double_targets_ask_the_net_for_the_action_and_the_target_net_for_its_worth() -> None:
    found = {}
    for kind in ("dqn", "double"):
        agent = DeepAgent(AgentConfig(agent_type=kind, state_size=2, action_size=3, hidden=[4], batch_size=8, seed=1))
        agent._theta[:] = np.random.default_rng(8).normal(size=len(agent._theta))  # as after some learning
        state, after = np.array([1.0, 0.0]), np.array([0.0, 1.0])
        net, target = agent.values(after[None])[0], agent._net.values(agent._target, after[None])[0]
        worth = target.max() if kind == "dqn" else target[net.argmax()]
        expected = 1 + 0.95 * worth - agent.values(state[None])[0, 2]
        found[kind] = agent.learn(Transition(state, 2, 1.0, after, False))
        assert found[kind] == pytest.approx(expected)
    assert found["dqn"] != pytest.approx(found["double"])


def test_the_target_net_waits_its_turn() -> None:
    agent = DeepAgent(
        AgentConfig(agent_type="dqn", state_size=1, action_size=2, hidden=[3], batch_size=1, target_every=3)
    )
    first = agent._target.copy()
    for number in range(1, 7):
        agent.learn(Transition(np.ones(1), 0, 1.0, np.ones(1), False))
        assert (agent._target == agent._theta).all() == (number % 3 == 0)
    assert (agent._target != first).any()


@pytest.mark.parametrize("prioritized", [False, True])
def test_an_agent_that_was_saved_goes_on_as_one_that_was_not(prioritized: bool) -> None:
    config = AgentConfig(agent_type="dueling", state_size=2, action_size=3, hidden=[5, 4], batch_size=4,
                         buffer_size=10, prioritized=prioritized)  # fmt: skip
    random = np.random.default_rng(4)
    steps = [
        Transition(random.random(2), int(random.integers(3)), 1.0, random.random(2), k % 4 == 3) for k in range(40)
    ]
    one = other = DeepAgent(config)
    for step in steps[:25]:
        one.learn(step)
    other = unpacked(packed(one))
    for step in steps[25:]:
        assert one.learn(step) == other.learn(step)
    assert packed(one) == packed(other)
    assert one.choose(np.ones(2), one.random) == other.choose(np.ones(2), other.random)
