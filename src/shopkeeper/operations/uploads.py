"""A model file that another program made becomes a version: an ONNX graph, or an archive of another shop."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from shopkeeper import __version__, plugins
from shopkeeper.core.errors import Invalid, NotFound, Unavailable
from shopkeeper.core.records import Gate, Version
from shopkeeper.lifecycle.exchange import Exchange
from shopkeeper.lifecycle.loading import difference_of, write_golden
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.lifecycle.versions import Candidate, check_model_name
from shopkeeper.stores import artifacts

FORMATS = ("archive", "onnx", "safetensors")
_ENDINGS = {".onnx": "onnx", ".safetensors": "safetensors", ".tar.gz": "archive", ".tgz": "archive"}
_BLOCK = 1 << 20


def format_of(filename: str, named: str | None) -> str:
    """The format that was named, else the one that the file's ending says. Raises Invalid."""
    found = named or next((kind for end, kind in _ENDINGS.items() if filename.lower().endswith(end)), None)
    if found == "safetensors":
        raise Invalid(
            "safetensors holds weights without a network, and no algorithm here loads bare weights; "
            "send the network too, as onnx, or an archive that a shop exported",
            code="wrong_format",
            field="format",
        )
    if found not in FORMATS:
        raise Invalid(
            f"{filename[-60:]!r} is none of .onnx or .tar.gz; pickles and .pt files are refused: they can run code",
            code="wrong_format",
            field="file",
        )
    return found


class Uploads:
    def __init__(self, registry: Registry, exchange: Exchange) -> None:
        self._registry = registry
        self._exchange = exchange

    def take(
        self,
        file: BinaryIO,
        filename: str,
        *,
        model: str,
        format: str | None = None,
        label: str = "",
        feature_names: Sequence[str] | None = None,
        quantise: bool = False,
        by: str = "",
    ) -> Version:
        """Register it as the next version of `model`, on HOLD. `label`: what its maker calls the version; it is found
        by that name where it is free and no number.

        Raises Invalid (file, format, names, family), Conflict (`exists`), Unavailable (disk).
        """
        check_model_name(model)
        if format_of(filename, format) == "archive":
            return self._exchange.bring_in(file, by=by, model=model)
        folder = self._exchange.place().with_suffix("").with_suffix("")
        try:
            return self._onnx(file, folder, model, label, feature_names, quantise, by)
        except OSError as error:
            raise Unavailable(f"the file cannot be kept: {error}; check the disk's free space", code="disk") from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _onnx(
        self,
        file: BinaryIO,
        folder: Path,
        model: str,
        label: str,
        feature_names: Sequence[str] | None,
        quantise: bool,
        by: str,
    ) -> Version:
        from shopkeeper.recommend.ranking.onnx_model import Onnx, OnnxRanker, prepare_upload, probe_rows

        self._check_family(model, Onnx.family)
        sealed = folder / "artifact"
        sealed.mkdir(parents=True, mode=0o700)
        graph = folder / "upload.onnx"
        with graph.open("wb") as out:
            shutil.copyfileobj(file, out, _BLOCK)
        facts = prepare_upload(graph, sealed, feature_names, quantise)
        ranker = OnnxRanker.load(sealed)
        golden = {"rows": probe_rows(ranker.feature_names)}
        expected = plugins.family(Onnx.family).probe(ranker, golden)
        if (problem := difference_of(expected, expected)) is not None:
            raise Invalid(f"the graph cannot be used: {problem}", code="bad_model", field="file")
        write_golden(sealed, golden, expected)
        made = Candidate(
            model=model,
            scope="all",
            family=Onnx.family,
            algorithm=Onnx.name,
            files=[],
            feature_names=list(ranker.feature_names),
            data={"uploaded": {**facts, "label": label}},
            gate=Gate(verdict="HOLD", reasons=["uploaded, never measured here: evaluate it, or promote it by force"]),
            code_version=__version__,
            label=self._exchange.free_label(model, "all", label),
        )
        plain: dict[str, Any] = msgspec.to_builtins(made)
        made.files = artifacts.seal(sealed, plain)
        return self._registry.register(sealed, made, by=by, new=True)

    def _check_family(self, model: str, family: str) -> None:
        try:
            known = self._registry.model(model).task
        except NotFound:
            return
        if known != family:
            raise Invalid(
                f"model {model!r} is of the family {known!r}, a graph is of {family!r}; use another name",
                code="wrong_family",
                field="name",
            )
