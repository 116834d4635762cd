"""What the site shows is there: options exist, numbers are those of the kept results, the notebook runs."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
COMING_FROM = sorted((DOCS / "coming-from").glob("*.md"))


def test_every_page_of_another_code_base_names_its_commands_and_files() -> None:
    for page in COMING_FROM:
        text = page.read_text()
        assert text.count("|---|---|") >= 2, f"{page.name}: a table of commands and one of files"


def test_every_option_on_those_pages_exists() -> None:
    """An option that a page names is one that some command takes."""
    sys.path.insert(0, str(DOCS))
    try:
        from generate import cli_page  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(DOCS))
    known = set(re.findall(r"--[a-z][\w.-]*", cli_page()))
    for option in list(known):
        known.add("--" + option.removeprefix("--").rpartition(".")[2])
    unknown = []
    for page in COMING_FROM:
        for cell in re.findall(r"^\| .* \| (.*) \|$", page.read_text(), re.MULTILINE):
            for option in re.findall(r"--[a-z][\w.-]*", cell):
                if option not in known and option.replace("--no-", "--") not in known:
                    unknown.append(f"{page.name}: {option}")
    assert not unknown


def test_the_numbers_of_the_readme_are_the_kept_results() -> None:
    readme = (ROOT / "README.md").read_text()
    rows = dict(re.findall(r"^\| (.+?) \| ([^|]+?) \|$", readme, re.MULTILINE))
    for words, measured in kept_numbers().items():
        shown = [row for row in rows if row.startswith(words)]
        assert len(shown) == 1, words
        assert rows[shown[0]] == measured, words


def kept_numbers() -> dict[str, str]:
    """The figures of the README as the kept results have them."""
    ped2 = result("ped2")["flowgrid"]["mean"]
    scene_ped2 = result("ped2-scene")["scene"]["mean"]
    street = result("street")
    flagged = ped2["normal_frames_flagged_when_asked_for_1_percent"]
    return {
        "`scene`; `flowgrid`, simulated street": both(street, "all", 1, ".2f"),
        "odd stretches there": both(street, "event_recall", 100, ".0f", " %"),
        "`scene`; `flowgrid`, Ped2": f"{scene_ped2['micro_auc']:.2f}; {ped2['micro_auc']:.3f}",
        "normal frames of Ped2": f"{100 * flagged:.1f} %",
    }


def both(table: dict[str, Any], name: str, times: int, form: str, unit: str = "") -> str:
    """A figure of both methods that need no network, as the README writes it."""
    shown = []
    for method in ("scene", "flowgrid"):
        shown.append(f"{times * table[method][name]['mean']:{form}}{unit}")
    return "; ".join(shown)


def result(name: str) -> dict[str, Any]:
    """A kept result."""
    loaded: dict[str, Any] = json.loads(
        (ROOT / "benchmarks" / "results" / f"{name}.json").read_text()
    )
    return loaded


def test_the_readme_is_short() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 100
    assert len(text.split()) <= 800
    numbers = re.findall(r"\d+(?:[.,]\d+)*", text)
    assert len(numbers) <= 25, numbers


def test_the_notebook_runs(tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(DOCS / "notebooks" / "folder-to-report.ipynb", as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    assert (tmp_path / "notebook-run" / "found" / "report.html").is_file()


def test_every_page_is_in_the_navigation() -> None:
    listed = (ROOT / "mkdocs.yml").read_text()
    for page in DOCS.rglob("*.md"):
        assert str(page.relative_to(DOCS)) in listed, page


def test_the_glossary_is_short() -> None:
    rows = re.findall(
        r"^\| (?!word|---)", (DOCS / "reference/glossary.md").read_text(), re.MULTILINE
    )
    assert 15 <= len(rows) <= 25
