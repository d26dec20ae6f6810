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
_LEAST_COSINE = 0.05
_RIDGE = 0.1
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

    def __init__(self, basis: Basis, pairs: Pairs, left: Ready, right: Ready, words: Words | None, seed: int) -> None:
        self._basis = basis
        self._query, self._doc, self._label = with_wrong(pairs, seed)
        queries, self._left_row = np.unique(self._query, return_inverse=True)
        docs, self._right_row = np.unique(self._doc, return_inverse=True)
        self._left, self._right = left.take(queries), right.take(docs)
        self._said = None if words is None else words(self._query, self._doc)

    def __call__(self, learned: Arrays, loss: float) -> float:
        """The mean of AUC and, where queries have right and wrong documents, MAP; once it is mixed as it will be."""
        if not len(self._label):
            return -loss
        cosine, said = self._parts(learned)
        mixed = _mixed(cosine, said, self._label)
        logits = (mixed[0] + mixed[1] * cosine + mixed[2] * said).astype(np.float32)
        found = measuring.of_pairs(self._label, chance(logits))
        if not found:
            return -loss
        lists = measuring.of_lists(self._label, logits, self._query) or {"map": found["auc"]}
        return float(found["auc"] + lists["map"]) / 2 - _SURE * found["log_loss"]  # of equal ones the surer

    def mixed(self, learned: Arrays) -> Arrays:
        """What the vectors and the words count beside each other, and so that the sum tells how probably a pair is
        right; as it was where nothing can be told."""
        if not len(self._label) or self._label.min() == self._label.max():
            return learned
        cosine, said = self._parts(learned)
        offset, of_cosine, of_words = _mixed(cosine, said, self._label)
        return {
            **learned,
            "offset": np.array(offset, dtype=np.float32),
            "scale": np.array(of_cosine, dtype=np.float32),
            "word_weights": learned["word_weights"] * np.float32(of_words),
        }

    def _parts(self, learned: Arrays) -> tuple[Floats, Floats]:
        """(pairs,) the cosine, and what the words say."""
        towers = self._basis.towers(learned)
        one, other = towers.vectors(self._left, "query"), towers.vectors(self._right, "doc")
        cosine: Floats = (one[self._left_row] * other[self._right_row]).sum(axis=1)
        said = np.zeros_like(cosine) if self._said is None else self._said @ learned["word_weights"]
        return cosine, said


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


def _mixed(cosine: Floats, said: Floats, label: Floats) -> NDArray[np.float64]:
    """(3,) offset, weight of the cosine and of what the words say, for the logarithm of the odds that a pair is right.
    Labels are drawn in a little, as Platt has it for small samples (1999); neither weight is below 0."""
    ones, zeros = float(label.sum()), float(len(label) - label.sum())
    target = np.where(label > 0.5, (ones + 1) / (ones + 2), 1 / (zeros + 2))
    columns = np.column_stack([np.ones(len(label)), cosine, said]).astype(np.float64)
    kept = [0, 1, 2] if said.any() else [0, 1]
    result = np.zeros(3)
    result[kept] = logistic(columns[:, kept], target, ridge=_RIDGE)
    if result[2] < 0 or result[1] < _LEAST_COSINE:  # one of them says nothing: the other alone
        alone = 1 if result[2] < 0 or len(kept) == 2 else 2
        result[:] = [0.0, _LEAST_COSINE, 0.0]
        result[[0, alone]] = logistic(columns[:, [0, alone]], target, ridge=_RIDGE)
        result[1:] = np.maximum(result[1:], [_LEAST_COSINE, 0.0])
    return result


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
