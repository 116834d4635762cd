"""Any saved result can be looked into, and nothing in it is run."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from oddframe.cli.main import main
from oddframe.visualization.plots import write_spread_png
from oddframe.workflows.info import inside


def test_names_shapes_and_ranges_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(
        tmp_path / "one.npz",
        rarity=np.array([0.5, 2.25, np.nan]),
        key=np.array("k"),
        none=np.zeros((0, 4)),
    )
    assert main(["info", str(tmp_path / "one.npz")]) == 0
    told = capsys.readouterr().out
    assert "float64 (3,), 0.5 to 2.25, 1 not a number" in told
    assert "float64 (0, 4)" in told
    np.save(tmp_path / "mask.npy", np.array([True, False]))
    assert inside(tmp_path / "mask.npy") == {"mask": "bool (2,), 0 to 1"}
    (tmp_path / "e.json").write_text(json.dumps([1, 2]))
    assert inside(tmp_path / "e.json") == {"e": [1, 2]}
    (tmp_path / "b.pkl").write_bytes(
        pickle.dumps({"01": [np.ones((2, 5)) * [[1, 1, 9, 9, 1]], np.zeros((0, 5))]})
    )
    assert inside(tmp_path / "b.pkl") == {"01": "2 frames, 2 boxes"}


@pytest.mark.parametrize("name", ["a.npz", "a.npy", "a.json", "a.pkl", "a.txt"])
def test_what_cannot_be_looked_into_is_one_line(
    name: str, tmp_path: Path, refused: Callable[..., str]
) -> None:
    (tmp_path / name).write_bytes(b"nothing of the kind")
    assert name in refused(2, "info", tmp_path / name)


def test_scores_of_normal_and_odd_frames_are_drawn(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for odd in (random.exponential(1.5, 200), np.zeros(0)):
        write_spread_png(tmp_path / "spread.png", random.exponential(0.43, 500), odd, 2.0)
        assert (tmp_path / "spread.png").stat().st_size > 5000
