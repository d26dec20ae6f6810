"""Bodies that are not records: what a form may hold, with its bounds, so that the OpenAPI page shows them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Id = Annotated[str, Meta(min_length=1, max_length=128)]
Text = Annotated[str, Meta(max_length=10_000)]
Remark = Annotated[str, Meta(max_length=1000)]
Weight = Annotated[float, Meta(ge=-1000, le=1000)]


class UserForm(Struct):
    attributes: dict[str, Any] = field(default_factory=dict)


class ItemForm(Struct):
    name: Annotated[str, Meta(min_length=1, max_length=1000)]
    kind: Name = "product"
    category: Annotated[str, Meta(max_length=200)] | None = None
    price: Annotated[float, Meta(ge=0, le=1e12)] | None = None
    active: bool = True
    attributes: dict[str, Any] = field(default_factory=dict)


class RuleForm(Struct):
    name: Name
    condition: Text
    description: Remark = ""
    weight: Weight = 1.0
    action: Remark = ""


class RuleChange(Struct):
    """What is left out stays as it is."""

    description: Remark | UnsetType = UNSET
    weight: Weight | UnsetType = UNSET
    condition: Text | UnsetType = UNSET
    action: Remark | UnsetType = UNSET


class RevertForm(Struct):
    version: Annotated[int, Meta(ge=1, le=2**31 - 1)]


class RulesForm(Struct):
    """`rules`: `{name, condition, description?, weight?, action?}` or a rule or segment as Unomi writes it, each with a
    condition tree."""

    rules: Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=1000)]
    format: Literal["unomi"] = "unomi"


class PreviewForm(Struct):
    """`name`: the rule that would be replaced, if there is one of that name."""

    condition: Text
    weight: Weight = 1.0
    name: Name | None = None


class ConditionForm(Struct):
    condition: Text


class SegmentForm(Struct):
    name: Name
    condition: Text
    description: Text = ""


class SegmentChange(Struct):
    """What is left out stays as it is. `name` may be given, and is that of the path."""

    name: Name | UnsetType = UNSET
    condition: Text | UnsetType = UNSET
    description: Text | UnsetType = UNSET


Column = Annotated[str, Meta(min_length=1, max_length=256)]
Columns = Annotated[list[Column], Meta(max_length=2000)]
Secret = Annotated[str, Meta(max_length=4096, extra_json_schema={"format": "password", "writeOnly": True})]


class Source(Struct, forbid_unknown_fields=True):
    """Where training rows come from, see docs/training-data.md. Nothing given: the shop's own log.

    From `label` on: what the columns mean. `password` and the keys are used and kept nowhere; without them the server's
    environment is asked. `options` are those of a kind that another package brought.
    """

    kind: Name = "shop"
    path: Annotated[str, Meta(max_length=4096)] | None = None
    format: Literal["csv", "parquet", "json", "jsonl", "xlsx"] | None = None
    query: Annotated[str, Meta(max_length=100_000)] | None = None
    table: Column | None = None
    database: Column | None = None
    host: Annotated[str, Meta(max_length=255)] | None = None
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    user: Column | None = None
    password: Secret | None = None
    endpoint: Annotated[str, Meta(max_length=1024)] | None = None
    region: Name | None = None
    addressing: Literal["virtual", "path"] | None = None
    access_key: Secret | None = None
    secret_key: Secret | None = None
    session_token: Secret | None = None
    label: Column | None = None
    time: Column | None = None
    group: Column | None = None
    weight: Column | None = None
    features: Columns | None = None
    categorical: Columns | None = None
    options: dict[str, Any] = field(default_factory=dict)


class TrainForm(Struct):
    """`evaluate` false: the gate is not asked. `register` false: train and measure only. `upload`: a bucket's folder.
    `version`: what the new version shall be called beside its number; else the time stamp of its making. `start_from`:
    a version of this model (a number, v3, an alias) whose training goes on; not every algorithm can.
    """

    algorithm: Name
    params: dict[str, Any] = field(default_factory=dict)
    source: Source = field(default_factory=Source)
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 42
    promote: bool = True
    evaluate: bool = True
    register: bool = True
    upload: Annotated[str, Meta(max_length=1000)] | None = None
    version: Name | None = None
    start_from: Annotated[int, Meta(ge=1)] | Name | None = None


class PromoteForm(Struct):
    """`version`: a number, v3, or an alias."""

    version: int | str
    force: bool = False
    reason: Text = ""


class EvaluateForm(Struct):
    """`against`: a number, v3, or an alias."""

    against: int | str = "champion"


class RollbackForm(Struct):
    to: int | str = "previous"
    reason: Text = ""


UserIds = Annotated[list[Id], Meta(min_length=1, max_length=1000)]


class ComputeForm(Struct):
    user_ids: UserIds
    context: dict[str, Any] = field(default_factory=dict)


class MappingForm(Struct):
    """`mapping`: our field -> the file's column, null for none. Nothing given: what was guessed."""

    mapping: dict[str, str | None] | None = None
    kind: str | None = None


