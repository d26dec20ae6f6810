"""implicit's ALS in an environment of its own: vectors of users and items from pairs, see pairs.py."""

from __future__ import annotations

from implicit.als import AlternatingLeastSquares
from pairs import answer

if __name__ == "__main__":
    answer(AlternatingLeastSquares, {"alpha": "alpha"})
