"""Archives of versions: what goes out comes in again, and nothing else does."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import pickle
import resource
import signal
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from shopkeeper.checks.uploads import small_graph
from shopkeeper.core.clock import SystemClock
from shopkeeper.core.errors import Conflict, Invalid, NotFound, ShopkeeperError, Unavailable
from shopkeeper.core.records import Version
from shopkeeper.lifecycle.archives import STAGING
from shopkeeper.lifecycle.exchange import Exchange, states
from shopkeeper.lifecycle.loading import load_version
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.recommend.ranking.onnx_model import prepare_upload
from shopkeeper.stores.archives import ArchiveLimits, pack
from shopkeeper.stores.artifacts import ArtifactStore
from shopkeeper.stores.home import Home
from shopkeeper.stores.sniffing import check_head, check_zip
from shopkeeper.stores.sql import open_database


@pytest.fixture
def exchange(registry: Registry, home: Home) -> Exchange:
    return Exchange(registry, home.artifacts, SystemClock())


@pytest.fixture
def archive(exchange: Exchange, add_version: Callable[..., Version], tmp_path: Path) -> Path:
    """Of line v1, promoted nowhere."""
    path = tmp_path / "line.tar.gz"
    exchange.export(add_version(content={"notes.json": "{}"}), path)
    return path


@pytest.fixture
def other(tmp_path: Path):
    """The exchange of another, empty home."""
    home = Home(tmp_path / "other").make()
    db = open_database(home.sql_url)
    yield Exchange(Registry(db, ArtifactStore(home.artifacts), SystemClock()), home.artifacts, SystemClock())
    db.close()


def bring(exchange: Exchange, archive: Path | bytes, **more) -> Version:
    content = archive if isinstance(archive, bytes) else archive.read_bytes()
    return exchange.bring_in(io.BytesIO(content), by="anna", **more)


def files_of(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {one.name: tar.extractfile(one).read() for one in tar.getmembers()}


def rewritten(archive: Path, change: Callable[[dict[str, bytes]], None], *, reseal: bool = False) -> bytes:
    """The archive with other content; `reseal`: as by somebody who also corrected the manifest and the facts."""
    files = files_of(archive)
    change(files)
    if reseal:
        entries = [
            {"name": n.removeprefix("artifact/"), "sha256": hashlib.sha256(c).hexdigest(), "bytes": len(c)}
            for n, c in files.items()
            if n not in ("version.json", "artifact/manifest.json")
        ]
        files["artifact/manifest.json"] = json.dumps({"files": entries}).encode()
        files["version.json"] = json.dumps({**json.loads(files["version.json"]), "files": entries}).encode()
    target = archive.with_name("changed.tar.gz")
    pack(list(files.items()), target)
    return target.read_bytes()


def with_entry(archive: Path, info: tarfile.TarInfo, content: bytes = b"") -> bytes:
    """The archive with one more entry of any kind."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.GNU_FORMAT) as tar:
        for name, data in files_of(archive).items():
            one = tarfile.TarInfo(name)
            one.size = len(data)
            tar.addfile(one, io.BytesIO(data))
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def leftovers(exchange: Exchange) -> list[Path]:
    return [path for path in exchange._root.rglob("*") if path.is_file()]


def refused(other: Exchange, content: bytes, words: str, code: str = "bad_archive") -> None:
    with pytest.raises(Invalid, match=words) as error:
        bring(other, content)
    assert error.value.code == code
    assert leftovers(other) == []
    assert other._registry.models() == []


def test_out_and_in_again(exchange, registry, archive, other):
    version = bring(other, archive)
    assert (version.model, version.version, version.created_by) == ("line", 1, "anna")
    assert version.files == registry.version("line", 1).files
    assert version.feature_names == ["x"]
    origin = version.data["imported_from"]
    assert (origin["model"], origin["version"], origin["created_by"]) == ("line", 1, "anna")
    assert origin["gate"]["verdict"] == "PROMOTE"
    with pytest.raises(Conflict, match="HOLD for line v1: imported from line v1"):
        other._registry.promote("line", 1)
    other._registry.promote("line", 1, force=True, reason="moved house")
    assert [p for p in leftovers(other) if STAGING in p.parts] == []


def test_one_version_gives_the_same_bytes(exchange, registry, archive, tmp_path):
    registry.promote("line", 1)
    again = tmp_path / "again.tar.gz"
    exchange.export(registry.version("line", "champion"), again)
    assert again.read_bytes() == archive.read_bytes()
    with tarfile.open(again) as tar:
        assert {(m.uid, m.gid, m.uname, m.mtime, m.mode) for m in tar.getmembers()} == {(0, 0, "", 0, 0o644)}


