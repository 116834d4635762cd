"""Arguments: options are read off the signatures of workflows and methods, and words off the
command line.

`fit` takes the options of a method beside its own; a parameter that is a dataclass is a group,
whose fields are options, and groups within it. An option is written with dashes, `--clip-length`;
one of a group by its own name where no other option that is as little nested has it, and always by
both, `--training.epochs`. The `name` of a group is written as the group: `--head knn`.
"""

import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from shutil import get_terminal_size
from typing import Any

from oddframe.cli.help import option_lines
from oddframe.cli.option import COMMON, Option, described, options_in
from oddframe.cli.values import allows_none, is_switch, read_configuration, read_value
from oddframe.errors import BadInput


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
        given, placed = self.split(words)
        values = self.place(placed)
        for option, text in given:
            values[option.name] = read_value(option.label, text, option.hint)
        if values.get("config") is not None:
            values = self.configured(values["config"]) | values
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
            found[option.name] = values.get(option.name)
            if option.name not in values and not option.required:
                found[option.name] = option.default
        return found

    def help_text(self) -> str:
        """What `--help` prints."""
        width = min(max(get_terminal_size().columns, 60), 110)
        usage = []
        for option in self.options:
            if option.several:
                usage.append(f"{option.name.upper()}…")
            elif option.positional:
                usage.append(option.name.upper())
        lines = [f"usage: {' '.join([self.prog, *usage])} [OPTIONS]", ""]
        lines += textwrap.wrap(self.summary, width)
        sections = dict.fromkeys(option.section for option in self.options)
        for section in sections:
            lines += ["", f"{section}:"]
            for option in self.options:
                if option.section == section:
                    lines += option_lines(option, width)
        return "\n".join(lines)

    def option_of(self, word: str) -> tuple[Option, bool]:
        """The option that a word means, and whether it is switched on. Raises BadInput with the
        nearest.
        """
        name = word.removeprefix("--").replace("-", "_")
        names = self.names()
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
        guess = ""
        for near in get_close_matches(word.replace("_", "-"), sorted(spellings), 1):
            guess = f"did you mean {near}? "
        raise BadInput(f"{self.prog} has no option {word}; {guess}`{self.prog} --help` lists them")

    def names(self) -> dict[str, Option]:
        """Options by every name that they go by."""
        found = {}
        for option in self.options:
            if option.positional:
                continue
            found[option.name] = option
            if option.names_group:
                found[option.names_group] = option
            elif option.short:
                found[option.last_name] = option
        return found

    def split(self, words: Sequence[str]) -> tuple[list[tuple[Option, str]], list[str]]:
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
                if is_short_option(word):
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

    def place(self, words: list[str]) -> dict[str, Any]:
        """The words that are no options, each at the place of its own."""
        places = [option for option in self.options if option.positional]
        values: dict[str, Any] = {}
        rest = list(words)
        for at, option in enumerate(places):
            if option.several:
                after = sum(other.required for other in places[at + 1 :])
                count = max(len(rest) - after, min(len(rest), 1))
                taken = rest[:count]
                rest = rest[count:]
                if taken:
                    values[option.name] = read_value(option.label, taken, option.hint)
            elif rest:
                values[option.name] = read_value(option.label, rest.pop(0), option.hint)
        if rest:
            raise BadInput(
                f"{self.prog}: unrecognized words: {' '.join(rest)}; `{self.prog} --help` explains"
            )
        return values

    def configured(self, path: Path) -> dict[str, Any]:
        """The options of a configuration file by name."""
        by_name = {option.name: option for option in self.options}
        by_key = dict(by_name)
        for option in self.options:
            if option.names_group:
                by_key[option.names_group] = option
        values = {}
        for full, value in flattened(read_configuration(path), groups_of(by_name)).items():
            known = by_key.get(full)
            if known is None:
                raise no_such_key(full, by_name)
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
    depths: dict[str, Counter[int]] = {}
    for option in (*found, *COMMON):
        depths.setdefault(option.last_name, Counter())[option.depth] += 1
    spelled = []
    for option in found:
        rivals = depths[option.last_name]
        alone = option.depth == min(rivals) and rivals[option.depth] == 1
        short = option.depth == 0 or alone
        spelled.append(replace(option, short=short))
    return Command(prog, summary, (*spelled, *COMMON), method)


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


def flattened(given: Mapping[Any, Any], groups: set[str], prefix: str = "") -> dict[str, Any]:
    """The values of a configuration by full names; dictionaries that stand for groups are looked
    into.
    """
    found: dict[str, Any] = {}
    for key, value in given.items():
        full = prefix + str(key).replace("-", "_")
        if full in groups and isinstance(value, dict):
            found |= flattened(value, groups, f"{full}.")
        else:
            found[full] = value
    return found


def is_short_option(word: str) -> bool:
    """Whether a word begins with one dash, and is no number and no file that is called so."""
    if not word.startswith("-") or len(word) < 2:
        return False
    try:
        float(word)
    except ValueError:
        return not Path(word).exists()
    return False


def no_such_key(full: str, known: Mapping[str, Option]) -> BadInput:
    """The error for a key of a configuration that no option has."""
    group, _, inner = full.rpartition(".")
    inside = []
    for name, option in known.items():
        if group and name.startswith(f"{group}."):
            inside.append(option.last_name)
    if inside:
        return with_guess(f"--config: {group} has no option {inner!r}", inner, inside)
    return with_guess(f"--config: there is no option {full!r}", full, list(known))


def with_guess(text: str, name: str, known: Sequence[str]) -> BadInput:
    """An error that ends in the name that was probably meant."""
    for near in get_close_matches(name, known, 1):
        return BadInput(f"{text}, did you mean {near!r}?")
    return BadInput(text)
