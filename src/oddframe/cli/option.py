"""Options, as they are read off the signatures of workflows and methods.

A parameter that is a dataclass is a group, whose fields are options, and groups within it.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from oddframe.cli.values import plain_type

NO_DEFAULT = inspect.Parameter.empty
# parameters that no word of the command line gives
NOT_OPTIONS = ("self", "progress", "options", "method")


@dataclass(frozen=True)
class Option:
    """One option or word of a command."""

    name: str  # its key in a configuration, "training.epochs"
    hint: Any
    default: Any
    help: str
    section: str  # under which heading the help shows it
    positional: bool = False
    short: bool = True  # whether it can be written without its group

    @property
    def flag(self) -> str:
        """How people write it, with two dashes."""
        group = self.names_group
        if group:
            return "--" + group.replace("_", "-")
        name = self.name
        if self.short:
            name = self.last_name
        return "--" + name.replace("_", "-")

    @property
    def last_name(self) -> str:
        """Its name without its groups."""
        return self.name.rpartition(".")[2]

    @property
    def depth(self) -> int:
        """In how many groups it is."""
        return self.name.count(".")

    @property
    def names_group(self) -> str:
        """The group of which this is the `name`, such as which head; empty for any other option."""
        group, _, last = self.name.rpartition(".")
        if last != "name":
            return ""
        return group

    @property
    def label(self) -> str:
        """What messages call it."""
        if self.positional:
            return self.name
        return self.flag

    @property
    def required(self) -> bool:
        """Whether a command cannot do without it."""
        return self.default is NO_DEFAULT

    @property
    def several(self) -> bool:
        """Whether more words than one are taken, of a word that is no option."""
        hint = plain_type(self.hint)
        kinds = [get_origin(plain_type(part)) for part in (hint, *get_args(hint))]
        return self.positional and (list in kinds or Sequence in kinds)


COMMON = (
    Option("config", Path | None, None, "YAML file with options by name", "every command"),
    Option("print_config", bool, False, "print the options as such a file", "every command"),
    Option(
        "json", bool, False, "print one JSON object instead of lines for a person", "every command"
    ),
    Option("quiet", bool, False, "say nothing but what was left out or damaged", "every command"),
    Option("verbose", bool, False, "say more, and show where an error came from", "every command"),
    Option(
        "log_file",
        Path | None,
        None,
        "write what is said, with times, into a file too",
        "every command",
    ),
    Option("help", bool, False, "show this", "every command"),
)


def options_in(function: Callable[..., Any], section: str, placed: bool = False) -> list[Option]:
    """The options that the parameters of a function, or of a class, are."""
    init = function
    if inspect.isclass(function):
        init = function.__init__
    hints = get_type_hints(init, include_extras=True)
    _, helps = described(function)
    found = []
    for parameter in inspect.signature(init).parameters.values():
        if parameter.name in NOT_OPTIONS:
            continue
        hint = hints[parameter.name]
        if is_dataclass(plain_type(hint)):
            found += options_of_group(parameter.name, plain_type(hint), parameter.default)
            continue
        positional = placed and parameter.kind is not parameter.KEYWORD_ONLY
        where = section
        if positional:
            where = "words"
        text = helps.get(parameter.name, "")
        found.append(Option(parameter.name, hint, parameter.default, text, where, positional))
    return found


def described(thing: Any) -> tuple[str, dict[str, str]]:
    """The first paragraph of a docstring, and what it says of each argument under `Args:`."""
    text = inspect.getdoc(thing) or ""
    if inspect.isclass(thing) and "Args:" not in text and thing.__init__.__doc__:
        text = f"{text.strip()}\n\n{inspect.cleandoc(thing.__init__.__doc__)}"
    summary = " ".join(text.partition("\n\n")[0].split())
    helps: dict[str, str] = {}
    name = ""
    inside = False
    for line in text.splitlines():
        if line.strip() == "Args:":
            inside = True
        elif inside and line and not line.startswith(" "):
            inside = False
        elif inside and line.strip():
            indent = len(line) - len(line.lstrip())
            if indent <= 4:
                name, _, line = line.strip().partition(":")  # noqa: PLW2901
            helps[name] = f"{helps.get(name, '')} {line.strip()}".strip()
    return summary, helps


def options_of_group(name: str, kind: Any, default: Any) -> list[Option]:
    """The options that the fields of a dataclass are."""
    hints = get_type_hints(kind, include_extras=True)
    _, helps = described(kind)
    found = []
    for field in fields(kind):
        value: Any = NO_DEFAULT
        if isinstance(default, kind):
            value = getattr(default, field.name)
        elif field.default is not MISSING:
            value = field.default
        elif field.default_factory is not MISSING:
            value = field.default_factory()
        full = f"{name}.{field.name}"
        hint = hints[field.name]
        if is_dataclass(plain_type(hint)):
            found += options_of_group(full, plain_type(hint), value)
            continue
        text = helps.get(field.name, "")
        found.append(Option(full, hint, value, text, name))
    return found
