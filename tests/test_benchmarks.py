"""Every script in benchmarks/ can be started, and says how."""

import runpy
import sys
from pathlib import Path

import pytest

from oddframe.methods.flowgrid import FlowGrid

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
NO_PROGRAM = {"machine"}  # what the others share


@pytest.mark.parametrize("name", sorted(path.stem for path in BENCHMARKS.glob("*.py")))
def test_it_says_how_it_is_started(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = BENCHMARKS / f"{name}.py"
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    monkeypatch.syspath_prepend(BENCHMARKS)
    code = 0
    try:
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as end:
        code = int(end.code or 0)
    assert code == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert name in NO_PROGRAM or f"{name}.py" in out


def test_choosing_takes_every_weight_and_every_set_of_options(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    choosing = runpy.run_path(str(BENCHMARKS / "choosing.py"))
    halves = [choosing["half_life_of"](weight) for weight in choosing["SMOOTHINGS"]]
    assert halves[0] == 0
    assert halves == sorted(halves)
    for options in choosing["SETS"].values():
        # one number stands for what the learned windows are multiplied by
        FlowGrid(**{name: value for name, value in options.items() if name != "windows"})
