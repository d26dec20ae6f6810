"""Checks for what any trained model leaves on the disk: `for check in CHECKS: check(trained, folder)`.

A shop's own algorithm passes them as the built-in ones do. `folder` is empty and the check's own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from shopkeeper import plugins
from shopkeeper.core.errors import Unavailable
from shopkeeper.core.records import FileEntry, Version
from shopkeeper.lifecycle.archives import read_archive, write_archive
from shopkeeper.lifecycle.loading import difference_of, load_model, write_golden
from shopkeeper.stores.archives import ArchiveLimits
from shopkeeper.stores.artifacts import seal

_PICKLED = (".pkl", ".pickle", ".joblib")


@dataclass(frozen=True)
class Trained:
    """A model fresh from `fit`, the name of its algorithm, and the golden input of its family."""

    algorithm: str
    model: Any
    golden: Any

    def probe(self, model: Any) -> list[float]:
        family = plugins.family(plugins.algorithm(self.algorithm).family)
        return family.probe(model, self.golden)

    def save(self, folder: Path) -> list[FileEntry]:
        self.model.save(folder)
        write_golden(folder, self.golden, self.probe(self.model))
        return seal(folder, {})


def saved_and_loaded(model: Any) -> Any:
    """A model of the same class, read from what this one wrote: data files only, nothing pickled."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model.save(folder)
        kept = list(folder.iterdir())
        assert kept, "nothing was saved"
        assert not [file.name for file in kept if file.suffix in _PICKLED]
        return type(model).load(folder)


def differing_in_threads(score: Callable[[Any], Any], parts: Sequence[Any]) -> list[int]:
    """Places of the parts for which several threads at the same time give other arrays than one thread; best none."""
    alone = [score(part) for part in parts]
    with ThreadPoolExecutor(4) as pool:
        pairs = zip(alone, pool.map(score, parts), strict=True)
        return [at for at, (one, other) in enumerate(pairs) if not np.array_equal(one, other, equal_nan=True)]


Check: TypeAlias = Callable[[Trained, Path], None]


def check_its_answers_are_finite(trained: Trained, folder: Path) -> None:
    assert not list(folder.iterdir())
    outputs = trained.probe(trained.model)
    assert outputs, f"{trained.algorithm}: the golden input has no outputs"
    assert all(isfinite(value) for value in outputs)


def check_saved_and_loaded_it_answers_the_same(trained: Trained, folder: Path) -> None:
    model, _ = load_model(trained.algorithm, folder, trained.save(folder))
    assert difference_of(trained.probe(model), trained.probe(trained.model)) is None
    assert tuple(model.feature_names) == tuple(trained.model.feature_names)


def check_saving_does_not_change_the_model(trained: Trained, folder: Path) -> None:
    before = trained.probe(trained.model)
    trained.save(folder)
    assert trained.probe(trained.model) == before


def check_a_copy_of_a_copy_is_the_same(trained: Trained, folder: Path) -> None:
    first, second = folder / "first", folder / "second"
    first.mkdir()
    second.mkdir()
    model, _ = load_model(trained.algorithm, first, trained.save(first))
    copy = Trained(trained.algorithm, model, trained.golden)
    again, _ = load_model(trained.algorithm, second, copy.save(second))
    assert difference_of(trained.probe(again), trained.probe(trained.model)) is None


def check_any_changed_file_is_refused(trained: Trained, folder: Path) -> None:
    files = trained.save(folder)
    for entry in files:
        file = folder / entry.name
        whole = file.read_bytes()
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        assert _refusal(trained.algorithm, folder, files) == "artifact_broken", f"{entry.name}: a changed byte passed"
        file.write_bytes(whole)


def _refusal(algorithm: str, folder: Path, files: list[FileEntry]) -> str | None:
    """The code of the error that a load ends with; None when it loads."""
    try:
        load_model(algorithm, folder, files)
    except Unavailable as error:
        return error.code
    return None


def check_threads_share_it(trained: Trained, folder: Path) -> None:
    model, _ = load_model(trained.algorithm, folder, trained.save(folder))
    expected = trained.probe(model)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: trained.probe(model), range(16)))
    assert all(difference_of(answer, expected) is None for answer in answers)


def check_it_travels_to_another_shop(trained: Trained, folder: Path) -> None:
    """Its files pass the checks that a stranger's archive must pass."""
    made, archive = folder / "made", folder / "made.tar.gz"
    made.mkdir()
    files = trained.save(made)
    names = list(trained.model.feature_names)
    version = Version(
        model="model", scope="all", version=1, algorithm=trained.algorithm, status="ready", files=files,
        feature_names=names,
    )  # fmt: skip
    write_archive(version, plugins.algorithm(trained.algorithm).family, made, archive)
    with archive.open("rb") as file, read_archive(file, below=folder, limits=ArchiveLimits()) as arrived:
        model, _ = load_model(trained.algorithm, arrived.folder, arrived.facts.files)
    assert difference_of(trained.probe(model), trained.probe(trained.model)) is None


CHECKS: tuple[Check, ...] = (
    check_its_answers_are_finite,
    check_saved_and_loaded_it_answers_the_same,
    check_saving_does_not_change_the_model,
    check_a_copy_of_a_copy_is_the_same,
    check_any_changed_file_is_refused,
    check_threads_share_it,
    check_it_travels_to_another_shop,
)
