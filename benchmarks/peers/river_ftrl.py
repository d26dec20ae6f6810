"""river's logistic regression with FTRL, on a stream in chunks: `python river_ftrl.py given.npz made.npz`.

given: x (n, d), y (n,), begin (how many rows it may pass over first, `passes` times), chunk (rows whose outcome comes
together). made: p (n - begin,), seconds of learning.
"""

import sys
import time

import numpy as np
from river import linear_model, optim

given = np.load(sys.argv[1])
x, y, begin, chunk = given["x"].tolist(), given["y"].tolist(), int(given["begin"]), int(given["chunk"])
rows = [dict(enumerate(row)) for row in x]
model = linear_model.LogisticRegression(optim.FTRLProximal(alpha=float(given["alpha"]), beta=1.0, l1=0.1, l2=1.0))
for _ in range(int(given["passes"])):
    for row, label in zip(rows[:begin], y[:begin], strict=True):
        model.learn_one(row, label)
said, seconds = [], 0.0
for start in range(begin, len(rows), chunk):
    some = slice(start, min(start + chunk, len(rows)))
    said += [model.predict_proba_one(row)[True] for row in rows[some]]
    began = time.perf_counter()
    for row, label in zip(rows[some], y[some], strict=True):
        model.learn_one(row, label)
    seconds += time.perf_counter() - began
np.savez(sys.argv[2], p=np.array(said), seconds=seconds)
