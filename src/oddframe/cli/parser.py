"""Arguments: options are read off the signatures of workflows and methods, and words off the
command line.

`fit` takes the options of a method beside its own; a parameter that is a dataclass is a group,
whose fields are options, and groups within it. An option is written with dashes, `--clip-length`;
one of a group by its own name where no other option that is as little nested has it, and always by
both, `--training.epochs`. The `name` of a group is written as the group: `--head knn`.
"""

import inspect
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from shutil import get_terminal_size
from typing import Any, get_args, get_origin, get_type_hints

from oddframe.cli.values import (
    allows_none,
    is_switch,
    kind_of,
    plain_type,
    read_configuration,
    read_value,
)
from oddframe.errors import BadInput
from oddframe.options import number_in

NO_DEFAULT = inspect.Parameter.empty
NOT_OPTIONS = (
    "self",
    "progress",
    "options",
    "method",
)  # parameters that no word of the command line gives
COLUMN = 34  # where the help of an option begins


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
        name = self.name.rpartition(".")[2] if self.short else self.name
        return "--" + name.replace("_", "-")

    @property
    def names_group(self) -> str:
        """The group of which this is the `name`, such as which head; empty for any other option."""
        group, _, last = self.name.rpartition(".")
        return group if last == "name" else ""

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.name if self.positional else self.flag

    @property
    def required(self) -> bool:
        """Whether a command cannot do without it."""
        return self.default is NO_DEFAULT

    @property
    def several(self) -> bool:
        """Whether more words than one are taken, of a word that is no option."""
        return self.positional and any(
            get_origin(plain_type(part)) in (list, Sequence)
            for part in [self.hint, *get_args(plain_type(self.hint))]
        )


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


