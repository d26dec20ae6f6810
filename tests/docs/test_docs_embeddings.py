"""docs/embeddings.md says what the code does: doors, names, options, bounds."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from shopkeeper import plugins
from shopkeeper.api import embeddings
from shopkeeper.cli.train import command
from shopkeeper.core import protocols
from shopkeeper.learning import vector_index
from shopkeeper.lifecycle import indexing, views
from shopkeeper.recommend.recall.traits import Traits

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "embeddings.md").read_text(encoding="utf-8")
HEAD = PAGE.split("\n## ", maxsplit=1)[0]


def first_column(text: str) -> set[str]:
    return set(re.findall(r"^\| `([a-z0-9_]+)` \|", text, re.M))


def test_the_algorithms_are_there_and_do_what_the_page_says() -> None:
    listed = first_column(HEAD)
    assert {"two_tower", "youtube_dnn", "dssm", "node2vec", "item2vec", "word2vec"} == listed
    for name in listed:
        model = plugins.algorithm(name).model
        row = next(line for line in HEAD.splitlines() if line.startswith(f"| `{name}` |"))
        said = row.split("|")[2]
        for word, method in (("users", "user_embedding"), ("items", "item_embedding"), ("queries", "query_embedding")):
            if word in said:
                assert callable(getattr(model, method, None)), (name, word)
    assert callable(plugins.algorithm("node2vec").model.recall)


def test_every_option_of_the_older_scripts_is_read() -> None:
    known = {option for parameter in command.params for option in parameter.opts}
    named = set(re.findall(r"`(--[a-z-]+)", HEAD))
    assert named <= known | {"--data"}
    assert len(named) > 14


def test_the_doors_and_names_are_those_of_the_code() -> None:
    paths = {door.path for door in embeddings.doors.all}
    assert paths == set(re.findall(r"^\| `POST (/[a-z_]+)`", PAGE, re.M))
    assert set(views.WIRE) == set(re.findall(r"^\| `((?:user|item)_tower|graph_recall)` \|", PAGE, re.M))
    for name, wire in views.WIRE.items():
        assert re.search(rf"^\| `{name}` \|.*\| `{wire.of}` \|$", PAGE, re.M)
    assert f"top_k={views.TOP_K}" in PAGE
    assert f"from 1 to {views.MOST_K}" in PAGE


def test_what_is_left_out_counts_for_nothing_to_a_tower() -> None:
    assert "features that are left out count for nothing" in PAGE
    assert "(`forget`)" in PAGE
    assert plugins.algorithm("two_tower").Params().forget > 0
    traits = Traits.fitted([{"age": 20, "town": "Ulm"}, {"age": 30, "town": "Bonn"}], least=1)
    vectors = np.ones((traits.size, 2), dtype=np.float32)
    said = traits.bag([{}, {"age": None, "town": None}, {"shoe": 40}, {"age": 20}]).sums(vectors)
    assert said.any(axis=1).tolist() == [False, False, False, True]


def test_the_bounds_of_the_index_are_those_of_the_code() -> None:
    assert f"Up to {vector_index.EXACT_UP_TO:,} vectors" in PAGE
    assert f"find {vector_index.LEAST_RECALL:.0%} of the {vector_index.AT} nearest".replace("%", " %") in PAGE
    assert f"`{indexing.RECALL}`" in PAGE
    assert "index" in protocols.IndexedVectors.__dict__
