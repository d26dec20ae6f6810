"""Hypothesis strategies for typed rule trees and for profiles to run them on."""

from __future__ import annotations

from hypothesis import strategies as st

from shopkeeper.rules import build
from shopkeeper.rules.schema import Field, Schema
from shopkeeper.rules.tree import Node, depth

SCHEMA = Schema(
    [
        Field("a", "number"),
        Field("b", "number", windows=(1, 24, 168)),
        Field("plan", "text"),
        Field("city", "text"),
        Field("vip", "bool"),
        Field("counts", "map", windows=(24,)),
    ]
)
WORDS = ("", "5G", "5G family", "family", "12", "-3.5", "nan", "1_0", "it's \\ a\n\ttest", "桜")
KEYS = ("order", "click", "x y")
numbers = st.one_of(
    st.integers(-6, 6).map(float),
    st.sampled_from([0.1, 1e300, -1e300, 1e-300, 2.5, 1e15, 123456789.125]),
    st.floats(allow_nan=False, allow_infinity=False),
)


def refs(kind: str) -> st.SearchStrategy[Node]:
    names = {
        "number": [("a", None), ("b", None), ("b", 1), ("b", 24), ("b", 168)],
        "text": [("plan", None), ("city", None)],
        "bool": [("vip", None)],
        "map": [("counts", None), ("counts", 24)],
    }
    return st.sampled_from(names[kind]).map(lambda pair: SCHEMA.ref(pair[0], 1, pair[1]))


words = st.sampled_from(WORDS).map(build.constant)
keys = st.sampled_from(KEYS).map(build.constant)
flags = st.booleans()


def number_trees(inner: st.SearchStrategy[Node], texts: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return st.one_of(
        inner.map(build.negate),
        st.builds(build.arithmetic, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner, inner),
        st.builds(build.get, refs("map"), keys, st.one_of(st.none(), inner)),
        st.builds(build.call, st.sampled_from(["min", "max"]), st.lists(inner, min_size=2, max_size=4)),
        st.builds(lambda f, x: build.call(f, [x]), st.sampled_from(["int", "float"]), st.one_of(inner, texts)),
        st.builds(lambda x: build.call("len", [x]), st.one_of(texts, refs("map"))),
        st.builds(lambda x: build.call("int", [x]), refs("bool")),
    )


texts = st.one_of(refs("text"), words)
simple = st.one_of(refs("number"), numbers.map(build.constant))
number_nodes = st.recursive(simple, lambda inner: number_trees(inner, texts), max_leaves=6)
text_nodes = st.one_of(texts, number_nodes.map(lambda node: build.call("str", [node])))
comparisons = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
conditions = st.one_of(
    st.builds(build.compare, comparisons, number_nodes, number_nodes),
    st.builds(build.compare, comparisons, text_nodes, text_nodes),
    st.builds(build.one_of, number_nodes, st.lists(numbers.map(build.constant), max_size=12), flags),
    st.builds(build.one_of, text_nodes, st.lists(words, max_size=4), flags),
    st.builds(build.contains, text_nodes, text_nodes, flags),
    st.builds(build.contains, refs("map"), keys, flags),
    st.builds(build.is_none, st.one_of(number_nodes, text_nodes), flags),
    refs("bool"),
    flags.map(build.constant),
)
rules = st.recursive(
    conditions,
    lambda inner: st.one_of(
        inner.map(build.negation),
        st.builds(build.both, inner, inner),
        st.builds(build.either, inner, inner),
        st.builds(build.compare, st.sampled_from(["==", "!="]), inner, inner),
    ),
    max_leaves=6,
).filter(lambda node: depth(node) <= 30)

maybe_number = st.one_of(st.none(), numbers)
maybe_map = st.one_of(st.none(), st.dictionaries(st.sampled_from(KEYS), maybe_number))
profiles = st.fixed_dictionaries(
    {},
    optional={
        **{name: maybe_number for name, kind in SCHEMA.types.items() if kind == "number"},
        **{name: st.one_of(st.none(), st.sampled_from(WORDS)) for name in ("plan", "city")},
        "vip": st.one_of(st.none(), st.booleans()),
        **{name: maybe_map for name, kind in SCHEMA.types.items() if kind == "map"},
    },
)
