"""The algorithm `deepfm`: every category has a vector; products of pairs and a net learn what they say together."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report
from shopkeeper.learning.onnx_forms import OnnxScorer
from shopkeeper.quality.classification import logloss
from shopkeeper.recommend.ranking.attribution import permuted
from shopkeeper.recommend.ranking.deepfm_fitting import Batchable, Learning, Pace
from shopkeeper.recommend.ranking.deepfm_graph import graph_of
from shopkeeper.recommend.ranking.deepfm_inputs import Inputs
from shopkeeper.recommend.ranking.deepfm_model import DeepfmRanker, Facts, Form, quantised
from shopkeeper.recommend.ranking.deepfm_net import Learner, Shape, Weights
from shopkeeper.recommend.ranking.params import RankingParams
from shopkeeper.recommend.ranking.rows import RankRows
from shopkeeper.recommend.ranking.stopping import stopping_split

TOLERANCE = 1e-5
"""Between the graph that serves and the net that learned."""
INT8_LOSS = 0.001
"""What int8 weights may add to the log-loss; where they add more, float32 answers."""
_SAMPLE = 5000


def _about(text: str, **bounds: Any) -> msgspec.Meta:
    return msgspec.Meta(description=text, **bounds)


class Deepfm:
    """A factorisation machine and a net that read the same vectors: one of each category, one of each number. Numbers
    are standardised, and far ones come nearer. What training never saw has a vector of its own for each column, learned
    from categories that are taken for unknown now and then.

    References: Guo et al., "DeepFM: a factorization-machine based neural network for CTR prediction", IJCAI 2017.
    """

    name: ClassVar[str] = "deepfm"
    family: ClassVar[str] = "ranking"
    description: ClassVar[str] = "Factorisation machine and net over vectors of categories (DeepFM)"
    tags: ClassVar[tuple[str, ...]] = ("ranking", "neural", "tabular")
    knows_new_users: ClassVar[bool] = True
    knows_new_items: ClassVar[bool] = True
    model: ClassVar[type[DeepfmRanker]] = DeepfmRanker
    brief: ClassVar[dict[str, Any]] = {"epochs": 8, "batch_size": 64, "learning_rate": 0.004}

    class Params(RankingParams):
        embedding_dim: Annotated[int, _about("Numbers of a vector", ge=2, le=256)] = 16
        hidden: Annotated[
            tuple[Annotated[int, msgspec.Meta(ge=1, le=4096)], ...],
            _about("Width of each layer of the net", min_length=1, max_length=8),
        ] = (128, 64, 32)
        dropout: Annotated[float, _about("Share of each layer that is left out in training", ge=0, le=0.95)] = 0.5
        epochs: Annotated[int, _about("Passes over the rows at most", ge=1, le=10_000)] = 50
        batch_size: Annotated[int, _about("Rows of a step; more where a pass has too many, see steps", ge=1)] = 32
        steps: Annotated[int, _about("Steps of a pass at most: many rows take bigger ones", ge=1, le=10_000_000)] = 2000
        learning_rate: Annotated[
            float, _about("Step of Adam; a pass without a gain goes back and on with 0.3 of it", gt=0, le=1)
        ] = 0.001
        l2: Annotated[float, _about("Penalty on the squares of a row's vectors", ge=0, le=100)] = 0.0001
        unknown: Annotated[
            float, _about("Share of categories that are taken for ones never seen while learning", ge=0, le=0.9)
        ] = 0.01
        patience: Annotated[int, _about("Passes without a gain on later rows before it stops", ge=1, le=10_000)] = 10
        minutes: Annotated[float, _about("Minutes after which learning ends", gt=0, le=10_000)] = 60.0
        form: Annotated[
            Form, _about("Weights that answer: int8 takes a quarter of the bytes, and only where it loses little")
        ] = "float32"

    def __init__(self, params: Params, seed: int) -> None:
        self.params = params
        self.seed = seed

    def fit(self, data: RankRows, report: Report) -> DeepfmRanker:
        """The last 15 % of the rows (by time, where there is one) decide when to stop. Raises Invalid (`no_data`,
        `bad_label`, `bad_data`, `diverged`), Cancelled."""
        return self.fit_beside(*stopping_split(data, self.seed), report)

    def fit_beside(self, learned: RankRows, check: RankRows, report: Report) -> DeepfmRanker:
        """The same with the rows to stop by, `check`, as given."""
        learned = _weighing(learned)
        _check(learned)
        params, random = self.params, np.random.default_rng(self.seed)
        schema = learned.schema if learned.schema.standardised else learned.schema.with_scaling(learned.values)
        inputs = Inputs.of(schema)
        rows, beside = (
            Batchable.of(inputs, schema.standardise(each.values), each.label, each.weight) for each in (learned, check)
        )
        batch = min(max(params.batch_size, -(-len(rows) // params.steps)), len(rows))
        shape = Shape(inputs.rows, len(inputs.codes), inputs.width, params.embedding_dim, params.hidden)
        weights = Weights.drawn(shape, random)
        weights.named["bias"][0] = _log_odds(rows)
        learner = Learner(weights, batch, dropout=params.dropout, decay=params.l2, seed=self.seed)
        others = (inputs.offsets + [schema.columns[at].other for at in inputs.codes]).astype(np.int32)
        pace = Pace(
            epochs=params.epochs,
            batch=batch,
            learning_rate=params.learning_rate,
            patience=params.patience,
            minutes=params.minutes,
            unknown=params.unknown,
        )
        best = Learning(learner, rows, beside, others, pace, random).learn(report)
        graph = graph_of(weights, inputs, len(schema.names))
        some = schema.standardise(learned.values[:: max(1, len(learned) // _SAMPLE)])
        graphs: dict[Form, bytes] = {"float32": graph, "int8": quantised(graph, some)}
        facts = Facts(
            form="float32", importance={}, best_epoch=best, onnx_max_difference=_off(graph, learner, inputs, some)
        )
        made = DeepfmRanker(graphs, schema, facts)
        report(params.epochs, params.epochs, message="measuring what it hangs on")
        told = permuted(made.score, check.values, check.label, schema.names, self.seed, weight=check.weight)
        form = params.form if params.form == "float32" or _loses_little(made, check) else "float32"
        return DeepfmRanker(graphs, schema, msgspec.structs.replace(facts, form=form, importance=told))


def _weighing(rows: RankRows) -> RankRows:
    """Those that stand for any at all."""
    return rows if (rows.weight > 0).all() else rows.take(rows.weight > 0)


def _check(rows: RankRows) -> None:
    """Raises Invalid where nothing can be learned."""
    if not len(rows):
        raise Invalid("there are no rows to learn from", code="no_data")
    if rows.label.min() == rows.label.max():
        raise Invalid(
            f"the {len(rows):,} rows to learn from hold only the label {rows.label[0]:g}: nothing to tell apart",
            code="bad_label",
        )
    for at, column in enumerate(rows.schema.columns):
        values = rows.values[:, at]
        if np.isinf(values).any() or (column.default is not None and np.isnan(values).any()):
            raise Invalid(
                f"{column.name} holds values that are no finite numbers, and none was declared missing; mend the rows",
                code="bad_data",
                field=column.name,
            )


def _log_odds(rows: Batchable) -> float:
    rate = float(np.average(rows.label, weights=rows.weight))
    return float(np.log(rate / (1 - rate)))


def _off(graph: bytes, learner: Learner, inputs: Inputs, rows: np.ndarray) -> float:
    """The largest difference of graph and net on standardised `rows` (n, f). Raises Invalid beyond TOLERANCE."""
    logits = learner.logits(*inputs.read(rows)).astype(np.float64)
    found = float(np.max(np.abs(1 / (1 + np.exp(-logits)) - OnnxScorer(graph).score(rows)), initial=0.0))
    if found > TOLERANCE:
        raise Invalid(f"the graph is off by {found:.2g} from the net that learned", code="bad_graph")
    return found


def _loses_little(model: DeepfmRanker, rows: RankRows) -> bool:
    forms = (model.score, model.score_by_other)
    one, other = (logloss(rows.label, score(rows.values), rows.weight) for score in forms)
    return other - one <= INT8_LOSS
