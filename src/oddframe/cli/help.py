"""The help of a command: how its options are written, what they do, what they take."""

import textwrap
from typing import Any

from oddframe.cli.option import Option
from oddframe.cli.values import is_switch, kind_of
from oddframe.options import number_in

COLUMN = 34  # where the help of an option begins


def option_lines(option: Option, width: int) -> list[str]:
    """An option in the help: how it is written, what it does, its range and default, in two
    columns.
    """
    first = f"  {spelling(option)}"
    text = option.help.rstrip(".")
    notes = option_notes(option)
    if notes:
        text = f"{text} ({', '.join(notes)})"
    right = textwrap.wrap(text, max(width - COLUMN, 24)) or [""]
    if len(first) > COLUMN - 2:
        right.insert(0, "")
    lines = [(first.ljust(COLUMN) + right.pop(0)).rstrip()]
    for line in right:
        lines.append(" " * COLUMN + line)
    return lines


def spelling(option: Option) -> str:
    """How an option is written, with what stands for its value."""
    if option.positional:
        return option.name.upper()
    if not is_switch(option.hint):
        return f"{option.flag} {placeholder(option.hint)}"
    if option.default is True:
        return f"{option.flag}, --no-{option.flag[2:]}"
    return option.flag


def option_notes(option: Option) -> list[str]:
    """The range of an option, whether it is required, and its default."""
    notes = []
    number = number_in(option.hint)
    if number is not None:
        notes.append(str(number.range))
    if option.required and not option.positional:
        notes.append("required")
    elif not option.required and option.default is not None and not is_switch(option.hint):
        notes.append(f"default {written(option.default)}")
    return notes


def placeholder(hint: Any) -> str:
    """What stands for the value in the help."""
    words = kind_of(hint)
    if words.startswith("one of "):
        return "{" + words.removeprefix("one of ").replace(", ", ",") + "}"
    if "brackets" in words:
        _, bracket, example = words.partition("[")
        return bracket + example or "LIST"
    if words.startswith("a path"):
        return "PATH"
    if "number" in words:
        if words.startswith("a whole"):
            return "N"
        return "X"
    return "TEXT"


def written(value: Any) -> str:
    """A default as people write it."""
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(str, value)) + "]"
    return str(value)
