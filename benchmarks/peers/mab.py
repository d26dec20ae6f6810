"""MABWiser on rewards that were drawn before: reads them from an npz, writes which arm it chose in each round.

Knows nothing of Shopkeeper. Runs in an environment of its own: python mab.py GIVEN MADE
"""

import sys

import numpy as np
from mabwiser.mab import MAB, LearningPolicy
from mabwiser.utils import create_rng


def policy(name, settings):
    match name:
        case "ucb1":
            return LearningPolicy.UCB1(alpha=(settings["c"] / 2) ** 0.5)
        case "epsilon_greedy":
            return LearningPolicy.EpsilonGreedy(epsilon=settings["epsilon"])
        case "thompson_beta":
            return LearningPolicy.ThompsonSampling()
        case "linucb":
            return LearningPolicy.LinUCB(alpha=settings["alpha"], l2_lambda=1.0)
        case "lints":
            return LearningPolicy.LinTS(alpha=settings["v"], l2_lambda=1.0)
    raise SystemExit(f"no policy {name}")


def play(made, rewards, contexts, seed, own_numbers):
    """Each arm once, as both sides begin; then it chooses. Arms (rounds,).

    `own_numbers`: linear arms draw by generators of their own. As it comes, all of them have a copy of one generator,
    and so draw the same numbers in a round.
    """
    rounds, arms = rewards.shape
    chosen = np.empty(rounds, dtype=np.int32)
    first = np.arange(arms)
    seen = None if contexts is None else contexts[:arms]
    made.fit(first, rewards[first, first], seen)
    chosen[:arms] = first
    if own_numbers:
        for arm, model in made._imp.arm_to_model.items():
            model.rng = create_rng(seed * arms + arm)
    for at in range(arms, rounds):
        context = None if contexts is None else contexts[at : at + 1]
        arm = made.predict(context)
        made.partial_fit(np.array([arm]), rewards[at, arm : arm + 1], context)
        chosen[at] = arm
    return chosen


def main():
    given, into = sys.argv[1:]
    with np.load(given) as tables:
        rewards, name = tables["rewards"], str(tables["name"])
        contexts = tables["contexts"] if "contexts" in tables.files else None
        settings = {key: float(tables[key]) for key in tables.files if tables[key].ndim == 0 and key != "name"}
    played = [
        play(
            MAB(list(range(rewards.shape[2])), policy(name, settings), seed=seed),
            rewards[seed],
            None if contexts is None else contexts[seed],
            seed,
            settings.get("own_numbers", 0.0) > 0,
        )
        for seed in range(len(rewards))
    ]
    np.savez(into, arms=np.stack(played))


if __name__ == "__main__":
    main()
