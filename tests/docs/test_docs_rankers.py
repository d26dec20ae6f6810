"""docs/rankers.md says what the code does: its numbers, its words, and the row it asks with."""

import json
import re
from pathlib import Path

from shopkeeper.learning import checking, fitting, labels, onnx_checking
from shopkeeper.lifecycle import training
from shopkeeper.recommend.ranking import attribution, deepfm
from shopkeeper.recommend.ranking.deepfm import Deepfm
from shopkeeper.recommend.ranking.onnx_model import INT8_TOLERANCE
from shopkeeper.recommend.ranking.trees import TOLERANCE
from shopkeeper.recommend.ranking.xgb import XgbRanker
from shopkeeper.sources import sample

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "rankers.md").read_text(encoding="utf-8")
NET = Deepfm.Params()


def test_the_numbers_are_those_of_the_code() -> None:
    for words in (
        f"`{' '.join(labels.YES)}` and `{' '.join(labels.NO)}`",
        f"fewer than {labels.LEAST_ROWS} rows is refused",
        f"an AUC above {checking._LEAK_AUC}",
        f"more than {checking._COPIES_SHARE:.0%}".replace("%", " %"),
        f"fewer than {checking._FEW} rows, or {checking._RARE_SHARE:.0%}".replace("%", " %"),
        f"fewer than {fitting.RARE} rows",
        f"beyond {fitting.MOST_CATEGORIES:,}",
        f"up to {XgbRanker.WORTH:,} rows x trees",
        f"more than {TOLERANCE:.5f}",
        f"`batch_size` rows ({NET.batch_size}), more where a pass had more than `steps` ({NET.steps:,})",
        f"after {NET.patience} passes without a gain",
        f"a net ({', '.join(map(str, NET.hidden))}) over the same vectors of {NET.embedding_dim}",
        f"no more than {deepfm.INT8_LOSS} to the log-loss",
        f"off by more than {deepfm.TOLERANCE:.5f} from the net",
        f"{training.MOST_IMPORTANT} at most",
        f"up to {attribution.MOST_ROWS:,} rows",
        f"at most {onnx_checking.MOST_BYTES >> 20} MiB",
        f"within {INT8_TOLERANCE:.0%}".replace("%", " %"),
        f"{sample.NAME}` ({sample.ROWS:,} rows, seed {sample.SEED})",
    ):
        assert words in PAGE, words


def test_the_row_has_the_features_of_the_sample() -> None:
    body = re.search(r"-d '(\{.*?\})'", PAGE, re.S)
    assert body is not None
    assert tuple(json.loads(body[1])["data"][0]) == sample.FEATURES
