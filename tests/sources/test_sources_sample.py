import hashlib
from pathlib import Path

import numpy as np
import polars as pl

from shopkeeper.sources.sample import FEATURES, NAME, ROWS, sample_columns, write_sample

SHA256 = "6534e5981f77cfb14c6d4cdc950e9f3b075e0795b46024c80b4ac53a138dbf95"


def test_the_sample_is_the_same_file_everywhere(tmp_path: Path) -> None:
    path = write_sample(tmp_path / "sources")
    assert path.name == NAME
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SHA256
    assert [one.name for one in path.parent.iterdir()] == [NAME]


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("mine")
    assert write_sample(tmp_path).read_text() == "mine"


def test_the_label_follows_the_documented_formula(tmp_path: Path) -> None:
    frame = pl.read_csv(write_sample(tmp_path))
    assert frame.columns == [*FEATURES, "label"]
    assert frame.height == ROWS
    assert set(frame["user_gender"].unique()) == {0, 1, 2}
    assert 0.4 < float(frame["label"].mean()) < 0.6
    raw = 5 * frame["item_ctr"] + 6 * frame["item_cvr"] + 0.001 * frame["user_age"] + 0.025 * frame["user_gender"]
    clear = (raw - 0.5).abs() > 0.4  # four standard deviations of the noise
    assert bool(((raw > 0.5).cast(int) == frame["label"]).filter(clear).all())
    np.testing.assert_allclose(frame["cross_age_x_ctr"], frame["user_age"] * frame["item_ctr"], atol=1e-4)
    np.testing.assert_allclose(frame["cross_gender_x_price"], frame["user_gender"] * frame["item_price"], atol=1e-2)


def test_another_seed_gives_other_rows() -> None:
    assert not np.array_equal(sample_columns(1)["item_ctr"], sample_columns(2)["item_ctr"])
