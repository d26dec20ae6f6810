"""gensim's Word2Vec in an environment of its own: vectors of tokens from sequences, as JSON settings say.

python skipgram.py GIVEN.npz MADE.npz: `tokens`, `bounds` and `settings` in, `vectors` (n, d) and `seconds` out.
"""

from __future__ import annotations

import itertools
import json
import sys
import time

import numpy as np
from gensim.models import Word2Vec

with np.load(sys.argv[1]) as found:
    tokens, bounds = found["tokens"], found["bounds"]
    settings = json.loads(str(found["settings"]))
    n = int(found["n"])
names = [str(at) for at in range(n)]
sentences = [[names[at] for at in tokens[a:b]] for a, b in itertools.pairwise(bounds)]
started = time.perf_counter()
model = Word2Vec(sentences, sg=1, hs=0, min_count=1, **settings)
seconds = time.perf_counter() - started
vectors = np.zeros((n, settings["vector_size"]), dtype=np.float32)
for name in model.wv.index_to_key:
    vectors[int(name)] = model.wv[name]
np.savez(sys.argv[2], vectors=vectors, seconds=seconds)
