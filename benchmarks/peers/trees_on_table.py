"""scikit-learn on two Parquet files, in an environment of its own: JSON of the test AUC and log-loss on stdout.

python trees_on_table.py TRAIN TEST SEED: `label` is 0 or 1, text columns are categories.
"""

from __future__ import annotations

import json
import sys
import time

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler


def main() -> None:
    train, test, seed = pd.read_parquet(sys.argv[1]), pd.read_parquet(sys.argv[2]), int(sys.argv[3])
    label, held = train.pop("label"), test.pop("label")
    text = list(train.select_dtypes(exclude="number"))
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
    trees = make_pipeline(
        make_column_transformer((codes, text), remainder="passthrough"),
        HistGradientBoostingClassifier(
            max_iter=500,
            learning_rate=0.05,
            early_stopping=True,
            n_iter_no_change=30,
            validation_fraction=0.15,
            categorical_features=list(range(len(text))),
            random_state=seed,
        ),
    )
    words = OneHotEncoder(handle_unknown="ignore", min_frequency=10)
    linear = make_pipeline(
        make_column_transformer((words, text), remainder=StandardScaler()), LogisticRegression(max_iter=2000)
    )
    told = {}
    for name, model in (("HistGradientBoosting", trees), ("logistic regression", linear)):
        began = time.perf_counter()
        model.fit(train, label)
        took = time.perf_counter() - began
        said = model.predict_proba(test)[:, 1]
        told[name] = [roc_auc_score(held, said), log_loss(held, said), took]
    print(json.dumps(told))


if __name__ == "__main__":
    main()