@dataclass(frozen=True)
class Command:
    """A command with all its options."""

    prog: str  # "oddframe fit flowgrid"
    summary: str
    options: tuple[Option, ...]
    method: Callable[..., Any] | None = None

    def parse(self, words: Sequence[str]) -> dict[str, Any]:
        """The given options by name, from words and the configuration that they name.

        Words count more than the configuration. Raises BadInput, one line.
        """
        given, placed = self._split(words)
        values = self._place(placed)
        for option, text in given:
            values[option.name] = read_value(option.label, text, option.hint)
        if values.get("config") is not None:
            values = self._configured(values["config"]) | values
        return values

    def missing(self, values: Mapping[str, Any]) -> list[str]:
        """What the command cannot do without and was not given, as people write it."""
        absent = []
        for option in self.options:
            if option.required and values.get(option.name) is None:
                absent.append(option.label)
        return absent

    def with_defaults(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """All options by name; what is required and was not given is None."""
        found = {}
        for option in self.options:
            default = None if option.required else option.default
            found[option.name] = values.get(option.name, default)
        return found

    def help_text(self) -> str:
        """What `--help` prints."""
        width = min(max(get_terminal_size().columns, 60), 110)
        positional = [option for option in self.options if option.positional]
        usage = [option.name.upper() + ("…" if option.several else "") for option in positional]
        lines = [f"usage: {' '.join([self.prog, *usage])} [OPTIONS]", ""]
        lines += textwrap.wrap(self.summary, width)
        sections = dict.fromkeys(option.section for option in self.options)
        for section in sections:
            lines += ["", f"{section}:"]
            for option in self.options:
                if option.section == section:
                    lines += _option_lines(option, width)
        return "\n".join(lines)

    def option_of(self, word: str) -> tuple[Option, bool]:
        """The option that a word means, and whether it is switched on. Raises BadInput with the
        nearest.
        """
        name = word.removeprefix("--").replace("-", "_")
        names = self._names()
        if name in names:
            return names[name], True
        switched_off = name.removeprefix("no_")
        if name.startswith("no_") and switched_off in names and is_switch(names[switched_off].hint):
            return names[switched_off], False
        spellings = []
        for known, option in names.items():
            spellings.append("--" + known.replace("_", "-"))
            if is_switch(option.hint):
                spellings.append("--no-" + known.replace("_", "-"))
        near = get_close_matches(word.replace("_", "-"), sorted(spellings), 1)
        guess = f"did you mean {near[0]}? " if near else ""
        raise BadInput(f"{self.prog} has no option {word}; {guess}`{self.prog} --help` lists them")

    def _names(self) -> dict[str, Option]:
        """Options by every name that they go by."""
        found = {}
        for option in self.options:
            if option.positional:
                continue
            found[option.name] = option
            if option.names_group:
                found[option.names_group] = option
            elif option.short:
                found[option.name.rpartition(".")[2]] = option
        return found

    def _split(self, words: Sequence[str]) -> tuple[list[tuple[Option, str]], list[str]]:
        """Options with their texts, and the words that are none."""
        given: list[tuple[Option, str]] = []
        placed: list[str] = []
        rest = list(words)
        while rest:
            word = rest.pop(0)
            refuse_undecodable(word)
            if word == "--":
                return given, placed + rest
            if word == "-h":
                word = "--help"
            if word == "-q":
                word = "--quiet"
            if not word.startswith("--"):
                if _is_short_option(word):
                    raise BadInput(
                        f"{self.prog}: unrecognized option {word}; `{self.prog} --help` explains"
                    )
                placed.append(word)
                continue
            name, equals, text = word.partition("=")
            option, on = self.option_of(name)
            if not equals and is_switch(option.hint):
                text = str(on).lower()
            elif not equals:
                if not rest or rest[0].startswith("--"):
                    raise BadInput(
                        f"{option.label}: expected one argument; `{self.prog} --help` explains"
                    )
                text = rest.pop(0)
                refuse_undecodable(text)
            given.append((option, text))
        return given, placed

    def _place(self, words: list[str]) -> dict[str, Any]:
        """The words that are no options, each at the place of its own."""
        places = [option for option in self.options if option.positional]
        values: dict[str, Any] = {}
        rest = list(words)
        for at, option in enumerate(places):
            after = [other for other in places[at + 1 :] if other.required]
            if option.several:
                count = max(len(rest) - len(after), min(len(rest), 1))
                taken, rest = rest[:count], rest[count:]
                if taken:
                    values[option.name] = read_value(option.label, taken, option.hint)
            elif rest:
                values[option.name] = read_value(option.label, rest.pop(0), option.hint)
        if rest:
            raise BadInput(
                f"{self.prog}: unrecognized words: {' '.join(rest)}; `{self.prog} --help` explains"
            )
        return values

    def _configured(self, path: Path) -> dict[str, Any]:
        """The options of a configuration file by name."""
        by_name = {option.name: option for option in self.options}
        by_key = dict(by_name)
        for option in self.options:
            if option.names_group:
                by_key[option.names_group] = option
        values = {}
        for full, value in _flattened(read_configuration(path), groups_of(by_name)).items():
            known = by_key.get(full)
            if known is None:
                raise _no_such_key(full, by_name)
            nothing = value is None and (known.required or allows_none(known.hint))
            if not nothing:
                values[known.name] = read_value(known.label, value, known.hint)
        return values


def command_of(
    prog: str, function: Callable[..., Any], method: Callable[..., Any] | None = None
) -> Command:
    """The command whose options are the parameters of a workflow, and of a method."""
    summary, _ = described(function)
    found = options_in(function, "options", placed=True)
    if method is not None:
        found += options_in(method, f"options of {prog.rpartition(' ')[2]}")
        more, _ = described(method)
        summary = f"{summary} {more}"
    depths: dict[str, list[int]] = {}
    for option in [*found, *COMMON]:
        depths.setdefault(option.name.rpartition(".")[2], []).append(option.name.count("."))
    spelled = []
    for option in found:
        depth = option.name.count(".")
        rivals = Counter(depths[option.name.rpartition(".")[2]])
        short = depth == 0 or (depth == min(rivals) and rivals[depth] == 1)
        spelled.append(_replace_short(option, short))
    return Command(prog, summary, (*spelled, *COMMON), method)


def options_in(function: Callable[..., Any], section: str, placed: bool = False) -> list[Option]:
    """The options that the parameters of a function, or of a class, are."""
    init = function.__init__ if inspect.isclass(function) else function
    hints = get_type_hints(init, include_extras=True)
    _, helps = described(function)
    found = []
    for parameter in inspect.signature(init).parameters.values():
        if parameter.name in NOT_OPTIONS:
            continue
        hint = hints[parameter.name]
        if is_dataclass(plain_type(hint)):
            found += _group(parameter.name, plain_type(hint), parameter.default)
            continue
        positional = placed and parameter.kind is not parameter.KEYWORD_ONLY
        where = "words" if positional else section
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


def refuse_undecodable(word: str) -> None:
    """Raise BadInput for a word that holds bytes which are no UTF-8, and no file is called so."""
    if word.isprintable() or not any("\udc80" <= letter <= "\udcff" for letter in word):
        return
    if not word.startswith("--") and Path(word).exists():
        return
    raise BadInput(f"{ascii(word)[1:-1]} is not UTF-8; give the file another name")


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Options of groups in dictionaries of their own: "training.epochs" within "training"."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        *groups, last = name.split(".")
        place = found
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = value
    return found


def groups_of(names: Iterable[str]) -> set[str]:
    """The groups of options with these names: "head" and "head.training" of
    "head.training.epochs".
    """
    found = set()
    for name in names:
        group = name.rpartition(".")[0]
        while group:
            found.add(group)
            group = group.rpartition(".")[0]
    return found


def _flattened(given: Mapping[Any, Any], groups: set[str], prefix: str = "") -> dict[str, Any]:
    """The values of a configuration by full names; dictionaries that stand for groups are looked
    into.
    """
    found: dict[str, Any] = {}
    for key, value in given.items():
        full = prefix + str(key).replace("-", "_")
        if full in groups and isinstance(value, dict):
            found |= _flattened(value, groups, f"{full}.")
        else:
            found[full] = value
    return found


def _group(name: str, kind: Any, default: Any) -> list[Option]:
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
            found += _group(full, plain_type(hint), value)
            continue
        text = helps.get(field.name, "")
        found.append(Option(full, hint, value, text, name))
    return found


def _replace_short(option: Option, short: bool) -> Option:
    return Option(
        option.name,
        option.hint,
        option.default,
        option.help,
        option.section,
        option.positional,
        short,
    )


def _option_lines(option: Option, width: int) -> list[str]:
    """An option in the help: how it is written, what it does, its range and default, in two
    columns.
    """
    if option.positional:
        left = option.name.upper()
    elif is_switch(option.hint):
        left = option.flag
        if option.default is True:
            left += f", --no-{option.flag[2:]}"
    else:
        left = f"{option.flag} {_placeholder(option.hint)}"
    notes = []
    number = number_in(option.hint)
    if number is not None:
        notes.append(str(number.range))
    if option.required and not option.positional:
        notes.append("required")
    elif not option.required and option.default is not None and not is_switch(option.hint):
        notes.append(f"default {_written(option.default)}")
    text = option.help.rstrip(".")
    if notes:
        text = f"{text} ({', '.join(notes)})"
    right = textwrap.wrap(text, max(width - COLUMN, 24)) or [""]
    first = f"  {left}"
    if len(first) > COLUMN - 2:
        return [first, *(" " * COLUMN + line for line in right)]
    return [first.ljust(COLUMN) + right[0], *(" " * COLUMN + line for line in right[1:])]


def _placeholder(hint: Any) -> str:
    """What stands for the value in the help."""
    words = kind_of(hint)
    if words.startswith("one of "):
        return "{" + words.removeprefix("one of ").replace(", ", ",") + "}"
    if "brackets" in words:
        return "[" + words.partition("[")[2] if "[" in words else "LIST"
    if words.startswith("a path"):
        return "PATH"
    if "number" in words:
        return "N" if words.startswith("a whole") else "X"
    return "TEXT"


def _written(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(str, value)) + "]"
    return str(value)


def _is_short_option(word: str) -> bool:
    """Whether a word begins with one dash, and is no number and no file that is called so."""
    if not word.startswith("-") or len(word) < 2:
        return False
    try:
        float(word)
    except ValueError:
        return not Path(word).exists()
    return False


def _no_such_key(full: str, known: Mapping[str, Option]) -> BadInput:
    """The error for a key of a configuration that no option has."""
    group, _, inner = full.rpartition(".")
    if group and any(name.startswith(f"{group}.") for name in known):
        inside = [name.rpartition(".")[2] for name in known if name.startswith(f"{group}.")]
        return _with_guess(f"--config: {group} has no option {inner!r}", inner, inside)
    return _with_guess(f"--config: there is no option {full!r}", full, list(known))


def _with_guess(text: str, name: str, known: Sequence[str]) -> BadInput:
    near = get_close_matches(name, known, 1)
    return BadInput(f"{text}, did you mean {near[0]!r}?" if near else text)
