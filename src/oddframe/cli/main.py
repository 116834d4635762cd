"""The command line: read arguments, call a workflow, print what it returns.

Exit codes: 0 done; 1 something unforeseen in oddframe itself; 2 bad input or arguments; 3 a video
cannot be read; 4 ground truth does not fit; 5 a run folder is incomplete, damaged or too new; 6 a
video is on both sides of a test; 130 interrupted (Ctrl-C); 143 ended by SIGTERM. Where some of
several videos could not be used the others are done first, and the code is that of the first error.
"""

import json
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from oddframe import __version__
from oddframe.cli.console import bar_where_somebody_looks, log_lines, visible
from oddframe.cli.option import COMMON
from oddframe.cli.parser import Command, command_of, nested
from oddframe.cli.values import plain_type
from oddframe.errors import BadInput, OddframeError, missing_package, unknown
from oddframe.interruption import end_on_signals, report_interruption
from oddframe.progress import report_progress_to
from oddframe.results import Result, only_own_errors


class Verb(NamedTuple):
    """What a word on the command line does."""

    module: str  # of the package; imported only when the command is asked for
    function: str
    line: str  # of help


COMMANDS = {
    "demo": Verb(
        "workflows.demo", "demo", "film a street, learn it, find the odd frames, write the report"
    ),
    "simulate": Verb(
        "workflows.simulate", "simulate", "film a street with ordinary people and known oddities"
    ),
    "prepare": Verb(
        "workflows.prepare", "prepare", "check a data set: what is there, what is missing"
    ),
    "fit": Verb("workflows.fit", "fit", "learn what is normal: fit DATA --out RUN"),
    "score": Verb(
        "workflows.score", "score", "find what is odd in videos: score RUN VIDEO… --out DIR"
    ),
    "evaluate": Verb(
        "workflows.evaluate",
        "evaluate",
        "measure a run on a data set: evaluate RUN DATA --root ROOT",
    ),
    "compare": Verb(
        "workflows.compare",
        "compare",
        "measure several runs side by side: compare RUN… DATA --root ROOT",
    ),
    "probe": Verb(
        "workflows.probe",
        "probe",
        "learn classes on a run's embeddings: what they are worth",
    ),
    "retrieve": Verb(
        "workflows.probe", "retrieve", "whether the nearest embeddings of a video are of its class"
    ),
    "describe": Verb(
        "workflows.class_report", "describe", "draw how clips in classes are distributed"
    ),
    "classes": Verb(
        "workflows.class_report",
        "class_report",
        "judge clips in classes: classes RUN DATA --root ROOT",
    ),
    "threshold": Verb(
        "workflows.class_report",
        "threshold",
        "apply thresholds to clips in classes: threshold RUN",
    ),
    "fuse": Verb(
        "workflows.fuse",
        "fuse",
        "measure runs on several streams together: fuse RUN RUN… DATA --root ROOT",
    ),
    "methods": Verb("workflows.info", "methods", "the methods that can be fitted"),
    "datasets": Verb("workflows.prepare", "datasets", "the data sets that can be read"),
    "info": Verb("workflows.info", "info", "what a run folder holds"),
    "completion": Verb(
        "cli.completion", "completion", "a script that completes commands and options in your shell"
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Errors are one line on standard error."""
    if argv is None:
        argv = sys.argv[1:]
        prepare_process()
    words = list(argv)
    verbose = "--verbose" in words
    try:
        with only_own_errors():
            code = run(words)
            sys.stdout.flush()
        return code
    except OddframeError as error:
        if verbose:
            traceback.print_exc()
        return complain(error)
    except KeyboardInterrupt as interrupt:
        return report_interruption(interrupt)
    except BrokenPipeError:  # the reader of our output has gone: nothing to tell anybody
        sys.stderr.close()
        return 0


def prepare_process() -> None:
    """What only a program of its own may do: answer signals, and show as ? what a terminal
    cannot.
    """
    end_on_signals()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]


def complain(error: OddframeError) -> int:
    """Print an error; returns its exit code."""
    print(f"oddframe: {visible(str(error))}", file=sys.stderr)
    return error.code


def run(words: list[str]) -> int:
    """Do what the words say; returns the exit code. Raises OddframeError."""
    if not words or words[0] in ("-h", "--help"):
        print(help_text())
        return 0
    if words[0] in ("--version", "-V"):
        print(f"oddframe {__version__}")
        return 0
    if words[0] not in COMMANDS:
        raise unknown("command", words[0], COMMANDS)
    name = words[0]
    rest = words[1:]
    method = None
    if name == "fit":
        if not rest or rest[0] in ("-h", "--help"):
            print(fit_help())
            return 0
        method = method_to_add(rest)
        if method is None:
            method, rest = method_and_rest(rest)
    command = parser_of(name, method)
    if "-h" in rest or "--help" in rest:
        print(command.help_text())
        return 0
    given = command.parse(rest)
    if given.get("print_config"):
        print(configuration(command, given), end="")
        return 0
    absent = command.missing(given)
    if absent:
        raise BadInput(f"missing: {', '.join(absent)}; `{command.prog} --help` explains")
    values = command.with_defaults(given)
    if values.get("add") is not None:
        values = without_defaults(values, given, name)
    return carry_out(name, values, method)


def without_defaults(values: dict[str, Any], given: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The values without options of the method that nobody gave: they are those of an earlier
    run.
    """
    own = {*get_type_hints(verb_of(name)), *(option.name for option in COMMON)}
    kept = {}
    for full, value in values.items():
        if full in given or full.partition(".")[0] in own:
            kept[full] = value
    return kept


def carry_out(name: str, values: dict[str, Any], method: str | None) -> int:
    """Call the workflow of a command and print what it returns; returns the exit code."""
    common = {option.name: values.pop(option.name) for option in COMMON}
    arguments = arguments_of(verb_of(name), nested(values), method)
    quiet = common["quiet"]
    lines = log_lines(quiet=quiet, verbose=common["verbose"], file=common["log_file"])
    with lines, bar_where_somebody_looks(quiet) as bar, report_progress_to(bar):
        result: Result = verb_of(name)(**arguments)
    if not printing_process():
        return 0
    if common["json"]:
        print(result.to_json())
    else:
        from oddframe.cli.render import lines_of

        for line in lines_of(name, result):
            print(visible(line))
    sys.stdout.flush()
    problem = result.problem()
    if problem is None:
        return 0
    return complain(problem)


def arguments_of(
    function: Callable[..., Any], values: dict[str, Any], method: str | None
) -> dict[str, Any]:
    """The arguments of a workflow: groups as dataclasses, the method's options in one place."""
    hints = get_type_hints(function)
    arguments: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for name, value in values.items():
        if name not in hints:
            options[name] = value
        elif is_dataclass(kind := plain_type(hints[name])):
            arguments[name] = kind(**value)  # type: ignore[operator]
        else:
            arguments[name] = value
    if method is not None:
        arguments |= {"method": method, "options": options}
    return arguments


def printing_process() -> bool:
    """Whether this process tells what was found: of torchrun's processes only the first does."""
    from oddframe.run import rank

    return rank() == 0


def configuration(command: Command, given: Mapping[str, Any]) -> str:
    """All options as a YAML file that `--config` takes."""
    import yaml  # type: ignore[import-untyped]

    values = command.with_defaults(given)
    for name in ("config", "print_config", "help"):
        values.pop(name)
    text = json.dumps(nested(values), default=str)  # paths and tuples as YAML knows them
    return str(yaml.safe_dump(json.loads(text), sort_keys=False, allow_unicode=True))


def verb_of(command: str) -> Callable[..., Any]:
    """The function behind a command."""
    verb = COMMANDS[command]
    try:
        module = import_module(f"oddframe.{verb.module}")
    except ModuleNotFoundError as error:
        raise missing_package(f"oddframe {command}", error) from error
    function: Callable[..., Any] = getattr(module, verb.function)
    return function


def parser_of(command: str, method: str | None = None) -> Command:
    """The options of a command; of `fit` with those of a method."""
    if method is None:
        return command_of(f"oddframe {command}", verb_of(command))
    from oddframe.registry import member

    kind = member("methods", method, "method")
    return command_of(f"oddframe {command} {method}", verb_of(command), kind)


def method_and_rest(words: list[str]) -> tuple[str, list[str]]:
    """The method that follows `fit`, and what comes after it; the default method where data or an
    option follows at once. Raises BadInput.
    """
    from oddframe.registry import DEFAULT_METHOD, entries, member

    first = words[0]
    is_data = first in entries("datasets") or Path(first).expanduser().exists()
    if first not in entries("methods") and (is_data or first.startswith("-")):
        return DEFAULT_METHOD, words
    member("methods", first, "method")
    return first, words[1:]


def method_to_add(words: list[str]) -> str | None:
    """The method of the run that --add names, where no method comes first. Raises BadRun."""
    from oddframe.registry import entries
    from oddframe.serialization import read_words

    folder = None
    for at, word in enumerate(words):
        if word == "--add" and at + 1 < len(words):
            folder = words[at + 1]
        elif word.startswith("--add="):
            folder = word.partition("=")[2]
    if not folder or words[0] in entries("methods"):
        return None
    return str(read_words(Path(folder).expanduser())["method"])


def help_text() -> str:
    """What `oddframe --help` prints."""
    rows = "\n".join(f"  {name:12}{verb.line}" for name, verb in COMMANDS.items())
    return (
        f"oddframe {__version__}: learns what is normal from ordinary video and finds the frames "
        f"that are not.\n\nusage: oddframe COMMAND …\n\n{rows}\n\n"
        "`oddframe COMMAND --help` explains each; `oddframe fit METHOD --help` the options of a "
        "method.\nEvery command takes --config FILE.yaml, --print-config, --json, --quiet, "
        "--verbose and --log-file FILE."
    )


def fit_help() -> str:
    """What `oddframe fit --help` prints."""
    from oddframe.registry import DEFAULT_METHOD, entries

    rows = "\n".join(f"  {name:20}{entry.summary}" for name, entry in entries("methods").items())
    return (
        f"usage: oddframe fit [METHOD] DATA… [--root ROOT] --out RUN [OPTIONS]\n"
        f"       oddframe fit VIDEOS… --add RUN --out RUN [OPTIONS]\n\n{rows}\n\n"
        f"Without a method it is {DEFAULT_METHOD}. "
        "`oddframe fit METHOD --help` lists the options of a method."
    )


if __name__ == "__main__":
    sys.exit(main())
