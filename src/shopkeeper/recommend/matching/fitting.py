"""What a matcher takes from the training's texts before its towers learn (how rare words are, how numbers are spread),
how it is graded meanwhile, and what makes a probability of its score."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.recommend.matching import measuring
from shopkeeper.recommend.matching.lexical import MEASURES, Lexicon
from shopkeeper.recommend.matching.model import About, Arrays, Matcher, Reading, Ready, Towers, Words, chance
from shopkeeper.recommend.matching.pairs import Pairs, Rows, Side
from shopkeeper.recommend.matching.text import Floats, Reader

VALIDATION = 0.1
_FEWEST = 20
"""Queries with a right document; of fewer none is spared to tell when to stop."""
_WRONG = 4
_LEAST_SLOPE = 0.05
_UNSEEN = 0.3
"""What a word counts that no training saw, beside the rarest that one did: nothing is learned of it, it only draws
together what holds it."""
_SURE = 0.01


@dataclass(frozen=True)
class Basis:
    """`arrays` are those of a model that do not learn by gradients."""

    about: About
    arrays: Arrays
    reading: Reading

    def towers(self, learned: Arrays) -> Towers:
        return Towers(self.about, {**self.arrays, **learned}, self.reading)

    def model(self, learned: Arrays, epoch: int, docs: Side, doc_ids: tuple[str, ...]) -> Matcher:
        about = msgspec.structs.replace(self.about, best_epoch=epoch)
        towers = Towers(about, {**self.arrays, **learned})
        vectors = towers.vectors(towers.ready(docs, "doc"), "doc") if doc_ids else None
        return Matcher(towers, doc_ids, vectors)


class Grader:
    """Grades a state by pairs that it does not learn from; without any by how well it learned (`loss`)."""

    def __init__(self, basis: Basis, pairs: Pairs, left: Ready, right: Ready, words: Words | None) -> None:
        self._basis, self._pairs = basis, pairs
        queries, self._query = np.unique(pairs.query, return_inverse=True)
        docs, self._doc = np.unique(pairs.doc, return_inverse=True)
        self._left, self._right = left.take(queries), right.take(docs)
        self._said = None if words is None else words(pairs.query, pairs.doc)

    def __call__(self, learned: Arrays, loss: float) -> float:
        """The mean of what can be said: AUC, MAP, or where nothing is labelled wrong 1 / the place of what is right
        among the documents of these pairs."""
        label = self._pairs.label
        if not len(label):
            return -loss
        logits = self.logits(learned)
        pairs = measuring.of_pairs(label, chance(logits))
        grades = [of["auc"] for of in (pairs,) if of]
        grades += [of["map"] for of in (measuring.of_lists(label, logits, self._pairs.query),) if of]
        if grades:
            return float(np.mean(grades)) - _SURE * pairs["log_loss"]  # of equal ones the surer
        one, other = self._vectors(learned)
        right = [self._doc[self._query == query] for query in range(len(one))]
        return measuring.of_search(one @ other.T, right)[f"mrr@{measuring.K}"]

    def logits(self, learned: Arrays) -> Floats:
        one, other = self._vectors(learned)
        cosine = (one[self._query] * other[self._doc]).sum(axis=1)
        logits = cosine * learned["scale"] + learned["offset"]
        found: Floats = logits if self._said is None else logits + self._said @ learned["word_weights"]
        return found

    def _vectors(self, learned: Arrays) -> tuple[Floats, Floats]:
        towers = self._basis.towers(learned)
        return towers.vectors(self._left, "query"), towers.vectors(self._right, "doc")


def validation(pairs: Pairs, seed: int) -> tuple[Pairs, Pairs]:
    """(to learn from, to grade by): a tenth of the queries with a right document, and of the others, drawn by `seed`;
    none where there are few."""
    right = np.unique(pairs.query[pairs.label > 0.5])
    spared = np.zeros(len(pairs.queries), dtype=np.bool_)
    if len(right) >= _FEWEST:
        others = np.setdiff1d(np.unique(pairs.query), right)
        random = np.random.default_rng(seed)
        for some in (right, others):
            spared[random.permutation(some)[: round(len(some) * VALIDATION)]] = True
    return pairs.of_queries(~spared), pairs.of_queries(spared)


def fitted(pairs: Pairs, buckets: int, characters: int, *, shared: bool) -> Basis:
    """Of the queries and documents of these pairs, and no others. Raises Invalid (`bad_data`) for a number that is not
    finite."""
    queries, docs = pairs.queries.take(np.unique(pairs.query)), pairs.docs.take(np.unique(pairs.doc))
    reader = Reader(characters)
    asked, told = reader.read(queries.texts), reader.read(docs.texts)
    lexicon = Lexicon.of(told)
    places = np.concatenate([asked.feature, told.feature]) % np.uint32(buckets)
    found_in = np.bincount(places, minlength=buckets)
    bag_idf = np.log1p((len(asked) + len(told)) / (1.0 + found_in)).astype(np.float32)
    bag_idf[found_in == 0] *= _UNSEEN
    arrays: Arrays = {"bag_idf": bag_idf, "term_idf": lexicon.idf}
    for name, side in (("query", queries), ("doc", docs)):
        arrays[f"{name}_mean"], arrays[f"{name}_spread"] = _spread(side)
    about = About(
        query=pairs.query_columns,
        doc=pairs.doc_columns,
        buckets=buckets,
        characters=characters,
        usual_length=lexicon.usual_length,
        shared=shared,
    )
    return Basis(about, arrays, Reading(about, arrays))


def with_wrong(pairs: Pairs, seed: int) -> tuple[Rows, Rows, Floats]:
    """(query, doc, label) of the pairs; where none is labelled wrong, with four drawn ones beside each."""
    if not len(pairs) or pairs.label.min() < 0.5:
        return pairs.query, pairs.doc, pairs.label
    random = np.random.default_rng(seed)
    query = np.repeat(pairs.query, _WRONG)
    doc = pairs.doc[random.integers(len(pairs.doc), size=len(query))]
    known = set(zip(pairs.query.tolist(), pairs.doc.tolist(), strict=True))
    wrong = np.array([pair not in known for pair in zip(query.tolist(), doc.tolist(), strict=True)])
    label = np.concatenate([pairs.label, np.zeros(int(wrong.sum()), dtype=np.float32)])
    return np.concatenate([pairs.query, query[wrong]]), np.concatenate([pairs.doc, doc[wrong]]), label


def words_alone(words: Words, query: Rows, doc: Rows, label: Floats) -> Floats:
    """(1 + measures,) offset and weights of a logistic regression on how words agree: what learning begins with. Zeros
    where all of `label` is one."""
    if not len(label) or label.min() == label.max():
        return np.zeros(1 + len(MEASURES), dtype=np.float32)
    said = words(query, doc).astype(np.float64)
    found = logistic(np.column_stack([np.ones(len(said)), said]), label.astype(np.float64), ridge=1.0)
    return found.astype(np.float32)


def calibrated(learned: Arrays, logits: Floats, label: Floats) -> Arrays:
    """Scale, offset and weights so that `logits` (n,) are those of how often pairs with such a score are right (Platt
    1999, his targets of small samples); unchanged where all of `label` is one."""
    ones, zeros = float(label.sum()), float(len(label) - label.sum())
    if not ones or not zeros:
        return learned
    target = np.where(label > 0.5, (ones + 1) / (ones + 2), 1 / (zeros + 2))
    b, a = logistic(np.column_stack([np.ones(len(logits)), logits]).astype(np.float64), target, ridge=1e-6)
    slope = np.float32(max(a, _LEAST_SLOPE))
    changed = {name: learned[name] * slope for name in ("scale", "offset", "word_weights")}
    return {**learned, **changed, "offset": changed["offset"] + np.float32(b)}


def logistic(x: NDArray[np.float64], target: NDArray[np.float64], ridge: float) -> NDArray[np.float64]:
    """(columns,) weights for x (n, columns) and shares (n,), by Newton's steps; `ridge` holds them back."""
    weights = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        curve = (x * (p * (1 - p))[:, None]).T @ x + ridge * np.eye(x.shape[1])
        step = np.linalg.solve(curve, x.T @ (p - target) + ridge * weights)
        weights -= step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-8:
            break
    return weights


def _spread(side: Side) -> tuple[Floats, Floats]:
    mean, spread = np.zeros(side.values.shape[1]), np.ones(side.values.shape[1])
    for at, column in enumerate(side.values.T.astype(np.float64)):
        known = column[~np.isnan(column)]
        if not np.isfinite(known).all():
            raise Invalid("a number to learn from is infinite", code="bad_data")
        if len(known):
            mean[at], spread[at] = known.mean(), known.std() or 1.0
    return mean.astype(np.float32), spread.astype(np.float32)
