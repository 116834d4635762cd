"""Words and configuration to values: what a type takes, read from a text or from YAML.

A configuration is plain YAML: no anchors, no deep nesting, no large file, so that reading it costs
no more than it is worth.
"""

import types
from collections.abc import Sequence
from dataclasses import is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from oddframe.errors import BadInput
from oddframe.options import check_number, number_in

NONE = ("null", "none", "")  # texts that stand for no value, where an option may have none
YES = ("true", "yes", "on")
NO = ("false", "no", "off")
LARGEST_CONFIGURATION = 1 << 20  # bytes of a configuration file
DEEPEST = 20  # nesting of a configuration
SHOWN_CHARACTERS = 80  # characters of a value in a message


def read_value(name: str, given: Any, hint: Any) -> Any:
    """A value of the type `hint` from a text or a value of YAML.

    Raises BadInput, one line, with the name, what is taken, and what came; also for a number
    outside the range that its type states.
    """
    try:
        value = convert(given, hint)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadInput(f"{name} takes {kind_of(hint)}, got {shown(given)}") from error
    number = number_in(hint)
    if number is not None:
        several = [value]
        if isinstance(value, list | tuple):
            several = list(value)
        try:
            for one in several:
                check_number(name, one, number)
        except ValueError as error:
            raise BadInput(str(error)) from error
    return value


def convert(given: Any, hint: Any) -> Any:
    """The same without words. Raises ValueError for what the type does not take."""
    hint = plain_type(hint)
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return convert_to_one_of(given, get_args(hint))
    if origin is Literal:
        return convert_to_choice(given, get_args(hint))
    if origin in (tuple, list, Sequence):
        return convert_to_several(given, hint)
    converters = {bool: convert_to_bool, int: convert_to_whole, float: convert_to_real}
    if hint in converters:
        return converters[hint](given)
    if isinstance(given, dict | list | bool):
        raise ValueError(given)
    if hint is Path:
        return Path(given)
    return str(given)


def plain_type(hint: Any) -> Any:
    """A type without what is noted about it."""
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    return hint


def allows_none(hint: Any) -> bool:
    """Whether a type has None among its values."""
    return type(None) in get_args(plain_type(hint))


def is_switch(hint: Any) -> bool:
    """Whether an option is on or off."""
    return plain_type(hint) is bool


def kind_of(hint: Any) -> str:
    """A type in words."""
    hint = plain_type(hint)
    origin = get_origin(hint)
    arguments = [part for part in get_args(hint) if part not in (type(None), Ellipsis)]
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin in (Union, types.UnionType):
        kinds = dict.fromkeys(kind_of(part) for part in arguments)
        if "a path" in kinds:
            return "a path"
        return " or ".join(kinds)
    if origin is tuple and Ellipsis not in get_args(hint):
        example = ",".join(map(str, range(1, len(arguments) + 1)))
        return f"{len(arguments)} values in brackets, such as [{example}]"
    if origin in (tuple, list, Sequence):
        return "values in brackets, such as [a,b]"
    kinds_by_type = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        Path: "a path",
    }
    return kinds_by_type.get(hint, "a text")


def shown(value: Any) -> str:
    """What came, for a message: not too long."""
    text = repr(value)
    if len(text) > SHOWN_CHARACTERS:
        text = f"{text[:SHOWN_CHARACTERS]}…"
    return text


def read_yaml(text: str) -> Any:
    """Plain YAML. Raises ValueError, one line, for anything else, at once."""
    import yaml  # type: ignore[import-untyped]

    loader = plain_loader()(text)
    try:
        return loader.get_single_data()
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())[:160]) from error
    finally:
        loader.dispose()


def read_configuration(path: Path) -> dict[str, Any]:
    """The options in a file, by name. Raises BadInput, one line."""
    try:
        if not path.is_file():
            raise BadInput(f"--config: no such file: {path}")
        size = path.stat().st_size
        if size > LARGEST_CONFIGURATION:
            raise BadInput(f"--config: {path} has {size:,} bytes; a configuration has a few lines")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"--config: {path} is not YAML but something binary") from error
    except OSError as error:
        raise BadInput(f"--config: cannot read {path}: {error.strerror or error}") from error
    try:
        found = read_yaml(text)
    except ValueError as error:
        raise BadInput(
            f"--config: {path} is not YAML with lines of `option: value` ({error})"
        ) from error
    if not isinstance(found, dict):
        raise BadInput(f"--config: {path} is not YAML with lines of `option: value`")
    return found


def plain_loader() -> Any:
    """PyYAML's safe loader, without anchors and deep nesting."""
    import yaml

    class PlainLoader(yaml.SafeLoader):  # type: ignore[misc]
        depth = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            event = self.peek_event()
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
                raise yaml.YAMLError("anchors and aliases are not taken")
            if self.depth >= DEEPEST:
                raise yaml.YAMLError(f"nested more than {DEEPEST} deep")
            self.depth += 1
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

    return PlainLoader


def convert_to_one_of(given: Any, arguments: Sequence[Any]) -> Any:
    """A value of the first type that takes it. Raises ValueError."""
    is_none = given is None or (isinstance(given, str) and given.strip().lower() in NONE)
    if type(None) in arguments and is_none:
        return None
    # a text fits everything: what is more particular comes first
    order = sorted(arguments, key=lambda kind: plain_type(kind) in (str, Path))
    for kind in order:
        if kind is type(None) or is_dataclass(kind):
            continue
        try:
            return convert(given, kind)
        except (ValueError, TypeError, OverflowError):
            continue
    raise ValueError(given)


def convert_to_choice(given: Any, choices: Sequence[Any]) -> Any:
    """The choice that was written. Raises ValueError."""
    for choice in choices:
        if given == choice or str(given) == str(choice):
            return choice
    raise ValueError(given)


def convert_to_bool(given: Any) -> bool:
    """True or false, in any of the usual words. Raises ValueError."""
    if isinstance(given, bool):
        return given
    if str(given).lower() in YES:
        return True
    if str(given).lower() in NO:
        return False
    raise ValueError(given)


def convert_to_whole(given: Any) -> int:
    """A whole number. Raises ValueError."""
    if isinstance(given, bool) or not isinstance(given, int | str):
        raise ValueError(given)
    return int(given)


def convert_to_real(given: Any) -> float:
    """A number. Raises ValueError."""
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        raise ValueError(given)
    return float(given)


def convert_to_several(given: Any, hint: Any) -> Any:
    """A list or a tuple; of a text what stands in its brackets."""
    if isinstance(given, str) and given.lstrip().startswith("["):
        given = read_yaml(given)
    elif isinstance(given, str):
        given = [given]
    if not isinstance(given, list | tuple):
        raise ValueError(given)
    arguments = get_args(hint)
    if get_origin(hint) is tuple and Ellipsis not in arguments:
        if len(given) != len(arguments):
            raise ValueError(given)
        return tuple(convert(one, kind) for one, kind in zip(given, arguments, strict=True))
    values = [convert(one, arguments[0]) for one in given]
    if get_origin(hint) is tuple:
        return tuple(values)
    return values
