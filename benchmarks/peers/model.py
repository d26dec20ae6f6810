"""The model that every peer serves: trees and the order of their features. Copied beside each peer's script."""

import json
import os
from pathlib import Path

import numpy as np
import xgboost

FOLDER = Path(os.environ["MODEL"])
NAMES = json.loads((FOLDER / "names.json").read_text())


def load():
    booster = xgboost.Booster()
    booster.load_model(FOLDER / "trees.ubj")
    booster.set_param({"nthread": 1})
    return booster


def score(booster, rows):
    matrix = np.array([[row.get(name, 0.0) for name in NAMES] for row in rows], dtype=np.float32)
    return booster.inplace_predict(matrix, validate_features=False).tolist()
