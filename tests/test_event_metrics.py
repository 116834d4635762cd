"""Events held against segments, kind by kind, and how many normal frames a threshold flags."""

from dataclasses import replace

import numpy as np
import pytest

from oddframe.evaluation.evaluated_video import EvaluatedVideo
from oddframe.evaluation.event_metrics import (
    FlaggedShare,
    detection_by_kind,
    flagged_normal_frames,
)
from oddframe.scoring.calibration import Threshold
from oddframe.types import Event, Truth


def video_of_kinds(
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
    video = video_of_kinds(["", "car", "fall", "fall", "", "car", "car", ""], events)
    counts = detection_by_kind([video])
    assert {kind: count.found for kind, count in counts.items()} == found
    assert {kind: count.stretches for kind, count in counts.items()} == {"car": 2, "fall": 1}


def test_without_kinds_there_is_nothing_to_tell_apart() -> None:
    value = np.zeros(3)
    assert detection_by_kind([EvaluatedVideo("a", value, value, Truth(value > 1), value)]) == {}


def test_the_share_of_normal_frames_that_is_flagged_leaves_out_the_anomalous() -> None:
    threshold = Threshold(3.0, 1.0, 1.0, (0.0, 2.0), True, 1.0, "")
    video = video_of_kinds(["", "", "", "", "car"], [])
    video = replace(video, value=np.array([0.0, 2.0, 3.0, 1.9, 9.0]))
    assert flagged_normal_frames([video], threshold) == FlaggedShare(1 / 4, 2 / 4)
    anomalous = video_of_kinds(["car"], [])
    assert flagged_normal_frames([anomalous], threshold) == FlaggedShare(None, None)
