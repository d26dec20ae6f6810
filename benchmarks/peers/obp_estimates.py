"""The Open Bandit Pipeline's estimators, in an environment of its own.

prior CAMPAIGN MADE         the chances (arms, places) that its published prior of Thompson sampling gives
estimates GIVEN MADE SEED   of `reward`, `propensity`, `arm`, `chances` (n, k), `expected` (n, k): values and intervals
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from obp.ope import (
    DoublyRobust,
    InverseProbabilityWeighting,
    OffPolicyEvaluation,
    ReplayMethod,
    SelfNormalizedInverseProbabilityWeighting,
)
from obp.policy import BernoulliTS

NAMES = {"ipw": "ips", "snipw": "snips", "dr": "dr", "rm": "replay"}
SAMPLES = 300


def prior(campaign: str, made: str) -> None:
    arms = {"men": 34, "women": 46}[campaign]
    policy = BernoulliTS(n_actions=arms, len_list=3, is_zozotown_prior=True, campaign=campaign, random_state=12345)
    np.savez(made, chances=policy.compute_batch_action_dist(n_rounds=1, n_sim=100_000)[0])


def estimates(given: str, made: str, seed: int) -> None:
    found: list[dict[str, Any]] = []
    for path in sorted(Path(given).glob("*.npz")):
        with np.load(path) as stored:
            columns = {name: stored[name] for name in stored.files}
        found.append(one(columns, seed))
    Path(made).write_text(json.dumps(found))


def one(columns: dict[str, Any], seed: int) -> dict[str, Any]:
    n = len(columns["reward"])
    even = np.ptp(columns["propensity"]) == 0
    estimators = [InverseProbabilityWeighting(), SelfNormalizedInverseProbabilityWeighting(), DoublyRobust()]
    fixed = np.isin(columns["chances"], (0.0, 1.0)).all()
    if even and fixed:  # its replay knows fixed choices alone
        estimators.append(ReplayMethod())
    feedback = {
        "n_rounds": n,
        "context": np.zeros((n, 1)),
        "n_actions": columns["chances"].shape[1],
        "action": columns["arm"].astype(int),
        "reward": columns["reward"],
        "pscore": columns["propensity"],
        "position": np.zeros(n, dtype=int),
    }
    began = time.perf_counter()
    ope = OffPolicyEvaluation(bandit_feedback=feedback, ope_estimators=estimators)
    asked = {
        "action_dist": columns["chances"][:, :, None],
        "estimated_rewards_by_reg_model": columns["expected"][:, :, None],
    }
    values = ope.estimate_policy_values(**asked)
    told = ope.estimate_intervals(**asked, n_bootstrap_samples=SAMPLES, random_state=seed)
    result: dict[str, Any] = {"seconds": time.perf_counter() - began}
    for name, value in values.items():
        its = told[name]
        result[NAMES[name]] = [value, its["95.0% CI (lower)"], its["95.0% CI (upper)"]]
    return result


if __name__ == "__main__":
    if sys.argv[1] == "prior":
        prior(*sys.argv[2:4])
    else:
        estimates(sys.argv[2], sys.argv[3], int(sys.argv[4]))
