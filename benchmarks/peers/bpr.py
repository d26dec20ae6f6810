"""implicit's BPR in an environment of its own: vectors from pairs, an item's bias among them, see pairs.py."""

from __future__ import annotations

from implicit.bpr import BayesianPersonalizedRanking
from pairs import answer

if __name__ == "__main__":
    answer(BayesianPersonalizedRanking, {"learning_rate": "rate"})
