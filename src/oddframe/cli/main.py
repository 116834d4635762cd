"""Words: read arguments, call a verb, print. Options are read off the signatures of verbs and methods.

Exit codes: 0 done; 1 something unforeseen in oddframe itself; 2 bad input or arguments; 3 a video cannot be read; 4
ground truth does not fit; 5 a run folder is incomplete, damaged or too new; 6 a video is on both sides of a test; 130
interrupted by Ctrl-C; 143 by SIGTERM.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

from oddframe import __version__
from oddframe.cli.console import bar_where_somebody_looks, log_lines
from oddframe.errors import BadInput, OddframeError, missing_package, unknown
from oddframe.interruption import end_on_signals, report_interruption
from oddframe.progress import report_progress_to

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

COMMANDS = {  # verb: the module and function that do it, and one line of help. Imported only when asked for.
    "demo": ("demo.demo", "film a street, learn it, find the odd frames, write the report"),
    "simulate": ("simulate.simulate", "film a street with ordinary people and known oddities"),
    "prepare": ("prepare.prepare", "check a data set: what is there, what is missing"),
    "fit": ("fit.fit_data", "learn what is normal: fit METHOD DATA --out RUN"),
    "score": ("score.score", "find what is odd in videos: score RUN VIDEO… --out DIR"),
    "evaluate": ("evaluate.evaluate", "measure a run on a data set: evaluate RUN DATA --root ROOT"),
    "probe": (
        "probe.probe",
        "what a run's embeddings are worth: a classifier on them, of videos with classes",
    ),
    "retrieve": ("probe.retrieve", "whether the nearest embeddings of a video are of its class"),
    "describe": ("class_report.describe", "draw how clips in classes are distributed"),
    "classes": ("class_report.classes", "judge clips in classes: classes RUN DATA --root ROOT"),
    "threshold": (
        "class_report.threshold",
        "apply thresholds to clips in classes: threshold RUN --error E --distance D",
    ),
    "fuse": (
        "fuse.fuse",
        "measure runs on several streams together: fuse RUN RUN… DATA --root ROOT",
    ),
    "methods": ("info.methods", "the methods that can be fitted"),
    "datasets": ("prepare.datasets", "the data sets that can be read"),
    "info": ("info.info", "what a run folder holds"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Errors are one line on standard error."""
    words = list(sys.argv[1:] if argv is None else argv)
    if argv is None:
        end_on_signals()
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal without … shows ?
    try:
        with log_lines(), bar_where_somebody_looks() as bar, report_progress_to(bar):
            code = _run(words)
        sys.stdout.flush()
        return code
    except OddframeError as error:
        print(f"oddframe: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt as interrupt:
        return report_interruption(interrupt)
    except BrokenPipeError:  # the reader of our output has gone: nothing to tell anybody
        sys.stderr.close()
        return 0
    except MemoryError:
        print(
            "oddframe: out of memory; smaller pictures (--width) or fewer --threads need less",
            file=sys.stderr,
        )
        return 1
    except OSError as error:
        what = f"use {error.filename}" if error.filename else "go on"
        print(f"oddframe: cannot {what}: {error.strerror or error}", file=sys.stderr)
        return 2


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(help_text())
        return 0
    if words[0] == "--version":
        print(f"oddframe {__version__}")
        return 0
    if words[0] not in COMMANDS:
        raise unknown("command", words[0], COMMANDS)
    if words[0] == "fit":
        return _fit(words[1:])
    parser, verb = parser_of(words[0]), verb_of(words[0])
    given = _parsed(parser, words[1:])
    if given is not None:
        verb(**given)
    return 0


def help_text() -> str:
    """What `oddframe --help` prints."""
    rows = "\n".join(f"  {name:10}{line}" for name, (_, line) in COMMANDS.items())
    return (
        f"oddframe {__version__}: learns what is normal from ordinary video and finds the frames that are not.\n\n"
        f"usage: oddframe COMMAND …\n\n{rows}\n\n`oddframe COMMAND --help` explains each; `oddframe fit METHOD --help` "
        "the options of a method.\nEvery command takes --config FILE.yaml and --print_config."
    )


def verb_of(command: str) -> Callable[..., Any]:
    """The function behind a command."""
    module, name = COMMANDS[command][0].split(".")
    try:
        verb: Callable[..., Any] = getattr(import_module(f"oddframe.workflows.{module}"), name)
    except ModuleNotFoundError as error:
        raise missing_package(f"oddframe {command}", error) from error
    return verb


def parser_of(command: str, method: str | None = None) -> ArgumentParser:
    """A parser whose options are the signature of the verb, and of the method for `fit`."""
    from jsonargparse import ArgumentParser

    verb = verb_of(command)
    prog = f"oddframe {command}" + (f" {method}" if method else "")
    explained = _described(verb)
    parser = ArgumentParser(prog=prog, description=explained[0], exit_on_error=False)
    parser.add_argument("--config", action="config", help="YAML file with options by name")
    types = get_type_hints(verb)
    placed = [
        p for p in inspect.signature(verb).parameters.values() if p.kind is not p.KEYWORD_ONLY
    ]
    for parameter in placed:
        if parameter.name == "detector":
            continue
        many: dict[str, Any] = {"nargs": "+"} if "list" in str(types[parameter.name]) else {}
        kind = types[parameter.name].__args__[0] if many else types[parameter.name]
        if parameter.default is not parameter.empty:
            many |= {"nargs": "?", "default": parameter.default}
        parser.add_argument(
            parameter.name, type=kind, help=explained[1].get(parameter.name, ""), **many
        )
    parser.add_function_arguments(verb, skip={p.name for p in placed}, as_positional=False)
    if method is not None:
        from oddframe.registry import member

        parser.add_class_arguments(member("methods", method, "method"), as_group=True)
    return parser


def _fit(words: list[str]) -> int:
    from oddframe.registry import entries, member
    from oddframe.workflows import fit as fitting

    family = entries("methods")
    if not words or words[0] in ("-h", "--help"):
        rows = "\n".join(f"  {name:18}{entry.summary}" for name, entry in family.items())
        print(
            f"usage: oddframe fit METHOD DATA [--root ROOT] --out RUN …\n\n{rows}\n\n`oddframe fit METHOD --help` says"
        )
        return 0
    if words[0].startswith("-"):
        raise BadInput(
            f"fit is followed by a method, got {words[0]!r}; there are {', '.join(family)}"
        )
    method = member("methods", words[0], "method")
    given = _parsed(parser_of("fit", words[0]), words[1:])
    if given is None:
        return 0
    names = inspect.signature(method).parameters
    try:
        detector = method.of({name: given.pop(name) for name in names})
    except ValueError as error:
        raise BadInput(f"{words[0]}: {error}") from error
    fitting.fit_data(detector, **given)
    return 0


def _parsed(parser: ArgumentParser, words: list[str]) -> dict[str, Any] | None:
    """The arguments by name, or None when help or the configuration was asked for. Raises BadInput, one line."""
    from jsonargparse import ArgumentError

    if "-h" in words or "--help" in words:
        print(_help_of(parser))
        return None
    for word in words:
        if (
            not word.isprintable() and "\udc80" <= max(word) <= "\udcff"
        ):  # how Python holds bytes that are no UTF-8
            raise BadInput(f"{ascii(word)[1:-1]} is not UTF-8; give the file another name")
    try:
        given = parser.parse_args([_plain(word, parser) for word in words])
    except ArgumentError as error:
        raise BadInput(
            f"{_plainly(str(error), parser)}; `{parser.prog} --help` explains"
        ) from error
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{parser.prog}: the file that --config names is not YAML but something binary"
        ) from error
    except SystemExit as stop:
        if stop.code:
            raise
        return None
    return {name: value for name, value in given.as_dict().items() if name != "config"}