def test_into_another_name(exchange, archive, other):
    version = bring(other, archive, model="copy", scope="store:7")
    assert (version.model, version.scope) == ("copy", "store:7")


def test_the_same_twice(exchange, archive, other):
    bring(other, archive)
    with pytest.raises(Conflict, match="v1 has exactly these files already") as error:
        bring(other, archive)
    assert error.value.code == "exists"
    assert other._registry.model("line").versions == 1
    bring(other, archive, model="another")


def test_two_at_once(exchange, archive, other):
    results: list[object] = []

    def run() -> None:
        try:
            results.append(bring(other, archive).version)
        except ShopkeeperError as error:
            results.append(error.code)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, results)) == ["1", "exists", "exists", "exists"]


def test_truncated_anywhere(archive, other):
    content = archive.read_bytes()
    for end in (0, 5, 40, len(content) // 2, len(content) - 9, len(content) - 1):
        with pytest.raises(Invalid) as error:
            bring(other, content[:end])
        assert error.value.code == "bad_archive"
    assert leftovers(other) == []


def test_flipped_bytes(archive, other):
    content = bytearray(archive.read_bytes())
    for at in range(12, len(content), 29):
        changed = bytes(content[:at]) + bytes([content[at] ^ 0xFF]) + bytes(content[at + 1 :])
        with pytest.raises(Invalid):
            bring(other, changed)
    assert leftovers(other) == []


@pytest.mark.parametrize(
    "content", [b"", b"hello", gzip.compress(b"", mtime=0), gzip.compress(b"x" * 512, mtime=0), b"PK\x03\x04zip"]
)
def test_no_archive_at_all(other, content):
    refused(other, content, "archive is refused")


def test_a_wrong_hash(archive, other):
    refused(other, rewritten(archive, lambda f: f.update({"artifact/line.json": b'{"weight": 2.5}'})), "SHA-256")
    refused(other, rewritten(archive, lambda f: f.pop("artifact/line.json")), "line.json is missing")
    refused(other, rewritten(archive, lambda f: f.update({"artifact/extra.json": b"1"})), "not in its manifest")
    refused(other, rewritten(archive, lambda f: f.pop("version.json")), "no version.json")
    refused(other, rewritten(archive, lambda f: f.update({"version.json": b"[" * 100_000})), "cannot be read")
    refused(
        other, rewritten(archive, lambda f: f.update({"artifact/manifest.json": b'{"files": []}'})), "different files"
    )
    refused(other, rewritten(archive, lambda f: f.pop("artifact/golden.json"), reseal=True), "no golden.json")


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../up.json", "artifact/../up.json", "artifact//x", "artifact/.hidden", "other.json",
             "artifact/a/b/c/d/e.json", "artifact/con\x1b.json", "artifact/ä.json"]
)  # fmt: skip
def test_names(archive, other, name, tmp_path):
    content = with_entry(archive, tarfile.TarInfo(name), b"{}")
    with pytest.raises(Invalid):
        bring(other, content)
    assert leftovers(other) == []
    assert not (tmp_path / "up.json").exists()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.SYMTYPE, "symbolic link"),
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.BLKTYPE, "device"),
        (tarfile.FIFOTYPE, "pipe"),
        (tarfile.DIRTYPE, "folder"),
    ],
)
def test_kinds(archive, other, kind, words):
    info = tarfile.TarInfo("artifact/x.json")
    info.type, info.linkname = kind, "/etc/passwd"
    refused(other, with_entry(archive, info), words)


def test_twice_the_same_name(archive, other):
    refused(other, with_entry(archive, tarfile.TarInfo("artifact/line.json"), b"{}"), "twice")
    refused(other, with_entry(archive, tarfile.TarInfo("artifact/LINE.json"), b"{}"), "twice")


def test_a_file_where_a_folder_is(archive, other):
    change = rewritten(archive, lambda f: f.update({"artifact/notes.json/x": b"1"}), reseal=True)
    refused(other, change, "file and a folder")


def test_a_bomb(archive, other):
    bomb = rewritten(archive, lambda f: f.update({"artifact/zeros.bin": bytes(64 << 20)}), reseal=True)
    assert len(bomb) < 200_000
    refused(other, bomb, "suspiciously many", "archive_too_large")


def test_a_header_that_claims_gigabytes(archive, other):
    """An extended header is read by no one: its size is the sender's word."""
    block = tarfile.TarInfo("x")
    block.type, block.size = tarfile.XHDTYPE, 3 << 30
    refused(other, gzip.compress(block.tobuf(tarfile.USTAR_FORMAT)), "not read here")
    block.type = tarfile.REGTYPE
    block.name = "version.json"
    refused(other, gzip.compress(block.tobuf(tarfile.USTAR_FORMAT)), "3221225472 bytes")


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (ArchiveLimits(compressed=100), "the limit is 100"),
        (ArchiveLimits(unpacked=3000), "more than 3000 bytes"),
        (ArchiveLimits(entries=2), "more than 2 entries"),
    ],
)
def test_limits(archive, other, limits, words):
    strict = Exchange(other._registry, other._root, SystemClock(), limits=limits)
    refused(strict, archive.read_bytes(), words, "archive_too_large")


class Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/shopkeeper-was-here",)


def npz_with_objects() -> bytes:
    out = io.BytesIO()
    np.savez(out, a=np.array([Evil()], dtype=object))
    return out.getvalue()


def zip_with(name: str, content: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as inner:
        inner.writestr(name, content)
    return out.getvalue()


def broken_zip(method: int) -> bytes:
    content = bytearray(zip_with("a.npy", os.urandom(500) * 20, method))
    content[60:90] = bytes(one ^ 0x5A for one in content[60:90])
    return bytes(content)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.pkl", b"anything"),
        ("model.joblib", b"anything"),
        ("hook.py", b"print()"),
        *((f"renamed{protocol}.json", pickle.dumps(Evil(), protocol)) for protocol in range(6)),
        ("long.json", pickle.dumps([Evil(), "x" * 200_000], 0)),
        ("with_tail.json", pickle.dumps(Evil(), 0) + b"{}"),
        ("only_import.json", b"cantigravity\nfly\n."),
        ("plain.json", pickle.dumps({"just": "data"}, 4)),
        ("program.bin", b"\x7fELF" + bytes(100)),
        ("script.json", b"#!/bin/sh\nexit"),
        ("arrays.npz", npz_with_objects()),
        ("array.npy", npz_with_objects()[40:]),
        ("torch.bin", zip_with("archive/data.pkl", b"x")),
        ("torch2.bin", zip_with("archive/data.bin", pickle.dumps(Evil(), 2))),
        ("deflated.npz", broken_zip(zipfile.ZIP_DEFLATED)),
        ("bz2.npz", broken_zip(zipfile.ZIP_BZIP2)),
        ("lzma.npz", broken_zip(zipfile.ZIP_LZMA)),
    ],
)
def test_code_in_disguise(archive, other, name, content):
    changed = rewritten(archive, lambda f: f.update({f"artifact/{name}": content}), reseal=True)
    refused(other, changed, ".", "artifact_refused")


def test_numbers_that_look_like_the_letters_of_objects_are_numbers(tmp_path):
    weights = np.frombuffer(b"|O" * 2000, dtype=np.float32)
    np.savez(tmp_path / "weights.npz", weights=weights)
    np.save(tmp_path / "weights.npy", weights)
    for name in ("weights.npz", "weights.npy"):
        check_head(name, (tmp_path / name).read_bytes())
        check_zip(name, tmp_path / name)


def foreign_graph() -> bytes:
    model = onnx.load_model_from_string(small_graph())
    model.graph.node[0].domain = "evil.example"
    model.opset_import.append(onnx.helper.make_opsetid("evil.example", 1))
    return model.SerializeToString()


def outside_graph() -> bytes:
    model = onnx.load_model_from_string(small_graph())
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="golden.json")
    return model.SerializeToString()


@pytest.mark.parametrize("content", [foreign_graph(), outside_graph(), b"", b"no graph"])
def test_a_graph_in_an_archive_may_do_no_more_than_an_uploaded_one(archive, other, content):
    changed = rewritten(archive, lambda f: f.update({"artifact/model.onnx": content}), reseal=True)
    refused(other, changed, "the graph cannot serve", "bad_graph")


def test_graphs_that_this_shop_makes_pass(archive, other, tmp_path):
    (tmp_path / "up.onnx").write_bytes(small_graph(features=64, hidden=256))
    (tmp_path / "made").mkdir()
    assert prepare_upload(tmp_path / "up.onnx", tmp_path / "made", None, quantise=True)["form"] == "int8"
    change = {"artifact/a.onnx": small_graph(), "artifact/b.onnx": (tmp_path / "made" / "model.onnx").read_bytes()}
    assert bring(other, rewritten(archive, lambda f: f.update(change), reseal=True)).version == 1


@pytest.mark.parametrize("golden", [b'{"input": "\xff", "expected": []}', b"[" * 100_000, b"{}"])
def test_golden_rows_that_cannot_be_read(archive, other, golden):
    changed = rewritten(archive, lambda f: f.update({"artifact/golden.json": golden}), reseal=True)
    made = bring(other, changed)
    with pytest.raises(Unavailable, match="golden rows cannot be read") as error:
        load_version(made, other._registry.folder(made))
    assert error.value.code == "artifact_broken"


