"""Arrays that torch reads as tensors, and what it would not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shopkeeper.core.errors import Invalid
from shopkeeper.learning.torch_files import write_state


def test_torch_reads_what_was_written_without_running_anything(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    drawn = np.random.default_rng(1)
    arrays = {
        "tower.0.weight": drawn.normal(size=(3, 4)).astype(np.float32),
        "across": drawn.normal(size=(5, 2)).astype(np.float64).T,
        "half": np.array([0.5, -1.0], dtype=np.float16),
        "位置": np.array([[1, -2], [3, 2**40]], dtype=np.int64),
        "ids": np.arange(6, dtype=np.int32).reshape(1, 2, 3),
        "small": np.array([-128, 127], dtype=np.int8),
        "flags": np.array([True, False]),
        "scale": np.float32(2.5),
        "nothing": np.zeros((0, 3), dtype=np.float32),
    }
    write_state(tmp_path / "model.pt", arrays)
    read = torch.load(tmp_path / "model.pt", weights_only=True)
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        assert read[name].dtype == torch.from_numpy(np.asarray(array)).dtype
        np.testing.assert_array_equal(read[name].numpy(), array)


def test_the_same_arrays_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.pt", "b.pt"):
        write_state(tmp_path / name, {"w": np.ones((2, 2), dtype=np.float32)})
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()


def test_texts_and_objects_are_refused(tmp_path: Path) -> None:
    for bad in (np.array(["a"]), np.array([None])):
        with pytest.raises(Invalid, match="w holds"):
            write_state(tmp_path / "m.pt", {"w": bad})
    assert not (tmp_path / "m.pt").exists()
