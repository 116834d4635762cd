"""Open families: a folder in which every class with a `name` is a member. Dropping a file in is registering it."""

import importlib
import inspect
import pkgutil
from functools import cache
from types import ModuleType
from typing import Any

from oddframe.errors import unknown


@cache
def members(folder: str) -> dict[str, Any]:
    """The named classes and objects of all modules in `oddframe.<folder>`, by name."""
    package = importlib.import_module(f"oddframe.{folder}")
    found: dict[str, Any] = {}
    for entry in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{entry.name}")
        for value in _defined_in(module):
            found[value.name] = value
    return dict(sorted(found.items()))


def member(folder: str, name: str, what: str) -> Any:
    """The member of that name. Raises BadInput with the nearest name."""
    family = members(folder)
    if name not in family:
        raise unknown(what, name, family)
    return family[name]


def _defined_in(module: ModuleType) -> list[Any]:
    classes = [value for value in vars(module).values() if inspect.isclass(value)]
    return [
        value
        for value in classes
        if _inside(value.__module__, module.__name__)
        and isinstance(getattr(value, "name", None), str)
    ]


def _inside(name: str, package: str) -> bool:
    """Whether a module is this one, or lies in it: a member may be a package."""
    return name == package or name.startswith(f"{package}.")