Mode = Literal["product", "store", "category", "global"]
Aggregation = Literal["sum", "mean", "median", "max", "weighted"]
Category = Annotated[str, Meta(min_length=1, max_length=128)]
Uid = Annotated[str, Meta(min_length=1, max_length=400)]
FutureDays = Annotated[int, Meta(ge=1, le=365)]
IsoDay = Annotated[str, Meta(max_length=10, extra_json_schema={"format": "date"})]


class UsualParams(Struct):
    """Bounds of the hyperparameters that older clients send with every training, whether it knows them or not."""

    epochs: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    batch_size: Annotated[int, Meta(ge=1, le=65_536)] | None = None
    learning_rate: Annotated[float, Meta(gt=0, le=10)] | None = None


class StockTraining(Struct):
    """The stock paths' training form: of a product (in one store or all), a store, a category, or everything.
    Hyperparameters win over the fields beside them. `start_from`: go on with what this version has learned."""

    model_type: Name
    training_mode: Mode = "product"
    product_id: Id | None = None
    store_id: Id | None = None
    category: Category | None = None
    epochs: Annotated[int, Meta(ge=1, le=10_000)] = 100
    aggregation_method: Aggregation = "sum"
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    start_from: Uid | None = None


class StockPrediction(Struct):
    """Either `model_uid`, or a mode with its id; of any type without `model_type`. `version`: a number, or best. A
    `start_date` in the past: what was known on that day is all that is read."""

    model_uid: Uid | None = None
    training_mode: Mode = "product"
    product_id: Id | None = None
    store_id: Id | None = None
    category: Category | None = None
    model_type: Name | None = None
    version: int | Annotated[str, Meta(max_length=16)] = "best"
    future_days: FutureDays = 7
    start_date: IsoDay | None = None
    history_days: Annotated[int, Meta(ge=0, le=3650)] = 90
    analyze_result: bool = False


class StockComparison(Struct):
    """Several models asked the same. Of what: of what the narrowest of them is, unless an id says it."""

    model_uids: Annotated[list[Uid], Meta(min_length=2, max_length=10)]
    product_id: Id | None = None
    store_id: Id | None = None
    category: Category | None = None
    future_days: FutureDays = 7
    start_date: IsoDay | None = None
    history_days: Annotated[int, Meta(ge=0, le=3650)] = 90


class StoreFacts(Struct):
    """A store without its id. What is left out of a PUT is empty afterwards."""

    name: Annotated[str, Meta(max_length=500)] = ""
    location: Annotated[str, Meta(max_length=500)] = ""
    size: Annotated[float, Meta(ge=0, le=1e12)] | None = None
    type: Annotated[str, Meta(max_length=500)] = ""
    opening_date: IsoDay | None = None
    status: Annotated[str, Meta(max_length=500)] = "open"


class NewStore(StoreFacts, kw_only=True):
    store_id: Id


class BacktestForm(Struct):
    """`models` are algorithms. `scope`: all, store:ID, category:NAME, product:ID. `step` days between cutoffs, by
    default the horizon; `params` maps an algorithm to its parameters."""

    models: Annotated[list[Name], Meta(min_length=1, max_length=10)]
    scope: Annotated[str, Meta(max_length=280)] = "all"
    windows: Annotated[int, Meta(ge=1, le=20)] = 4
    horizon: FutureDays = 28
    step: FutureDays | None = None
    refit: bool = False
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 1
    params: dict[str, dict[str, Any]] = field(default_factory=dict)
    source: Source = field(default_factory=Source)
