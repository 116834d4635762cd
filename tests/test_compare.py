"""One table of many runs: means and deviations over seeds, for every metric."""

import json

import numpy as np
import pytest

from oddframe.evaluation.compare import MeasuredSeed, compare_runs, seed_spread
from oddframe.evaluation.evaluated_video import EvaluatedVideo
from oddframe.evaluation.protocol import measure
from oddframe.types import Truth


def run(method: str, seed: int, value: list[float], settings: str = "") -> MeasuredSeed:
    scores = np.array(value)
    video = EvaluatedVideo("v", scores, scores, Truth(np.array([0, 0, 1, 1], bool)), np.arange(4.0))
    return MeasuredSeed(method, method, settings, seed, measure([video], lookahead=0))


def test_seeds_of_a_method_are_one_row() -> None:
    table = compare_runs(
        [
            run("c3d", 0, [0, 1, 2, 3]),
            run("flowgrid", 0, [0, 2, 1, 3]),
            run("c3d", 1, [0, 2, 1, 3]),
            run("c3d", 0, [3, 2, 1, 0], "other options"),
        ]
    )
    assert list(table.runs) == ["c3d", "flowgrid", "c3d 2", "c3d 3"]
    assert [row["micro_auc"] for row in table.runs.values()] == [1, 0.75, 0.75, 0]
    assert [(row.method, row.seeds) for row in table.methods] == [
        ("c3d", (0, 1)),
        ("flowgrid", (0,)),
        ("c3d", (0,)),
    ]
    best = table.methods[0].numbers["micro_auc"]
    assert (best.mean, best.lowest, best.highest, best.seeds) == (0.875, 0.75, 1, 2)
    assert best.deviation == pytest.approx(0.25 / np.sqrt(2))
    assert table.methods[1].numbers["micro_auc"].deviation is None
    assert "as_published.micro_auc" in table.columns
    assert "pixel_auc" not in table.columns, "no run has one"
    json.dumps(table.to_dict(), allow_nan=False)


def test_no_value_has_no_spread() -> None:
    assert seed_spread([]) is None
