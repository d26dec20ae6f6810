"""Where algorithms, families, job kinds, features and sources come from: entry points, ours and a stranger's alike.

The built-ins are listed in `pyproject.toml` under the same groups that a shop's own package uses. Nothing is imported
until it is asked for.
"""

from __future__ import annotations

from contextlib import suppress
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any, cast

import msgspec

from shopkeeper.core.converting import placed
from shopkeeper.core.errors import Invalid, NotFound, Unavailable
from shopkeeper.core.protocols import Family, JobFunction, Params, Trainer
from shopkeeper.core.records import AlgorithmInfo

GROUPS = {
    "algorithm": "shopkeeper.algorithms",
    "family": "shopkeeper.families",
    "job kind": "shopkeeper.jobs",
    "feature": "shopkeeper.features",
    "source": "shopkeeper.sources",
    "table": "shopkeeper.tables",
}

_OURS = f"{__name__.partition('.')[0]}."


def names(noun: str) -> list[str]:
    """Names registered for a noun of GROUPS, sorted."""
    return sorted({point.name for point in entry_points(group=GROUPS[noun])})


def strangers(noun: str) -> list[str]:
    """Those of `names` that other packages brought."""
    return sorted({point.name for point in entry_points(group=GROUPS[noun]) if not point.module.startswith(_OURS)})


def load(noun: str, name: str) -> Any:
    """The registered object. Raises NotFound (with what exists), Unavailable when its library is not installed."""
    found = [point for point in entry_points(group=GROUPS[noun]) if point.name == name]
    if not found:
        raise NotFound(f"no {noun} {name!r}; there are: {', '.join(names(noun)) or 'none'}", code=f"unknown_{noun}")
    return _load(noun, found[0])


def load_all(noun: str) -> dict[str, Any]:
    """Every registered object by name, sorted, in one scan; one whose library is not installed is left out."""
    found = {}
    for point in sorted(entry_points(group=GROUPS[noun]), key=lambda point: point.name):
        with suppress(Unavailable):
            found[point.name] = _load(noun, point)
    return found


def algorithm(name: str) -> type[Trainer]:
    return cast(type[Trainer], load("algorithm", name))


def family(name: str) -> Family:
    return cast(Family, load("family", name)())


def job_function(kind: str) -> JobFunction:
    return cast(JobFunction, load("job kind", kind))


def describe(name: str) -> AlgorithmInfo:
    """Facts and parameter schema of one algorithm; `available` false with `needs` when a library is missing."""
    try:
        trainer = algorithm(name)
    except Unavailable as error:
        return AlgorithmInfo(
            name=name,
            task="",
            description="",
            tags=[],
            available=False,
            needs=error.message,
            params_schema={},
            knows_new_users=False,
            knows_new_items=False,
        )
    missing = lacking(trainer)
    return AlgorithmInfo(
        name=name,
        task=trainer.family,
        description=trainer.description,
        tags=list(trainer.tags),
        available=not missing,
        needs="; ".join(missing) or None,
        params_schema=params_schema(trainer.Params),
        knows_new_users=trainer.knows_new_users,
        knows_new_items=trainer.knows_new_items,
        continues=hasattr(trainer, "continue_from"),
    )


def lacking(trainer: type[Trainer]) -> list[str]:
    """What to do about each library that its `fit` needs and that is not installed."""
    return [how for library, how in getattr(trainer, "needs", {}).items() if find_spec(library) is None]


def params_schema(params: type[Params]) -> dict[str, Any]:
    """JSON schema with default, bounds and help of every parameter."""
    schema = msgspec.json.schema(params)
    definition: dict[str, Any] = schema["$defs"][params.__name__]
    return definition


def read_params(trainer: type[Trainer], given: dict[str, Any]) -> Params:
    """Checked parameters. Raises Invalid naming the unknown one and its nearest valid name, or the broken bound."""
    known = trainer.Params.__struct_fields__
    for key in given:
        if key not in known:
            raise Invalid(_unknown(trainer.name, key, known), code="unknown_param", field=key)
    try:
        return msgspec.convert(given, trainer.Params)
    except msgspec.ValidationError as error:
        raise Invalid(f"{trainer.name}: {error}", code="bad_param", field=placed(error)[1] or None) from error


def _unknown(algorithm: str, key: str, known: tuple[str, ...]) -> str:
    import difflib

    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"it knows: {', '.join(known) or 'none'}"
    return f"{algorithm} has no parameter {key!r}; {hint}"


def _load(noun: str, point: EntryPoint) -> Any:
    try:
        return point.load()
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] != "shopkeeper":
            raise Unavailable(
                f"{noun} {point.name!r} needs the package {error.name!r}", code="not_installed"
            ) from error
        raise