def _plain(word: str, parser: ArgumentParser) -> str:
    """One word as the parser knows it: `--no-overlay` is `--overlay=false`, `--json` is `--json=true`."""
    if not word.startswith("--") or word == "--":
        return word
    name, equals, value = word.partition("=")
    known = [
        text
        for action in parser._actions
        for text in action.option_strings
        if text.startswith("--")
    ]
    switches = _switches(parser)
    name = _whole("--" + name[2:].replace("-", "_"), known)
    if not equals and name in switches:
        return f"{name}=true"
    if (
        not equals
        and name.startswith("--no_")
        and (on := _whole(f"--{name[5:]}", known)) in switches
    ):
        return f"{on}=false"
    if name not in known:
        plain = {"--" + _bare(text) for text in known} | {
            f"--no_{_bare(text)}" for text in switches
        }
        near = get_close_matches(name, sorted(plain), 1)
        guess = f"did you mean {near[0].replace('_', '-')}? " if near else ""
        raise BadInput(
            f"{parser.prog} has no option {word.partition('=')[0]}; {guess}`{parser.prog} --help` lists them"
        )
    return name + equals + value


def _whole(name: str, known: Sequence[str]) -> str:
    """The option that is meant: `--epochs` where a method takes `--training.epochs`."""
    return next((text for text in known if name not in known and "--" + _bare(text) == name), name)


