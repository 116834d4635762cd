"""The demonstration runs as a whole, shows what it found, and says what it missed."""

import json
from pathlib import Path

import numpy as np
import pytest

from oddframe.cli.main import main
from oddframe.evaluation.evaluated_video import EvaluatedVideo
from oddframe.types import Event, Truth
from oddframe.workflows.evaluate import found_by_kind


def judged(
    kinds: list[str], events: list[tuple[float, float]], name: str = "gate"
) -> EvaluatedVideo:
    """A video of one frame a second with these kinds in it, "" where nothing is odd."""
    kind = np.array(kinds)
    seconds, value = np.arange(len(kinds), dtype=float), np.zeros(len(kinds))
    found = [Event(name, start, end, 3.0, start) for start, end in events]
    return EvaluatedVideo(name, value, value, Truth(kind != "", kind=kind), seconds, found)


@pytest.mark.parametrize(
    ("events", "found"),
    [
        pytest.param([], {"car": 0, "fall": 0}, id="no event"),
        pytest.param([(0.0, 9.0)], {"car": 2, "fall": 1}, id="one event over all"),
        pytest.param([(2.0, 3.0)], {"car": 0, "fall": 1}, id="within one stretch"),
        pytest.param([(0.0, 1.0), (4.0, 5.0)], {"car": 0, "fall": 0}, id="beside them, touching"),
        pytest.param([(6.9, 7.5)], {"car": 1, "fall": 0}, id="over the end of the last"),
    ],
)
def test_stretches_of_a_kind_count_where_an_event_meets_them(
    events: list[tuple[float, float]], found: dict[str, int]
) -> None:
    video = judged(["", "car", "fall", "fall", "", "car", "car", ""], events)
    counts = found_by_kind([video])
    assert {kind: count["found"] for kind, count in counts.items()} == found
    assert {kind: count["stretches"] for kind, count in counts.items()} == {"car": 2, "fall": 1}


def test_without_kinds_there_is_nothing_to_tell_apart() -> None:
    value = np.zeros(3)
    assert found_by_kind([EvaluatedVideo("a", value, value, Truth(value > 1), value)]) == {}


def test_the_demonstration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(
            [
                "demo",
                "--out",
                str(tmp_path / "demo"),
                "--seconds",
                "6",
                "--train",
                "2",
                "--test",
                "2",
            ]
        )
        == 0
    )
    told = capsys.readouterr().out
    found = tmp_path / "demo" / "found"
    for line in ("raised an event: ", "raised none: ", f"Open {found / 'report.html'}"):
        assert line in told
    result = json.loads((found / "evaluation.json").read_text())
    missed = [kind for kind, count in result["kinds"].items() if not count["found"]]
    assert f"raised none: {', '.join(missed) or 'nothing'}" in told, "what was missed is said"
    events = json.loads((found / "events.json").read_text())
    for video in events["videos"]:
        assert (found / video["overlay"]).stat().st_size > 1000
        for event in video["events"]:
            assert (found / event["picture"]).is_file()
            assert (found / event["clip"]).is_file()
    assert (tmp_path / "demo" / "run" / "run.json").is_file()
