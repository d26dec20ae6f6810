"""From a version's folder to a model that may answer: verify, load, compare with the golden rows.

The golden file is written when the model is trained: a small input and what the model answered to it. A load that
answers anything else is refused, whatever its hashes say: another library version, another machine, a changed class.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from shopkeeper import plugins
from shopkeeper.core.errors import NotFound, ShopkeeperError, Unavailable
from shopkeeper.core.protocols import Family, RowScorer
from shopkeeper.core.records import FileEntry, Version
from shopkeeper.learning.vector_index import VectorIndex
from shopkeeper.lifecycle.indexing import index_of
from shopkeeper.lifecycle.outputs import check_outputs, kind_of
from shopkeeper.lifecycle.versions import REMOVED
from shopkeeper.lifecycle.views import View, seen
from shopkeeper.stores import artifacts

GOLDEN = "golden.json"
_RELATIVE, _ABSOLUTE = 1e-5, 1e-6


class Golden(msgspec.Struct, kw_only=True):
    input: Any
    expected: list[float]


class Loaded:
    """A version in memory. An old one lives as long as a request holds it; `with` counts the requests in flight.

    `lane` and `answered` (requests told by it) belong to `predicting.py`.
    """

    def __init__(self, version: Version, model: Any, family: Family, item_index: VectorIndex | None = None) -> None:
        """`item_index`: over the vectors of the model's items, see indexing.py."""
        self.version = version
        self.item_index = item_index
        self.model = model
        self.family = family
        self.scores_rows = isinstance(model, RowScorer)
        self.output = kind_of(model)
        self.lane: Any = None
        self.answered = 0
        self.in_flight = 0
        self._lock = threading.Lock()
        self._seen: dict[str, Loaded] = {}

    def score(self, rows: list[dict[str, Any]]) -> list[Any]:
        """One output a row, checked. Raises Invalid (rows), Unavailable (`bad_output`)."""
        outputs: list[Any] = self.model.score_rows(rows)
        check_outputs(self.version.model, self.model, outputs, len(rows))
        return outputs

    def seen_as(self, view: View) -> Loaded:
        """The same version in another view, made once. Raises Invalid (`wrong_model`)."""
        with self._lock:
            if (there := self._seen.get(view)) is None:
                there = Loaded(self.version, seen(self.model, view, self.version.model), self.family)
                self._seen[view] = there
        return there

    def __enter__(self) -> Loaded:
        with self._lock:
            self.in_flight += 1
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.in_flight -= 1


def load_version(version: Version, folder: Path) -> Loaded:
    """Raises NotFound or Unavailable (`artifact_broken`), Unavailable (`not_installed`)."""
    if version.status == REMOVED:
        raise NotFound(f"{version.model} v{version.version} was removed; its row stays as a record", code="removed")
    model, family = load_model(version.algorithm, folder, version.files)
    if list(model.feature_names) != version.feature_names:
        raise _broken(version, "its feature names are not those that it was registered with")
    return Loaded(version, model, family, index_of(model, folder))


def load_model(algorithm: str, folder: Path, files: Sequence[FileEntry]) -> tuple[Any, Family]:
    """The verified model and its family, after the golden comparison, which also warms it up."""
    artifacts.verify(folder, files)
    trainer = plugins.algorithm(algorithm)
    family = plugins.family(trainer.family)
    golden = _read_golden(folder)
    try:
        model = trainer.model.load(folder)
        outputs = family.probe(model, golden.input)
        difference = difference_of(outputs, golden.expected)
    except ShopkeeperError:
        raise
    except Exception as error:  # the edge: a stranger's model may raise anything, and the old version must go on
        raise _not_loading(folder, f"{type(error).__name__}: {error}") from error
    if difference is not None:
        raise _not_loading(folder, difference)
    return model, family


def difference_of(outputs: Sequence[float], expected: Sequence[float]) -> str | None:
    """What is wrong with the outputs on the golden input; None when they agree to 1e-5 and are finite."""
    if len(outputs) != len(expected):
        return f"it gives {len(outputs)} outputs on the golden input, expected {len(expected)}"
    if not all(isfinite(value) for value in outputs):
        return "it gives NaN or infinity on the golden input"
    if not np.allclose(outputs, expected, rtol=_RELATIVE, atol=_ABSOLUTE):
        worst = float(np.max(np.abs(np.asarray(outputs) - np.asarray(expected))))
        return f"its outputs on the golden input are off by up to {worst:.3g}"
    return None


def write_golden(folder: Path, golden: Any, expected: Sequence[float]) -> None:
    (folder / GOLDEN).write_bytes(msgspec.json.encode(Golden(input=golden, expected=list(map(float, expected)))))


def _read_golden(folder: Path) -> Golden:
    try:
        return msgspec.json.decode((folder / GOLDEN).read_bytes(), type=Golden)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _not_loading(folder, f"its golden rows cannot be read ({error})") from error


def _broken(version: Version, what: str) -> Unavailable:
    return Unavailable(f"{version.model} v{version.version}: {what}; train again", code="artifact_broken")


def _not_loading(folder: Path, what: str) -> Unavailable:
    name = "/".join(folder.parts[-3:])
    return Unavailable(f"the artifact {name} cannot serve: {what}; train again or roll back", code="artifact_broken")