def _bare(option: str) -> str:
    """An option's name without dashes and without the group that it belongs to."""
    return option.removeprefix("--").rpartition(".")[2]


def _plainly(text: str, parser: ArgumentParser) -> str:
    """What jsonargparse objects to, in one line, with options as people write them and types as people call them."""
    text = " ".join(text.split())
    options = {action.dest: action for action in parser._actions if action.option_strings}

    def written(name: str) -> str:
        return "--" + _bare(name).replace("_", "-") if name in options else name

    if found := re.match(r'Parser key "([\w.]+)": .*(?:Got|Given) value: (.*)$', text):
        kind = _kind_of(getattr(options.get(found[1]), "_typehint", None))
        return f"{written(found[1])} takes {kind}, got {found[2]!r}"
    if found := re.match(r"the following arguments are required: (.*)$", text):
        return f"missing: {', '.join(written(name) for name in found[1].split(', '))}"
    if found := re.match(r"Option '(\w+)' is not accepted$", text):
        near = get_close_matches(found[1], options, 1)
        return f"--config: there is no option {found[1]!r}" + (
            f", did you mean {near[0]!r}?" if near else ""
        )
    if found := re.match(r"Group '(\w+)' does not accept option '(\w+)'", text):
        near = get_close_matches(
            found[2], [_bare(name) for name in options if name.startswith(found[1] + ".")], 1
        )
        return f"--config: {found[1]} has no option {found[2]!r}" + (
            f", did you mean {near[0]!r}?" if near else ""
        )
    if text.startswith(("Unexpected config:", "Problems parsing config:")):
        return "--config names a file that is not YAML with lines of `option: value`"
    return re.sub(r'^Parser key "([\w.]+)":', lambda found: f"{written(found[1])}:", text)


def _kind_of(hint: Any) -> str:
    """A type in words."""
    if get_origin(hint) is Annotated:
        return _kind_of(hint.__origin__)
    kinds = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    parts = [part for part in get_args(hint) if part is not type(None)]
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, parts))}"
    if get_origin(hint) is tuple:
        return f"{len(parts)} values in brackets, such as [{','.join(str(n + 1) for n in range(len(parts)))}]"
    if len(parts) == 1:
        return _kind_of(parts[0])
    return kinds.get(hint, "a path" if hint is Path else "something else")


def _switches(parser: ArgumentParser) -> dict[str, bool]:
    """The options that are on or off, and what they are unless told otherwise."""
    return {
        text: bool(action.default)
        for action in parser._actions
        for text in action.option_strings
        if getattr(action, "_typehint", None) is bool
    }


def _help_of(parser: ArgumentParser) -> str:
    """The parser's help, with options as people write them."""
    text = parser.format_help()
    for name, default in _switches(parser).items():
        long, short = f"{name} {{true,false}}", f"{name} | --no-{name[2:]}" if default else name
        text = text.replace(f"\n  {long} ", f"\n  {short.ljust(len(long))} ").replace(long, short)
    # options of a group are written without its name
    text = re.sub(
        r"\n  --training CONFIG .*?(?=\n  --)|\[--training CONFIG\]\s*", "", text, flags=re.DOTALL
    )
    text = text.replace("--training.", "--").replace("--no-training.", "--no-")
    text = re.sub(r"<class\s+'Path'>|Path\s+\|\s+null", "path", text)
    text = re.sub(r"Annotated\[([^,\[\]]+),\s+([^\]]*)\]", r"\1 \2", text)
    return re.sub(r"--[a-z]+(_[a-z]+)+", lambda found: found[0].replace("_", "-"), text)


def _described(thing: Any) -> tuple[str, dict[str, str]]:
    """The first paragraph of a docstring, and the help of each argument."""
    from docstring_parser import parse

    text = parse(inspect.getdoc(thing) or "")
    return (
        text.short_description or "",
        {arg.arg_name: arg.description or "" for arg in text.params},
    )


if __name__ == "__main__":
    sys.exit(main())