def test_honest_files_pass(archive, other):
    arrays = io.BytesIO()
    np.savez(arrays, a=np.arange(10))
    plain = io.BytesIO()
    np.save(plain, np.random.default_rng(2).normal(size=(5000, 8)).astype(np.float32))
    change = {
        "artifact/a.npz": arrays.getvalue(),
        "artifact/b.npy": plain.getvalue(),
        "artifact/t.txt": b"cats and\ndogs and\nRabbits and\nbirds",
        "artifact/u.bin": b"\x93" * 1000,
        "artifact/c.csv": b"customer,amount\n1,2\n3,4\n",
        "artifact/n.json": b"N.",
        "artifact/r.bin": np.random.default_rng(1).bytes(200_000),
    }
    assert bring(other, rewritten(archive, lambda f: f.update(change), reseal=True)).version == 1


def test_an_algorithm_that_is_not_here(archive, other):
    facts = {"algorithm": "no_such"}
    content = rewritten(archive, lambda f: f.update({"version.json": _with(f["version.json"], facts)}))
    refused(other, content, "needs an algorithm", "unknown_algorithm")
    content = rewritten(archive, lambda f: f.update({"version.json": _with(f["version.json"], {"format": 2})}))
    refused(other, content, "format is 2")
    content = rewritten(archive, lambda f: f.update({"version.json": _with(f["version.json"], {"family": "x"})}))
    refused(other, content, "family")


@pytest.mark.parametrize("seed", ["x", [1], {}, None, 1e300])
def test_a_seed_that_is_none(archive, other, seed):
    facts = {"data": {"seed": seed}}
    content = rewritten(archive, lambda f: f.update({"version.json": _with(f["version.json"], facts)}))
    assert bring(other, content).data["seed"] == 0


def test_another_family_under_the_same_name(archive, other, exchange, add_version, tmp_path):
    made = tmp_path / "forecast.tar.gz"
    bring(other, archive)
    content = rewritten(
        archive,
        lambda f: f.update(
            {"version.json": _with(f["version.json"], {"algorithm": "toy_forecaster", "family": "toy_forecast"})}
        ),
    )
    made.write_bytes(content)
    with pytest.raises(Invalid, match="use another name"):
        bring(other, made)


def _with(facts: bytes, changes: dict) -> bytes:
    return json.dumps({**json.loads(facts), **changes}).encode()


def test_a_full_disk(archive, other):
    """The kernel's own limit on file sizes stands in for the disk: writes fail with an error, in the middle."""
    big = rewritten(archive, lambda f: f.update({"artifact/r.bin": os.urandom(3 << 20)}), reseal=True)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        with pytest.raises(Unavailable, match="free space"):
            bring(other, big)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert leftovers(other) == []
    assert bring(other, big).version == 1


def test_a_broken_version_is_not_exported(exchange, registry, add_version, tmp_path):
    version = add_version()
    (registry.folder(version) / "line.json").write_text("{}")
    with pytest.raises(Unavailable, match="broken"):
        exchange.export(version, tmp_path / "x.tar.gz")
    registry.mark(version, "removed")
    removed = registry.version("line", 1)
    with pytest.raises(NotFound):
        exchange.export(removed, tmp_path / "x.tar.gz")


def test_killed_between_folder_and_row(archive, other, installed):
    """The folder is there and its row is not: the next import sets it aside and takes the same number."""
    home = other._root.parent
    code = f"""
import io, os, sys
from pathlib import Path
from shopkeeper.core.clock import SystemClock
from shopkeeper.lifecycle.exchange import Exchange
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.stores import registry as table
from shopkeeper.stores.artifacts import ArtifactStore
from shopkeeper.stores.sql import open_database, sqlite_url
table.add_version = lambda *a, **k: os._exit(9)
home = Path({str(home)!r})
exchange = Exchange(Registry(open_database(sqlite_url(home)), ArtifactStore(home / "artifacts"), SystemClock()),
                    home / "artifacts", SystemClock())
exchange.bring_in(io.BytesIO(Path({str(archive)!r}).read_bytes()), by="anna")
"""
    ended = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": installed}, check=False)
    assert ended.returncode == 9
    assert (other._root / "line/all/v1/line.json").exists()
    assert other._registry.models() == []
    assert bring(other, archive).version == 1
    assert len(list((other._root / "line/all").glob("v1.stray-*"))) == 1
    other._registry.promote("line", 1, force=True)


def test_states_in_the_words_of_older_registries(registry, add_version):
    for weight in (1.0, 2.0, 3.0):
        add_version(weight)
    registry.promote("line", 1)
    registry.promote("line", 2, force=True)
    assert states(registry, "line") == {1: "archived", 2: "production", 3: "staging"}
