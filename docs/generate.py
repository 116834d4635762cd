"""Pages of the site that are made from the program itself, and the tables that stand in for markers in other pages.

MkDocs calls `on_files` and `on_page_markdown` (see `hooks` in mkdocs.yml). A page may hold

    <!-- options: METHOD -->        the options of a method, from its signature and docstring
    <!-- tree: DATA SET -->         how a data set lies on disk
    <!-- result: FILE -->           every number of benchmarks/results/FILE.json
    <!-- contributing -->           CONTRIBUTING.md without its title
    <!-- layers -->                 the packages and what imports what, from tests/test_architecture.py
"""

import contextlib
import importlib.util
import inspect
import io
import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
MARKER = re.compile(r"<!-- (options|tree|result|layers|contributing)(?:: ([\w.-]+))? -->")
MOST_COLUMNS = 9  # of a table; wider ones are turned

Scalar = str | int | float | bool | None


# The command line.


def help_of(*words: str) -> str:
    """What a command prints when asked for help."""
    from oddframe.cli.main import main

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        main([*words, "--help"])
    return printed.getvalue().strip()


def cli_page() -> str:
    """The reference of the command line: the help of every command and every method."""
    from oddframe.cli.main import COMMANDS
    from oddframe.registry import members

    lines = ["# Command line", "", "```text", help_of(), "```", ""]
    for command in COMMANDS:
        lines += [f"## oddframe {command}", "", "```text", help_of(command), "```", ""]
        if command != "fit":
            continue
        for method in members("methods"):
            lines += [
                f"### oddframe fit {method}",
                "",
                "```text",
                help_of("fit", method),
                "```",
                "",
            ]
    return "\n".join(lines)


# Methods and data sets.


def options_table(method: str) -> str:
    """The options of a method: name, default, meaning."""
    from docstring_parser import parse

    from oddframe.registry import member

    kind = member("methods", method, "method")
    explained = {}
    for entry in parse(inspect.getdoc(kind) or "").params:
        explained[entry.arg_name] = " ".join((entry.description or "").split())
    rows = ["| option | default | meaning |", "|---|---|---|"]
    for name, parameter in inspect.signature(kind).parameters.items():
        option = "--" + name.replace("_", "-")
        rows.append(f"| `{option}` | {_default(parameter.default)} | {explained.get(name, '')} |")
    return "\n".join(rows)


def tree_block(name: str) -> str:
    """The listing that a data set is expected to have."""
    from oddframe.registry import member

    found = member("datasets", name, "data set")
    return f"```\n{found.TREE.strip()}\n```"


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return "required"
    if value is None or value == "":
        return "–"
    if hasattr(value, "__dataclass_fields__"):
        return "a group"
    return f"`{value}`"


# Results.


def results_page() -> str:
    """Every kept result with the command that printed it, the machine and the commit."""
    lines = [
        "# Results",
        "",
        "Every table here is made from `benchmarks/results/*.json`, which the scripts in `benchmarks/`",
        "write. Each says the command, the machine and the commit. Times are of shared machines and",
        "count as ratios within one table.",
        "",
    ]
    for path in sorted(RESULTS.glob("*.json")):
        lines += [f"## {path.stem}", "", result_tables(path.stem), ""]
    return "\n".join(lines)


def result_tables(name: str) -> str:
    """The numbers of one file as Markdown tables."""
    result = json.loads((RESULTS / f"{name}.json").read_text())
    measured = result.pop("measured", None)
    lines: list[str] = []
    if isinstance(measured, dict):
        machine = measured.get("machine", {})
        lines += [
            f"`{measured.get('command', '')}` · {machine.get('processor', 'unknown processor')}, "
            f"{machine.get('cores', '?')} cores · commit `{measured.get('commit')}`",
            "",
        ]
    lines += _tables_of(result, "")
    return "\n".join(lines).strip()


def _tables_of(value: dict[str, Any], title: str) -> list[str]:
    plain = {}
    nested = {}
    for name, part in value.items():
        if _is_scalar(part) or (isinstance(part, list) and all(_is_scalar(one) for one in part)):
            plain[name] = part
        elif isinstance(part, dict):
            nested[name] = part
    lines: list[str] = []
    if plain:
        if title:
            lines += [f"**{title}**", ""]
        lines += ["| | |", "|---|---|"]
        lines += [f"| {name} | {_shown(part)} |" for name, part in plain.items()]
        lines.append("")
    if nested and _is_matrix(nested):
        return lines + _matrix(nested, title if not plain else "")
    for name, part in nested.items():
        lines += _tables_of(part, f"{title}: {name}" if title else name)
    return lines


def _is_matrix(rows: dict[str, Any]) -> bool:
    """Whether all rows are flat."""
    for row in rows.values():
        for cell in row.values():
            if isinstance(cell, dict) or (
                isinstance(cell, list) and not all(map(_is_scalar, cell))
            ):
                return False
    return True


def _matrix(rows: dict[str, Any], title: str) -> list[str]:
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    if len(columns) > MOST_COLUMNS:
        turned: dict[str, dict[str, Any]] = {name: {} for name in columns}
        for row_name, row in rows.items():
            for name, cell in row.items():
                turned[name][row_name] = cell
        rows, columns = turned, list(rows)
    lines = [f"**{title}**", ""] if title else []
    lines.append("| | " + " | ".join(columns) + " |")
    lines.append("|---" * (len(columns) + 1) + "|")
    for name, row in rows.items():
        cells = [_shown(row.get(column)) for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        if len(value) > 8:
            return f"{len(value)} values"
        return ", ".join(_shown(one) for one in value)
    return str(value).replace("|", "\\|")


# The structure of the code.


def architecture_test() -> ModuleType:
    """tests/test_architecture.py, which draws the layers and refuses imports that point up."""
    path = ROOT / "tests" / "test_architecture.py"
    spec = importlib.util.spec_from_file_location("architecture_test", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["architecture_test"] = module
    spec.loader.exec_module(module)
    return module


def layers_block() -> str:
    """The packages from the top down, with their modules."""
    test = architecture_test()
    names = [name for name in test.modules() if name]
    return f"```text\n{test.picture(names)}\n```"


def contributing_text() -> str:
    """CONTRIBUTING.md without its title, its links made for a page one folder down."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    _, _, body = text.partition("\n")
    return body.replace("](docs/", "](../")


# MkDocs.


def replace_marker(found: re.Match[str]) -> str:
    """What a marker in a page stands for."""
    kind, name = found[1], found[2] or ""
    if kind == "options":
        return options_table(name)
    if kind == "tree":
        return tree_block(name)
    if kind == "result":
        return result_tables(name)
    if kind == "contributing":
        return contributing_text()
    return layers_block()


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the markers of a page."""
    return MARKER.sub(replace_marker, markdown)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made as a whole."""
    from mkdocs.structure.files import File

    pages = {
        "reference/cli.md": cli_page(),
        "results.md": results_page(),
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(),
    }
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files
