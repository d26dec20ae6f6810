"""What is registered, and the checks that are due for it: nothing may escape.

A suite is a module of this package with `CHECKS`. An algorithm goes through the suite that bears its family's name (one
that only takes uploads through `uploads`) and through `artifacts`; a feature through `features`; a source through
`sources`, or `shops` when it is a whole shop; a training table through `tables`.

    @pytest.mark.parametrize("check", every_check("algorithm", "weekday_average"), ids=str)
    def test_own_algorithm(check):
        check()
"""

from __future__ import annotations

import inspect
import pkgutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import shopkeeper.checks
from shopkeeper import plugins
from shopkeeper.checks import artifacts, shops, sources, tables, uploads
from shopkeeper.checks.artifacts import Trained
from shopkeeper.checks.brief import brief_params
from shopkeeper.checks.shops import WholeShop
from shopkeeper.checks.sources import FileFormat, Writer
from shopkeeper.checks.tables import Put, TableKind
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.protocols import silent

CHECKED = ("algorithm", "feature", "source", "table")
"""Nouns of `plugins.GROUPS` whose members have suites; families are checked by their algorithms."""


@dataclass(frozen=True)
class DueCheck:
    """One check of one registered plugin; call it. `str` is what its test must be called: `name-check`."""

    plugin: str
    name: str
    run: Callable[[], None]

    def __str__(self) -> str:
        return f"{self.plugin}-{self.name}"

    def __call__(self) -> None:
        self.run()


def every_check(noun: str, name: str, write: Writer | Put | None = None) -> list[DueCheck]:
    """All checks of a registered plugin. `write`, for sources of files, writes a table as a file that one reads; for a
    training table it puts a frame where the kind finds it and gives the source that reads it.

    Raises NotFound for a name that is not registered, and for a family without a suite.
    """
    return [
        DueCheck(name, check.__name__, partial(_run, suite, check, name, plugin, write))
        for plugin in (plugins.load(noun, name),)
        for suite in suites(noun, plugin)
        for check in suite.CHECKS
    ]


def every_name(noun: str, name: str) -> list[str]:
    """The names of all tests that are due for a registered plugin."""
    return [f"{name}-{check.__name__}" for suite in suites(noun, plugins.load(noun, name)) for check in suite.CHECKS]


def suites(noun: str, plugin: Any) -> tuple[ModuleType, ...]:
    """The suites of a plugin. Raises NotFound when there is none."""
    match noun:
        case "algorithm":
            return uploads if getattr(plugin, "uploads_only", False) else _of_family(plugin.family), artifacts
        case "feature":
            return (_suite("features"),)
        case "source":
            return (sources,) if hasattr(plugin, "slices") else (shops,)
        case "table":
            return (tables,)
    raise NotFound(f"a {noun} has no suite of checks; those have one: {', '.join(CHECKED)}", code="no_suite")


def unsuited() -> list[str]:
    """Registered plugins, and families, for which no suite was written."""
    found = []
    for noun in CHECKED:
        for name in plugins.names(noun):
            try:
                suites(noun, plugins.load(noun, name))
            except NotFound:
                found.append(f"{noun} {name}")
    return found + [f"family {name}" for name in plugins.names("family") if name not in all_suites()]


def unlisted(suite: ModuleType) -> list[str]:
    """Functions that look like checks (public, defined here, returning None) and that `CHECKS` does not name."""
    listed = set(suite.CHECKS)
    return [
        name
        for name, function in vars(suite).items()
        if inspect.isfunction(function)
        and function.__module__ == suite.__name__
        and not name.startswith("_")
        and function.__annotations__.get("return", "None") in (None, "None")
        and function not in listed
    ]


def all_suites() -> dict[str, ModuleType]:
    """Every suite of this package by name."""
    names = [module.name for module in pkgutil.iter_modules(shopkeeper.checks.__path__)]
    modules = {name: import_module(f"shopkeeper.checks.{name}") for name in names if name != "coverage"}
    return {name: module for name, module in modules.items() if hasattr(module, "CHECKS")}


def _suite(name: str) -> ModuleType:
    found = all_suites().get(name)
    if found is None:
        raise NotFound(f"there is no shopkeeper/checks/{name}.py with CHECKS; write one", code="no_suite")
    return found


def _of_family(family: str) -> ModuleType:
    if family not in _SMALL:
        raise NotFound(f"nothing small to train an algorithm of family {family!r} on; see coverage.py", code="no_suite")
    return _suite(family)


