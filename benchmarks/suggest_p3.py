"""MovieLens-1M, protocol P3: the held-out movie among 99 that were drawn, the test of the NCF paper."""

from __future__ import annotations

from benchmarks.suggest_protocols import NEVER, p3
from benchmarks.suggest_quality import Contest, Ours, Peer, Published, written

_PROTOCOL = (
    "**P3**: the file of the NCF paper: of each of the 6,040 users one held-out movie and 99 others; where the "
    "movie is among the 99 (156 users) it is one of 99. Learned from are all other ratings, whatever their stars; "
    "settings of als and of implicit's ALS and BPR were chosen on the last of these with 99 movies drawn evenly "
    "(BPR of two, each with four shares of popularity put back, see P2, on a third of the users), the others are "
    "untried or those of P2. A tie goes against the model. Mean over users with the 95 % interval of resampled "
    "users; a model that draws is the mean of three seeds for each user. The drawn 99 are easy ones: figures of P3 "
    "say nothing about lists from a whole catalogue. Published: gorse's test of BPR and ALS with 8 numbers a vector "
    "(0.36 within 0.01, its own draw of 100), He et al. 2017 for NeuMF."
)
_MODELS = {
    "popularity": Ours("popularity", {"half_life_days": NEVER}),
    "item_knn": Ours("item_knn", {"half_life_days": NEVER, "k": 200}),
    "ease": Ours("ease", {"half_life_days": NEVER, "l2": 500.0, "k": 3000}),
    "als, 8 numbers": Ours(
        "als", {"half_life_days": None, "dimensions": 8, "sweeps": 10, "alpha": 0.3, "l2": 0.003}, drawn=True
    ),
    "als, 64 numbers": Ours(
        "als", {"half_life_days": None, "dimensions": 64, "sweeps": 8, "alpha": 0.3, "l2": 0.003}, drawn=True
    ),
    "implicit's ALS, 8 numbers": Peer("als", {"dim": 8, "decay": 30.0, "alpha": 2.0, "epochs": 15}),
    "implicit's BPR, 8 numbers": Peer("bpr", {"dim": 8, "decay": 0.01, "rate": 0.02, "epochs": 60}),
    "implicit's BPR, 8 numbers, popularity put back": Peer(
        "bpr", {"dim": 8, "decay": 0.01, "rate": 0.02, "epochs": 60, "popularity": 1.0}
    ),
}
_PUBLISHED = (
    Published("gorse, BPR and ALS, 8 numbers", None, 0.36),
    Published("NeuMF with pre-training, 8 numbers", 0.684, 0.403),
    Published("NeuMF with pre-training, 64 numbers", 0.730, 0.447),
)


def main() -> None:
    def tables() -> list[dict[str, object]]:
        contest = Contest(p3(tuning=False), _MODELS, {"ease": 1.0, "als, 64 numbers": 1.0}, _PUBLISHED)
        return [contest.table("MovieLens-1M, P3: one movie among 99 drawn ones")]

    written("suggest_p3", "Recall on MovieLens-1M, protocol P3", _PROTOCOL, tables, [])


if __name__ == "__main__":
    main()
