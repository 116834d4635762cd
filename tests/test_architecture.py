"""The code stays tidy: imports point down, everything has help, nothing heavy is loaded before it is needed."""

import ast
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import oddframe
from oddframe.cli.main import COMMANDS, main, parser_of, verb_of
from oddframe.registry import members

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "oddframe"
FLOORS = (  # from the roof down
    ("cli", "__main__"),
    ("workflows",),
    ("visualization",),
    ("evaluation",),
    ("scoring",),
    ("methods",),
    ("embeddings",),
    ("training",),
    ("synthetic",),
    ("preparation",),
    ("datasets",),
    ("video",),
    ("serialization",),
    ("detector", "stream"),
    ("run",),
    (
        "types",
        "array_spec",
        "errors",
        "cache",
        "progress",
        "files",
        "registry",
        "results",
        "options",
        "interruption",
        "left_out",
    ),
)
LEVEL = {room: level for level, rooms in enumerate(reversed(FLOORS)) for room in rooms}
SHARED_BY_DATASETS = {
    "datasets.annotations",
    "datasets.base",
    "datasets.classes",
    "datasets.dad_labels",
    "datasets.discovery",
    "datasets.frame_labels",
    "datasets.inventory",
    "datasets.masks",
    "datasets.matlab",
    "datasets.shared_layout",
    "datasets.splits",
    "datasets.tables",
    "datasets.tree",
}
HEAVY = (
    "torch",
    "cv2",
    "av",
    "sklearn",
    "scipy",
    "numpy",
    "matplotlib",
    "plotly",
    "rich",
    "jsonargparse",
)
# split, so that this line is not one of them
SOMEBODYS_DISK = re.compile(r"(?<![\w.])/(?:work|home|root|Users)/\w|\b[A-Z]:\\\\?Users\b")

Imports = Mapping[str, set[str]]  # a module, and the modules that it names, without `oddframe.`


