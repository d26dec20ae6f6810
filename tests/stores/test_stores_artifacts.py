"""A version's files are exactly what was sealed, or they are refused."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shopkeeper.core.errors import Invalid, NotFound, Unavailable
from shopkeeper.core.records import FileEntry
from shopkeeper.stores.artifacts import ArtifactStore, read_manifest, scope_folder, seal, verify, write_durably


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "work"
    (made / "trees").mkdir(parents=True)
    (made / "model.json").write_text('{"weight": 1.5}')
    (made / "trees" / "0.npz").write_bytes(bytes(range(256)) * 50)
    return made


def test_sealed_files_verify_and_the_manifest_names_them(folder):
    files = seal(folder, {"algorithm": "toy"})
    verify(folder, files)
    assert [entry.name for entry in files] == ["model.json", "trees/0.npz"]
    manifest = read_manifest(folder)
    assert manifest["algorithm"] == "toy"
    assert manifest["files"] == [{"name": f.name, "sha256": f.sha256, "bytes": f.bytes} for f in files]


def test_a_changed_byte_is_found(folder):
    files = seal(folder, {})
    data = bytearray((folder / "trees" / "0.npz").read_bytes())
    data[777] ^= 1
    (folder / "trees" / "0.npz").write_bytes(bytes(data))
    with pytest.raises(Unavailable, match="SHA-256") as caught:
        verify(folder, files)
    assert caught.value.code == "artifact_broken"


def test_a_truncated_a_missing_and_an_added_file_are_found(folder):
    files = seal(folder, {})
    (folder / "model.json").write_text("{")
    with pytest.raises(Unavailable, match="has 1 bytes, expected 15"):
        verify(folder, files)
    (folder / "model.json").unlink()
    with pytest.raises(Unavailable, match=r"model\.json is missing"):
        verify(folder, files)
    (folder / "model.json").write_text('{"weight": 1.5}')
    (folder / "more.json").write_text("{}")
    with pytest.raises(Unavailable, match="not in its manifest"):
        verify(folder, files)


def test_a_folder_that_is_gone_says_so(tmp_path):
    with pytest.raises(NotFound, match="is gone"):
        verify(tmp_path / "v1", [])


@pytest.mark.parametrize("name", ["model.pkl", "model.PICKLE", "net.pt", "run.py", "x.pkl.json/../y.joblib", ".hidden"])
def test_what_could_carry_code_or_hide_is_not_sealed(folder, name):
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("x")
    with pytest.raises(Invalid) as caught:
        seal(folder, {})
    assert caught.value.code == "artifact_refused"


def test_links_are_refused_when_sealing_and_when_verifying(folder, tmp_path):
    files = seal(folder, {})
    (tmp_path / "outside.json").write_text('{"weight": 1.5}')
    (folder / "model.json").unlink()
    (folder / "model.json").symlink_to(tmp_path / "outside.json")
    with pytest.raises(Unavailable, match="link"):
        verify(folder, files)
    with pytest.raises(Invalid, match="link"):
        seal(folder, {})


def test_an_empty_folder_is_not_sealed(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(Invalid, match="saved no file"):
        seal(tmp_path / "empty", {})


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a//b", "a/../b", "", "a\x00b", "a/b/c/d/e"])
def test_a_manifest_cannot_name_a_path_outside(folder, name):
    seal(folder, {})
    with pytest.raises((Invalid, Unavailable)):
        verify(folder, [FileEntry(name=name, sha256="0" * 64, bytes=1)])


def test_adopting_moves_the_whole_folder_and_keeps_what_lay_there(folder, tmp_path):
    store = ArtifactStore(tmp_path / "artifacts")
    stray = store.folder("toy", "all", 1)
    stray.mkdir(parents=True)
    (stray / "old.json").write_text("{}")
    files = seal(folder, {})
    placed = store.adopt(folder, "toy", "all", 1)
    verify(placed, files)
    assert not folder.exists()
    kept = [path for path in placed.parent.iterdir() if path.name.startswith("v1.stray-")]
    assert [path.name for path in kept[0].iterdir()] == ["old.json"]


@given(st.text(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_name_or_scope_leads_outside_the_root(tmp_path, text):
    store = ArtifactStore(tmp_path)
    for model, scope in ((text, "all"), ("toy", text), ("toy", f"product:{text}")):
        try:
            folder = store.folder(model, scope, 1)
        except Invalid:
            continue
        assert folder.resolve().is_relative_to(tmp_path.resolve())
        assert len(folder.relative_to(tmp_path).parts) == 3


def test_scopes_have_folders_of_their_own():
    assert len({scope_folder(s) for s in ("all", "product:A", "product:a", "store:A")}) == 4


def test_a_durable_write_replaces_and_leaves_nothing_beside(tmp_path):
    write_durably(tmp_path / "x.json", b"1")
    write_durably(tmp_path / "x.json", json.dumps([2]).encode())
    assert (tmp_path / "x.json").read_bytes() == b"[2]"
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
