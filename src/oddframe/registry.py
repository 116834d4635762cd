"""Open families: a folder in which every class with a `name` is a member. Dropping a file in is
registering it.

Names and first lines are read from the source without running it, so that they can be listed where
what a member imports is not installed; a module is imported when a member of it is asked for.
"""

import ast
import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from oddframe.errors import missing_package, unknown

DEFAULT_METHOD = "scene"  # what is fitted where no method is named


@dataclass(frozen=True)
class Member:
    """Where a member is defined."""

    name: str
    module: str
    class_name: str
    summary: str  # the first paragraph of its docstring, in one line


@cache
def entries(folder: str) -> dict[str, Member]:
    """The members of `oddframe.<folder>` by name, in order of their names. Nothing of theirs is
    imported.
    """
    found: dict[str, Member] = {}
    package = importlib.import_module(f"oddframe.{folder}")
    for module, source in sources_in(package.__name__, package.__path__):
        for entry in members_in(module, source):
            found[entry.name] = entry
    return dict(sorted(found.items()))


def members(folder: str) -> dict[str, Any]:
    """The classes of all members by name; imports them all. Raises BadInput where a package is
    missing.
    """
    return {name: load_member(entry) for name, entry in entries(folder).items()}


def member(folder: str, name: str, what: str) -> Any:
    """The class of that name.

    Raises BadInput: with the nearest name for one that there is not, or with the extra to install.
    """
    family = entries(folder)
    if name not in family:
        raise unknown(what, name, family)
    return load_member(family[name])


def load_member(entry: Member) -> Any:
    """The class behind an entry. Raises BadInput where a package that it needs is not installed."""
    try:
        return getattr(importlib.import_module(entry.module), entry.class_name)
    except ModuleNotFoundError as error:
        raise missing_package(entry.name, error) from error


def sources_in(package: str, path: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Name and text of the modules on a package's path, also of those in packages there."""
    for finder, leaf, is_package in pkgutil.iter_modules(path):
        spec = finder.find_spec(leaf, None)
        if spec is None or spec.loader is None:
            continue
        name = f"{package}.{leaf}"
        if is_package:
            yield from sources_in(name, spec.submodule_search_locations or ())
        else:
            source = spec.loader.get_source(leaf)  # type: ignore[attr-defined]
            yield name, source or ""


def members_in(module: str, source: str) -> Iterator[Member]:
    """The classes of one module that give themselves a name."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and (name := name_in(node)):
            paragraph = (ast.get_docstring(node) or "").partition("\n\n")[0]
            yield Member(name, module, node.name, " ".join(paragraph.split()))


def name_in(node: ast.ClassDef) -> str | None:
    """The string that a class body assigns to `name`."""
    for line in node.body:
        if isinstance(line, ast.Assign):
            targets: list[ast.expr] = line.targets
        elif isinstance(line, ast.AnnAssign):
            targets = [line.target]
        else:
            continue
        named = any(isinstance(target, ast.Name) and target.id == "name" for target in targets)
        if named and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str):
            return line.value.value
    return None
