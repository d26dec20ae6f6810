"""A training that begins where another ended: with what the model's champion has learned, for what both know.

Node types, relations, attributes, words and items that the champion does not know begin as in any training. What is
left out of a new training (a word that too few have now, an item that too few took) is not taken over either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import StoppedClock, rfc3339
from shopkeeper.core.errors import Invalid, NotFound, ShopkeeperError
from shopkeeper.core.protocols import TrainingContext
from shopkeeper.lifecycle.addresses import CHAMPION
from shopkeeper.lifecycle.loading import load_model
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.profiles.graph.encoders import TypeEncoder
from shopkeeper.profiles.graph.fields import AnyField, Number, Series
from shopkeeper.profiles.graph.parameters import Shape
from shopkeeper.profiles.graph.weights import Floats
from shopkeeper.stores.artifacts import ArtifactStore
from shopkeeper.stores.home import Home
from shopkeeper.stores.sql import open_database

if TYPE_CHECKING:
    from shopkeeper.profiles.graph.artifact import HgtModel

Learned = Mapping[str, Floats]
GENTLE = 0.2
"""The share of the learning rate that is taken: what is learned already is lost in steps that find it from nothing."""
_NOT_PARAMETERS = {"out": "dims"}


def champion_of(context: TrainingContext, shape: Shape, until: int) -> tuple[HgtModel | None, str]:
    """The champion of the model in training, and its name for the summary; None where there is nothing to begin with,
    and why. `until` (us): what came later is to measure the new version on.

    Raises Invalid when the champion has another shape.
    """
    from shopkeeper.profiles.graph.artifact import HgtModel

    db = open_database(context.sql_url, read_only=True)
    try:
        registry = Registry(db, ArtifactStore(Home(context.home).artifacts), StoppedClock(context.now))
        version = registry.version(context.model, CHAMPION, context.scope)
        name = f"{context.model}/{version.version}"
        model, _ = load_model(version.algorithm, registry.folder(version), version.files)
    except NotFound:
        return None, f"as usual: {context.model} has no champion yet"
    except ShopkeeperError as error:  # what cannot serve any more is what a training is to replace
        return None, f"as usual: the champion cannot be read: {error.message}"
    finally:
        db.close()
    if not isinstance(model, HgtModel) or model.shape is None:
        return None, f"as usual: {name} does not hold what a training could go on with"
    check_shape(model, shape)
    if model.reference > until:
        text = f"{name} has learned from days up to {rfc3339(model.reference)}, on which this version is to be measured"
        return None, f"as usual: {text}"
    return model, name


def check_shape(champion: HgtModel, shape: Shape) -> None:
    """Raises Invalid, with the parameters that differ."""
    before = champion.shape
    if before == shape:
        return
    differing = [
        f"{_NOT_PARAMETERS.get(name, name)} {getattr(before, name)}, not {getattr(shape, name)}"
        for name in shape.__dataclass_fields__
        if getattr(before, name, None) != getattr(shape, name)
    ]
    raise Invalid(
        f"cannot begin with the champion, it has another shape ({'; '.join(differing)}): ask for its shape, or leave "
        "warm_start out to learn from the start",
        code="other_shape",
        field="warm_start",
    )


def warmed(new: Mapping[str, TypeEncoder], champion: HgtModel) -> dict[str, TypeEncoder]:
    """Encoders of a new training with what those of the champion have learned."""
    before = champion.encoders
    return {name: _warmed(each, before[name]) if name in before else each for name, each in new.items()}


def _warmed(new: TypeEncoder, old: TypeEncoder) -> TypeEncoder:
    before = {each.name: each for each in old.fields}
    fields, learned = [], {}
    for each in new.fields:
        field, arrays = each, new.learned[each.name]
        if each.name in before:
            field, arrays = _field(each, arrays, before[each.name], old.learned[each.name])
        fields.append(field)
        learned[each.name] = dict(arrays)
    return TypeEncoder(tuple(fields), learned, old.start, new.ids, _id_vectors(new, old))


def _field(new: AnyField, fresh: Learned, old: AnyField, given: Learned) -> tuple[AnyField, Learned]:
    """A number's mean, spread and bins stay the champion's: what was learned of them is about these."""
    if isinstance(new, Number | Series) or isinstance(old, Number | Series):
        return (old, given) if type(new) is type(old) else (new, fresh)
    if type(new) is not type(old) or getattr(new, "split", None) != getattr(old, "split", None):
        return new, fresh
    place = {word: at + 1 for at, word in enumerate(old.known)}
    from_row = np.array([0, *(place.get(word, -1) for word in new.known)])
    return new, {name: _rows(array, given[name], from_row) for name, array in fresh.items()}


def _rows(fresh: Floats, given: Floats, from_row: NDArray[Any]) -> Floats:
    """`fresh` with row i from row `from_row[i]` of `given`, where that is not -1."""
    made, known = fresh.copy(), from_row >= 0
    made[known] = given[from_row[known]]
    return made


def _id_vectors(new: TypeEncoder, old: TypeEncoder) -> Floats:
    """The champion's, by id. What is new begins where it would, but turned into the champion's directions: a
    decomposition's own are arbitrary. The turn is the one that brings what both know nearest together."""
    place = old.places(new.ids)
    known = place >= 0
    if not known.any():
        return new.id_vectors
    left, _, right = np.linalg.svd(new.id_vectors[known].T @ old.id_vectors[place[known]])
    return _rows((new.id_vectors @ (left @ right)).astype(np.float32), old.id_vectors, place)
