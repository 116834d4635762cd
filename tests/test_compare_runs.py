"""Several runs on one data set: one table, one plot, any methods and seeds."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

import oddframe
from oddframe.cli.main import main


@pytest.fixture(scope="module")
def runs(street: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs of one method with different seeds, and one of another. Do not write here."""
    folder = tmp_path_factory.mktemp("runs")
    made = []
    for name, method, seed in (("a", "frame-difference", 0), ("b", "frame-difference", 1)):
        oddframe.fit(method, "simulated", root=street, out=folder / name, seed=seed)
        made.append(folder / name)
    oddframe.fit("constant", "simulated", root=street, out=folder / "c")
    return [*made, folder / "c"]


def test_runs_stand_side_by_side(runs: list[Path], street: Path, tmp_path: Path) -> None:
    found = oddframe.compare(runs, "simulated", root=street, out=tmp_path / "out")
    numbers = found.table.runs
    assert list(numbers) == ["frame-difference a", "frame-difference b", "constant"]
    seeds = {row.method: row.seeds for row in found.table.methods}
    assert seeds == {"frame-difference": (0, 1), "constant": (0,)}
    assert numbers["constant"]["micro_auc"] == 0.5
    alone = oddframe.evaluate(
        runs[0], "simulated", root=street, out=tmp_path / "alone", report=False
    )
    assert numbers["frame-difference a"]["micro_auc"] == alone.honest["micro_auc"], (
        "as `evaluate` measures it"
    )
    assert found.plot.stat().st_size > 5000
    with (tmp_path / "out" / "comparison.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["run"] for row in rows] == list(numbers)
    assert json.loads((tmp_path / "out" / "comparison.json").read_text()) == found.to_dict()


def test_the_table_is_printed(
    runs: list[Path], street: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare", *map(str, runs), "simulated", "--root", str(street), "--quiet"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "frame-difference b" in out
    assert "in the mean of 2 runs" in out
    assert f"plot: {tmp_path / 'out' / 'comparison.png'}" in out


def test_what_cannot_be_compared_is_said_before_anything_is_scored(
    runs: list[Path], street: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    out = tmp_path / "out"
    assert "two runs or more" in refused(
        2, "compare", runs[0], "simulated", "--root", street, "--out", out
    )
    line = refused(
        5, "compare", runs[0], tmp_path / "gone", "simulated", "--root", street, "--out", out
    )
    assert "no such run folder" in line
    assert not out.exists()