def _run(suite: ModuleType, check: Callable[..., None], name: str, plugin: Any, write: Any) -> None:
    if suite is shops:
        check(_whole_shop(plugin))
    elif suite is tables:
        check(TableKind(plugin, _written(name, "table", write)))
    elif suite not in (artifacts, sources):
        check(plugin)
    else:
        with tempfile.TemporaryDirectory() as folder:
            check(_trained(plugin) if suite is artifacts else _format(name, plugin, write), Path(folder))


def _format(name: str, source: Any, write: Writer | None) -> FileFormat:
    return FileFormat(source, _written(name, "source", write))


def _written(name: str, noun: str, write: Any) -> Any:
    if write is None:
        raise Invalid(f"{noun} {name!r} needs something that writes its data: give `write`", field="write")
    return write


# -- what is trained once for the checks of artifacts ----------------------------------------------------------


@cache
def _whole_shop(source: Any) -> WholeShop:
    return WholeShop(source)


@cache
def _trained(trainer: Any) -> Trained:
    if getattr(trainer, "uploads_only", False):
        return Trained(trainer.name, uploads.small_model(trainer), {"rows": uploads.small_golden()})
    data, golden = _SMALL[trainer.family]()
    fitted = getattr(_suite(trainer.family), "fitted", None)
    if fitted is not None:  # the fit that its own suite asks, when both run in one process
        return Trained(trainer.name, fitted(trainer), golden)
    return Trained(trainer.name, trainer(brief_params(trainer), 11).fit(data, silent), golden)


def _small_recall() -> tuple[Any, Any]:
    from shopkeeper.checks.recall import small_data

    return small_data(), {"users": [["I0", "I1"], ["I9"], ["I20", "I3", "nowhere"]]}


def _small_ranking() -> tuple[Any, Any]:
    from shopkeeper.checks.ranking import small_rows

    rows = small_rows()
    return rows, {"rows": rows.golden()}


def _small_forecast() -> tuple[Any, Any]:
    from shopkeeper.checks.forecast import small_shop
    from shopkeeper.forecast.family import golden_of

    series = small_shop()
    return series, golden_of(series)


def _small_churn() -> tuple[Any, Any]:
    from shopkeeper.checks.churn import small_customers
    from shopkeeper.profiles.churn.family import golden_of

    customers = small_customers()
    return customers, golden_of(customers)


def _small_clusters() -> tuple[Any, Any]:
    from shopkeeper.checks.clusters import small_habits
    from shopkeeper.profiles.clusters.family import golden_of

    rows, _ = small_habits()
    return rows, golden_of(rows)


def _small_fusion() -> tuple[Any, Any]:
    from shopkeeper.checks.fusion import small_rows
    from shopkeeper.profiles.fusion.rows import golden_of

    rows = small_rows()
    return rows, golden_of(rows)


def _small_graph() -> tuple[Any, Any]:
    from shopkeeper.checks.graph import small_rows
    from shopkeeper.profiles.graph.family import golden_of

    rows, _ = small_rows()
    return rows, golden_of(rows)


def _small_multitask() -> tuple[Any, Any]:
    from shopkeeper.checks.multitask import golden_of, small_rows

    rows = small_rows()
    return rows, golden_of(rows)


def _small_embedding() -> tuple[Any, Any]:
    from shopkeeper.checks.embedding import small_rows
    from shopkeeper.recommend.embedding.family import golden_of

    rows = small_rows()
    return rows, golden_of(rows)


def _small_matching() -> tuple[Any, Any]:
    from shopkeeper.checks.matching import small_pairs
    from shopkeeper.recommend.matching.family import golden_of

    pairs = small_pairs()
    return pairs, golden_of(pairs)


def _small_policy() -> tuple[Any, Any]:
    from shopkeeper.checks.policy import small_rows
    from shopkeeper.recommend.explore.family import golden_of

    rows = small_rows()
    return rows, golden_of(rows)


_SMALL: dict[str, Callable[[], tuple[Any, Any]]] = {
    "matching": _small_matching,
    "recall": _small_recall,
    "ranking": _small_ranking,
    "forecast": _small_forecast,
    "churn": _small_churn,
    "clusters": _small_clusters,
    "fusion": _small_fusion,
    "graph": _small_graph,
    "embedding": _small_embedding,
    "multitask": _small_multitask,
    "policy": _small_policy,
}
"""Family -> what to fit on, and the golden input of its probe."""
