"""How a graph model lies in a folder: `weights.npz`, `graph.json` with names and vocabularies, `summary.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.profiles.graph.encoders import TypeEncoder
from shopkeeper.profiles.graph.fields import AnyField
from shopkeeper.profiles.graph.hetero import BUCKETS
from shopkeeper.profiles.graph.parameters import Shape
from shopkeeper.profiles.graph.schema import GraphSchema, Relation
from shopkeeper.profiles.graph.weights import Head, Layer, RelationWeights, TypeWeights

if TYPE_CHECKING:
    from shopkeeper.profiles.graph.artifact import HgtModel

ARRAYS, FACTS, SUMMARY = "weights.npz", "graph.json", "summary.json"
_LEARNED = "learned/"
OF_TYPE = ("query_w", "query_b", "out_w", "out_b")
OF_RELATION = ("key_w", "key_b", "key_time", "value_w", "value_b", "value_time")


class _Facts(msgspec.Struct, kw_only=True):
    node_types: tuple[str, ...]
    relations: list[str]
    fields: dict[str, tuple[AnyField, ...]]
    ids: dict[str, tuple[str, ...]]
    heads: int
    keep: list[dict[str, float]]
    offsets: dict[str, float]
    recent: int
    reference: int
    item_ids: tuple[str, ...]
    shape: Shape | None = None


def write(model: HgtModel, folder: Path) -> None:
    """Into an existing folder."""
    facts = _Facts(
        node_types=model.schema.node_types,
        relations=[str(relation) for relation in model.schema.relations],
        fields={name: encoder.fields for name, encoder in model.encoders.items()},
        ids={name: encoder.ids for name, encoder in model.encoders.items()},
        heads=model.layers[0].heads if model.layers else 1,
        keep=[{name: each.keep for name, each in layer.types.items()} for layer in model.layers],
        offsets={name: head.offset_b for name, head in model.heads.items()},
        recent=model.recent,
        reference=model.reference,
        item_ids=model.item_ids,
        shape=model.shape,
    )
    np.savez(folder / ARRAYS, allow_pickle=False, **_arrays(model))
    (folder / FACTS).write_bytes(msgspec.json.encode(facts))
    (folder / SUMMARY).write_text(json.dumps(dict(model.summary), indent=1), encoding="utf-8")


def _arrays(model: HgtModel) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"item_vectors": model.item_vectors}
    for name, encoder in model.encoders.items():
        arrays |= {f"encoder/{name}/start": encoder.start, f"encoder/{name}/ids": encoder.id_vectors}
        for each, learned in encoder.learned.items():
            arrays |= {f"field/{name}/{each}/{what}": array for what, array in learned.items()}
    for at, layer in enumerate(model.layers):
        for name, of_type in layer.types.items():
            arrays |= {f"{at}/{name}/{what}": getattr(of_type, what) for what in OF_TYPE}
            if of_type.norm is not None:
                arrays |= {f"{at}/{name}/norm{k}": array for k, array in enumerate(of_type.norm)}
        for relation, numbers in layer.relations.items():
            arrays |= {f"{at}/{relation}/{what}": getattr(numbers, what) for what in OF_RELATION}
    arrays |= {f"{_LEARNED}{name}": array for name, array in model.learned.items()}
    for name, head in model.heads.items():
        arrays |= {f"head/{name}/weight": head.weight, f"head/{name}/bias": head.bias}
        if head.offset_w is not None:
            arrays[f"head/{name}/offset_w"] = head.offset_w
    return arrays


def read(folder: Path) -> dict[str, Any]:
    """What an `HgtModel` is made of, by name. Raises Invalid when a part is missing."""
    try:
        facts = msgspec.json.decode((folder / FACTS).read_bytes(), type=_Facts)
        with np.load(folder / ARRAYS, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        schema = GraphSchema(facts.node_types, tuple(Relation.read(text) for text in facts.relations))
        return {
            "schema": schema,
            "encoders": {name: _encoder(name, facts, arrays) for name in facts.fields},
            "layers": tuple(_layer(at, facts, schema, arrays) for at in range(len(facts.keep))),
            "heads": {name: _head(f"head/{name}", offset, arrays) for name, offset in facts.offsets.items()},
            "recent": facts.recent,
            "reference": facts.reference,
            "item_ids": facts.item_ids,
            "item_vectors": arrays["item_vectors"],
            "shape": facts.shape,
            "learned": {
                name.removeprefix(_LEARNED): array for name, array in arrays.items() if name.startswith(_LEARNED)
            },
            "summary": json.loads((folder / SUMMARY).read_text(encoding="utf-8")),
        }
    except (OSError, EOFError, BadZipFile, KeyError, IndexError, msgspec.MsgspecError, ValueError) as error:
        raise Invalid(f"this graph model is not whole: {error}; train it again", code="bad_artifact") from error


def _encoder(name: str, facts: _Facts, arrays: Mapping[str, NDArray[Any]]) -> TypeEncoder:
    learned = {
        each.name: {what: arrays[f"field/{name}/{each.name}/{what}"] for what in each.shapes(1)}
        for each in facts.fields[name]
    }
    start, vectors = arrays[f"encoder/{name}/start"], arrays[f"encoder/{name}/ids"]
    return TypeEncoder(facts.fields[name], learned, start, facts.ids[name], vectors)


def _layer(at: int, facts: _Facts, schema: GraphSchema, arrays: Mapping[str, NDArray[Any]]) -> Layer:
    types = {}
    for name in schema.node_types:
        has = f"{at}/{name}/norm0" in arrays
        norm = (arrays[f"{at}/{name}/norm0"], arrays[f"{at}/{name}/norm1"]) if has else None
        maps = {what: arrays[f"{at}/{name}/{what}"] for what in OF_TYPE}
        types[name] = TypeWeights(**maps, keep=facts.keep[at][name], norm=norm)
    relations = {
        relation: RelationWeights(**{what: arrays[f"{at}/{relation}/{what}"] for what in OF_RELATION})
        for relation in schema.relations
    }
    return Layer(facts.heads, types, relations)


def _head(at: str, offset: float, arrays: Mapping[str, NDArray[Any]]) -> Head:
    return Head(arrays[f"{at}/weight"], arrays[f"{at}/bias"], arrays.get(f"{at}/offset_w"), offset)


def checked(model: HgtModel) -> HgtModel:
    """The model. Raises Invalid for shapes that do not fit, or numbers that are not finite."""
    wrong = [name for name, array in _arrays(model).items() if not np.isfinite(array).all()]
    for name, encoder in model.encoders.items():
        width = encoder.width
        for each in encoder.fields:
            given = encoder.learned[each.name]
            wrong += [f"{name}.{each.name}" for what, shape in each.shapes(width).items() if given[what].shape != shape]
        wrong += [f"{name}.ids"] if encoder.id_vectors.shape != (len(encoder.ids), width) else []
        into = [layer.types[name].query_w.shape[0] for layer in model.layers[:1]]
        wrong += [name] if into not in ([], [width]) else []
    for layer in model.layers:
        for relation, numbers in layer.relations.items():
            wide, d = layer.types[relation.source].query_w.shape
            shapes = [getattr(numbers, what).shape for what in OF_RELATION]
            wrong += [str(relation)] if shapes != [(wide, d), (d,), (BUCKETS, d)] * 2 else []
    if model.item_ids and model.item_vectors.shape != (len(model.item_ids), model.dim):
        wrong.append("item_vectors")
    if wrong:
        raise Invalid(f"numbers of this graph model do not fit: {', '.join(wrong[:5])}", code="bad_artifact")
    return model