def modules() -> dict[str, ast.Module]:
    """Every module of the package by its dotted name without `oddframe.`; the package itself is ""."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        name = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        found[name.removesuffix("__init__").rstrip(".")] = ast.parse(path.read_text())
    return found


def imports_of(trees: Mapping[str, ast.Module]) -> dict[str, set[str]]:
    """What each module imports of the package, wherever in the file it does so."""
    return {
        name: {other for other in _named(tree) if other != name} for name, tree in trees.items()
    }


def _named(tree: ast.Module) -> Iterator[str]:
    every = {
        ".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in SOURCE.rglob("*.py")
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("oddframe."):
                    yield alias.name.removeprefix("oddframe.")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports say the whole name"
            if node.module == "oddframe":
                yield from (
                    alias.name
                    for alias in node.names
                    if alias.name in every or (SOURCE / alias.name).is_dir()
                )
            elif node.module and node.module.startswith("oddframe."):
                inside = node.module.removeprefix("oddframe.")
                for alias in node.names:
                    deeper = f"{inside}.{alias.name}"
                    yield deeper if deeper in every else inside


def upward(imports: Imports) -> list[str]:
    """The arrows that may not be: up a floor, or from one member of an open family to another."""
    wrong = []
    for name, others in imports.items():
        if not name:
            continue  # the package's own door looks at the whole house
        room = name.partition(".")[0]
        for other in sorted(others):
            there = other.partition(".")[0]
            if LEVEL[there] > LEVEL[room]:
                wrong.append(f"{name} → {other} points up")
            elif there == "methods" and _method(other) != _method(name):
                wrong.append(
                    f"{name} → {other}: methods are reached by their names, through families"
                )
            elif room == there == "datasets" and other not in SHARED_BY_DATASETS:
                wrong.append(f"{name} → {other}: data sets do not import each other")
    return wrong


def _method(module: str) -> str:
    """The file or package below `methods` that a module belongs to."""
    return ".".join(module.split(".")[:2])


def picture(names: list[str]) -> str:
    """The floors, from the roof down, with what lives on each."""
    rows = []
    for rooms in FLOORS:
        inside = [name for name in names if name.partition(".")[0] in rooms]
        rows.append(
            f"{' '.join(rooms)[:12]:12} │ {'  '.join(name.partition('.')[2] or name for name in inside)}"
        )
    return "\n".join(rows)


def test_imports_point_down() -> None:
    trees = modules()
    names = [name for name in trees if name]
    homeless = [name for name in names if name.partition(".")[0] not in LEVEL]
    assert not homeless, f"on no floor: {homeless}\n\n{picture(names)}"
    wrong = upward(imports_of(trees))
    assert not wrong, "\n".join([*wrong, "", picture(names)])


@pytest.mark.parametrize(
    ("name", "other", "why"),
    [
        pytest.param("video.reader", "scoring.events", "points up", id="up"),
        pytest.param("scoring.pipeline", "methods.flowgrid", "through families", id="to a method"),
        pytest.param(
            "methods.baselines", "methods.flowgrid", "through families", id="between methods"
        ),
        pytest.param("datasets.ucsd", "datasets.avenue", "each other", id="between data sets"),
    ],
)
def test_an_arrow_that_may_not_be_is_seen(name: str, other: str, why: str) -> None:
    (told,) = upward({name: {other}})
    assert f"{name} → {other}" in told
    assert why in told


def test_workflows_do_not_know_each_other_and_print_nothing() -> None:
    trees = modules()
    for name, others in imports_of(trees).items():
        if name.startswith("workflows."):
            assert not [other for other in others if other.startswith("workflows.")], name
    printing = [
        name
        for name, tree in trees.items()
        if any(isinstance(node, ast.Name) and node.id == "print" for node in ast.walk(tree))
    ]
    assert [name for name in printing if not name.startswith(("cli", "interruption"))] == []


def test_an_arrow_down_is_fine() -> None:
    assert not upward(
        {
            "cli": {"scoring.events"},
            "datasets.ucsd": {"datasets.tree"},
            "video.reader": {"video.scaling"},
        }
    )


def test_every_import_is_found() -> None:
    tree = ast.parse(
        "def f():\n    from oddframe.workflows import fit\nimport oddframe.types\nfrom oddframe import errors"
    )
    assert imports_of({"cli": tree}) == {"cli": {"workflows.fit", "types", "errors"}}


def all_parsers() -> list[tuple[str, str | None]]:
    plain: list[tuple[str, str | None]] = [
        (command, None) for command in COMMANDS if command != "fit"
    ]
    return plain + [("fit", method) for method in members("methods")]


@pytest.mark.parametrize(("command", "method"), all_parsers())
def test_every_option_has_help(command: str, method: str | None) -> None:
    parser = parser_of(command, method)
    assert parser.summary
    assert not [option.name for option in parser.options if not option.help.strip()]


@pytest.mark.parametrize(("command", "method"), all_parsers())
def test_help_is_printed(
    command: str, method: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, *([method] if method else []), "--help"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"usage: oddframe {command}")
    assert not err
    assert "<class" not in out
    assert not re.search(r"--\w+_\w", out), "options are shown with dashes"


def test_every_command_has_a_verb_and_a_line() -> None:
    assert [
        command
        for command in COMMANDS
        if not COMMANDS[command].line or not verb_of(command).__doc__
    ] == []


def test_every_command_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert [
        command for command in COMMANDS if not re.search(rf"^  {command} ", shown, re.MULTILINE)
    ] == []


def test_every_command_is_in_the_readme() -> None:
    words = (ROOT / "README.md").read_text()
    assert [
        command for command in COMMANDS if not re.search(rf"\boddframe {command}\b", words)
    ] == []


def test_every_member_of_a_family_says_what_it_is() -> None:
    silent = [
        f"{family} {name}"
        for family in ("methods", "datasets")
        for name, one in members(family).items()
        if not one.__doc__
    ]
    assert not silent


def test_importing_oddframe_loads_nothing_heavy() -> None:
    code = f"import sys, oddframe, oddframe.cli.main; print([name for name in {HEAVY!r} if name in sys.modules])"
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert told.stdout.strip() == "[]"


def test_help_takes_under_a_second() -> None:
    def seconds() -> float:
        begun = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "oddframe.cli.main", "--help"],
            capture_output=True,
            timeout=60,
            check=True,
        )
        return time.perf_counter() - begun

    assert min(seconds() for _ in range(3)) < 1


def test_all_is_what_is_public() -> None:
    assert sorted(dir(oddframe)) == sorted([*oddframe.__all__, "__version__"])
    for name in oddframe.__all__:
        assert callable(getattr(oddframe, name)), name
    with pytest.raises(AttributeError, match="fitt"):
        _ = oddframe.fitt


def test_everything_public_says_what_it_is() -> None:
    silent = []
    for name, tree in modules().items():
        defined = [
            node
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        ]
        silent += [
            f"{name}.{n.name}"
            for n in defined
            if not n.name.startswith("_") and not ast.get_docstring(n)
        ]
        if tree.body and not ast.get_docstring(tree):
            silent.append(name)
    assert not silent


def test_no_file_knows_whose_machine_it_was_written_on() -> None:
    told = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if told.returncode:
        pytest.skip("needs git, which knows what belongs to the project")
    found = []
    for name in filter(None, told.stdout.decode().split("\0")):
        try:
            text = (ROOT / name).read_text()
        except (UnicodeDecodeError, OSError):
            continue  # a picture, or deleted and not yet committed
        found += [
            f"{name}: {line.strip()[:100]}"
            for line in text.splitlines()
            if SOMEBODYS_DISK.search(line)
        ]
    assert not found
