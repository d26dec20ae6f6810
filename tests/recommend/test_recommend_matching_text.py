"""What a matcher reads in a text, how words agree, and the measures, each against its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from shopkeeper.recommend.matching import lexical, measuring
from shopkeeper.recommend.matching import text as text_module
from shopkeeper.recommend.matching.lexical import MEASURES, Lexicon
from shopkeeper.recommend.matching.model import bags_of
from shopkeeper.recommend.matching.text import Reader, Said, stem, tokens

DOCS = ["red china mug", "blue mug mug", "brass lamp for reading", "红色茶杯", ""]


def features(text: str) -> set[int]:
    return set(Reader(4000).read([text]).feature.tolist())


def alike(one: str, other: str) -> float:
    bags = bags_of(Reader(4000).read([one, other]), np.ones(1 << 16, dtype=np.float32))
    return float((bags[0] @ bags[1].T).toarray()[0, 0])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Two-seat SOFA, 2.5m!", ["Two", "seat", "SOFA", "2", "5m"]),
        ("红色mug杯", ["红", "色", "mug", "杯"]),
        ("Crème brûlée", ["Creme", "brulee"]),
        ("ＡＢ１", ["AB1"]),
        ("?!… _", []),
        ("x" * 1000, ["x" * 40]),
    ],
)
def test_words_are_parted(text: str, found: list[str]) -> None:
    assert list(tokens(text)) == found


def test_endings_are_taken_off() -> None:
    assert len({stem(word) for word in ("paint", "paints", "painted", "painting", "paintings")}) == 1
    assert stem("glass") == stem("glasses")
    assert stem("bus") == "bus"
    assert stem("running") == stem("runs") == "run"


def test_case_and_accents_do_not_matter_and_order_does() -> None:
    assert features("creme") == features("crème")
    assert features("Creme") > features("creme")  # the shape of a name is one more
    assert features("mug red") != features("red mug")
    assert alike("red mug", "mug red") > 0.5


def test_words_that_look_alike_share_pieces_and_others_do_not() -> None:
    assert alike("lamp", "lamps") > 0.25
    assert alike("lamp", "mug") == 0
    assert alike("红色茶杯", "茶杯红色") > alike("红色茶杯", "红茶色杯") > 0


def test_a_pair_is_none_across_texts() -> None:
    """Texts read together are read as each alone."""
    reader = Reader(4000)
    together = reader.read(DOCS)
    for at, text in enumerate(DOCS):
        alone, part = reader.read([text]), together.take(np.array([at]))
        for name in ("start", "feature", "weight", "term_start", "term"):
            np.testing.assert_array_equal(getattr(alone, name), getattr(part, name), err_msg=f"{text} {name}")


@given(st.lists(st.text(max_size=40), max_size=5))
def test_any_text_is_read(texts: list[str]) -> None:
    said = Reader(30).read(texts)
    assert len(said) == len(texts)
    bags = bags_of(said, np.ones(512, dtype=np.float32))
    length = np.sqrt(np.asarray(bags.multiply(bags).sum(axis=1)).ravel())
    filled = np.diff(said.start) > 0
    # Features that share a place of the table add up, so that a row may be longer, never shorter.
    assert (length[filled] >= 1 - 1e-4).all()
    assert not length[~filled].any()


def test_what_was_read_is_not_changed_by_comparing_it() -> None:
    said = Reader(4000).read(DOCS)
    before = said.term.copy(), said.term_start.copy()
    Lexicon.of(said)
    lexical.present(said)
    np.testing.assert_array_equal(said.term, before[0])
    np.testing.assert_array_equal(said.term_start, before[1])


def bm25(query: list[str], doc: list[str], docs: list[list[str]]) -> float:
    usual, total = sum(map(len, docs)) / len(docs), 0.0
    for word in set(query):
        held = sum(word in each for each in docs)
        idf = math.log1p((len(docs) - held + 0.5) / (held + 0.5))
        times = doc.count(word)
        total += idf * times * 2.2 / (times + 1.2 * (1 - 0.75 + 0.75 * len(doc) / usual))
    return total


def test_bm25_is_that_of_the_formula() -> None:
    docs = [doc.split() for doc in DOCS[:3]]
    reader = Reader(4000)
    told, asked = reader.read(DOCS[:3]), reader.read(["china mug", "mug", "nothing known"])
    lexicon = Lexicon.of(told)
    pairs = np.indices((3, 3)).reshape(2, -1)
    found = lexical.of_pairs([lexical.present(asked)], [lexical.bm25_documents(lexicon, told)], *pairs)[:, 0]
    queries = [["china", "mug"], ["mug"], ["nothing", "known"]]
    expected = [bm25(queries[query], docs[doc], docs) for query, doc in pairs.T]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_measures_of_words() -> None:
    reader = Reader(4000)
    told, asked = reader.read(DOCS), reader.read(["brass lamp for reading", "red lamp", ""])
    lexicon, bags = Lexicon.of(told), np.ones(1 << 12, dtype=np.float32)
    found = lexical.of_pairs(
        lexicon.queries(asked, bags_of(asked, bags)),
        lexicon.documents(told, bags_of(told, bags)),
        np.array([0, 1, 2, 1]),
        np.array([2, 2, 2, 4]),
    )
    said = dict(zip(MEASURES, found.T, strict=True))
    np.testing.assert_allclose(said["cosine"][[0, 2, 3]], [1, 0, 0], atol=1e-5)
    np.testing.assert_allclose(said["coverage"][[0, 2, 3]], [1, 0, 0], atol=1e-5)
    assert 0 < said["coverage"][1] < 1
    assert np.isfinite(found).all()


def test_shared_words_are_counted() -> None:
    asked, told = (Reader(4000).read([text]) for text in ("the red mug and the lamp", "a mug, a red one"))
    found = lexical.of_pairs([lexical.present(asked)], [lexical.present(told)], np.array([0]), np.array([0]))
    assert found[0, 0] == 2


def test_map_and_mrr_by_hand() -> None:
    query = np.array([0, 0, 0, 1, 1, 2, 2, 3, 3])
    label = np.array([1, 0, 1, 0, 1, 0, 0, 1, 0], dtype=np.float32)
    score = np.array([3, 2, 1, 5, 4, 1, 2, 7, 7], dtype=np.float32)
    found = measuring.of_lists(label, score, query)
    # 0: places 1 and 3; 1: place 2; 2 has nothing right; 3: a tie counts as the worse order.
    assert found["lists"] == 3
    assert found["map"] == pytest.approx(np.mean([(1 + 2 / 3) / 2, 1 / 2, 1 / 2]))
    assert found["mrr"] == pytest.approx(np.mean([1, 1 / 2, 1 / 2]))
    assert measuring.of_lists(label[5:7], score[5:7], query[5:7]) == {}
    assert measuring.of_pairs(np.ones(3, dtype=np.float32), score[:3]) == {}


def test_search_by_hand() -> None:
    scores = np.array([[0.9, 0.5, 0.5], [0.0, 0.0, 0.0]], dtype=np.float32)
    found = measuring.of_search(scores, [np.array([1]), np.array([0, 2])])
    assert found == {"recall@10": 1.0, "mrr@10": pytest.approx((1 / 3 + 1 / 3) / 2)}
    many = np.zeros((1, 20), dtype=np.float32)
    assert measuring.of_search(many, [np.array([3])]) == {"recall@10": 0.0, "mrr@10": 0.0}


def test_taking_rows_keeps_their_parts() -> None:
    said: Said = Reader(4000).read(DOCS)
    some = said.take(np.array([3, 0, 0]))
    assert len(some) == 3
    bags, chosen = (bags_of(each, np.ones(999, dtype=np.float32)) for each in (said, some))
    assert isinstance(chosen, csr_matrix)
    np.testing.assert_allclose(chosen.toarray(), bags[[3, 0, 0]].toarray())


def test_texts_are_read_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a text becomes does not hang on those beside it."""
    texts = [*DOCS, "", "灯 lamps 1999", *DOCS[::-1]]
    whole = Reader(4000).read(texts)
    for many in (1, 2, len(texts) - 1):
        monkeypatch.setattr(text_module, "_READ_AT_ONCE", many)
        parts = Reader(4000).read(texts)
        for name in ("start", "feature", "weight", "term_start", "term"):
            one, other = getattr(parts, name), getattr(whole, name)
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype
