"""A trained model with a feature of texts, over every dialect: what a client has to send, and that all agree."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from api_server import Running, serving

from shopkeeper.client import ShopkeeperClient

ROWS = [{"city": "Oslo", "price": 3.5}, {"city": "Rome", "price": 3.5}, {"city": "nowhere", "price": 9.0}]


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("texts")
    with serving(folder / "home") as running, ShopkeeperClient(running.url) as shop:
        source = {"kind": "file", "path": str(table(folder)), "label": "label", "categorical": ["city"]}
        job = shop.wait(shop.train("cities", "xgb", params={"trees": 20}, source=source).job_id, timeout_s=240)
        assert job.status == "done", job.error
        yield running


def table(folder: Path) -> Path:
    """In Oslo people buy, in Rome they do not; the price says little."""
    random = np.random.default_rng(1)
    lines = ["city,price,label"]
    for _ in range(600):
        city = random.choice(["Oslo", "Rome"])
        lines.append(f"{city},{random.uniform(1, 9):.2f},{int(random.random() < (0.8 if city == 'Oslo' else 0.2))}")
    file = folder / "cities.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def ask(wire: Running, path: str, body: Any) -> Any:
    answer = wire.http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_texts_are_tensors_of_their_own_and_every_dialect_agrees(wire: Running) -> None:
    inputs = wire.http.get("/v2/models/cities").json()["inputs"]
    assert [(one["name"], one["datatype"], one["shape"]) for one in inputs] == [
        ("city", "BYTES", [-1]),
        ("price", "FP64", [-1]),
    ]
    expected = ask(wire, "/predictions/cities", {"data": ROWS})["predictions"]
    assert expected[0] > expected[1]
    columns = [
        {"name": one["name"], "datatype": one["datatype"], "shape": [3], "data": [row[one["name"]] for row in ROWS]}
        for one in inputs
    ]
    texts = {"name": "features", "datatype": "BYTES", "shape": [3], "data": [json.dumps(row) for row in ROWS]}
    for given in (columns, [texts]):
        (told,) = ask(wire, "/v2/models/cities/infer", {"inputs": given})["outputs"]
        assert told["data"] == pytest.approx(expected)
    assert ask(wire, "/v1/models/cities:predict", {"instances": ROWS})["predictions"] == pytest.approx(expected)
    assert ask(wire, "/predict?model=cities", {"data": ROWS})["scores"] == pytest.approx(expected)


def test_a_number_where_a_text_belongs_is_told_by_name(wire: Running) -> None:
    matrix = {"name": "input0", "datatype": "FP64", "shape": [1, 2], "data": [1, 2]}
    for path, body in (
        ("/v2/models/cities/infer", {"inputs": [matrix]}),
        ("/predictions/cities", {"data": [{"city": ["Oslo"]}]}),
        ("/v1/models/cities:predict", {"instances": [[["Oslo"], 3]]}),
    ):
        answer = wire.http.post(path, json=body)
        assert answer.status_code == 400, answer.text
        assert "city" in answer.json()["detail"]
