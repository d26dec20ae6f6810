"""Gymnasium's worlds, and the agent of its tutorial in them: a program that knows nothing of Shopkeeper.

gym_agent.py tables OUT.npz NAME ...
gym_agent.py agent OUT.npz NAME EPISODES EVERY RATE GAMMA EPSILON SEED ...

The agent is that of "Solving Frozenlake with Tabular Q-Learning" (gymnasium.farama.org/tutorials/training_agents): a
table of zeros, epsilon-greedy with ties broken at random.
"""

from __future__ import annotations

import sys
import time

import gymnasium
import numpy as np


def tables(name: str) -> dict[str, np.ndarray]:
    """Transitions of a world as arrays by state, action and what may happen."""
    world = gymnasium.make(name)
    inner = world.unwrapped
    states, actions = world.observation_space.n, world.action_space.n
    most = max(len(inner.P[s][a]) for s in range(states) for a in range(actions))
    out = {
        "chances": np.zeros((states, actions, most)),
        "afters": np.zeros((states, actions, most), dtype=np.int64),
        "rewards": np.zeros((states, actions, most)),
        "ends": np.zeros((states, actions, most), dtype=bool),
    }
    for s in range(states):
        for a in range(actions):
            for k, (chance, after, reward, ends) in enumerate(inner.P[s][a]):
                for key, value in zip(out, (chance, after, reward, ends), strict=True):
                    out[key][s, a, k] = value
    out["starts"] = np.asarray(inner.initial_state_distrib)
    out["steps"] = np.array(world.spec.max_episode_steps)
    return out


def learn(name: str, episodes: int, every: int, rate: float, gamma: float, epsilon: float, seed: int) -> dict:
    """The greedy policy (looks, states) after each `every` episodes, and the seconds of all."""
    world = gymnasium.make(name)
    random = np.random.default_rng(seed)
    q = np.zeros((world.observation_space.n, world.action_space.n))
    looks, begun = [], time.perf_counter()
    for number in range(episodes):
        state, _ = world.reset(seed=seed if number == 0 else None)
        done = False
        while not done:
            if random.uniform() < epsilon:
                action = random.integers(q.shape[1])
            else:
                action = random.choice(np.flatnonzero(q[state] == q[state].max()))
            after, reward, ended, cut, _ = world.step(int(action))
            best = 0.0 if ended else q[after].max()
            q[state, action] += rate * (reward + gamma * best - q[state, action])
            state, done = after, ended or cut
        if (number + 1) % every == 0:
            looks.append(q.argmax(axis=1))
    return {"looks": np.array(looks), "seconds": np.array(time.perf_counter() - begun)}


if __name__ == "__main__":
    what, out, name, *rest = sys.argv[1:]
    if what == "tables":
        np.savez(out, **tables(name))
    else:
        episodes, every, rate, gamma, epsilon, seed = rest
        found = learn(name, int(episodes), int(every), float(rate), float(gamma), float(epsilon), int(seed))
        np.savez(out, **found)
