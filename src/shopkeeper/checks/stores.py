"""The stores: every class of the room `stores` that works on a `Database`.

Their contract suites are test classes in `tests/stores`, which run on each engine of `conftest.ENGINES`.
"""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module

import shopkeeper.stores


def every_store() -> dict[str, type]:
    """Stores by class name."""
    found: dict[str, type] = {}
    for info in pkgutil.iter_modules(shopkeeper.stores.__path__):
        if info.ispkg:
            continue
        module = import_module(f"shopkeeper.stores.{info.name}")
        for name, kind in vars(module).items():
            if inspect.isclass(kind) and kind.__module__ == module.__name__ and _works_on_a_database(kind):
                found[name] = kind
    return found


def _works_on_a_database(kind: type) -> bool:
    parameters = inspect.signature(kind).parameters.values()
    return any(parameter.annotation in ("Database", "Writer") for parameter in parameters)
