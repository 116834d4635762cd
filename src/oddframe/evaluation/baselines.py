"""What methods that learn nothing reach on the same frames. They stand in every table."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from oddframe.evaluation.evaluated_video import EvaluatedVideo, every_frame, truth_frames
from oddframe.evaluation.metrics import auc
from oddframe.registry import member
from oddframe.run import Run
from oddframe.scoring.pipeline import concatenate, score_video
from oddframe.types import Video

BASELINES = ("constant", "frame-difference")


def measure_baselines(
    tests: Sequence[Video], judged: Sequence[EvaluatedVideo]
) -> Mapping[str, Mapping[str, float | None]]:
    """Micro AUC of each baseline by its name. `tests` are the videos that `judged` were scored
    from.
    """
    found = {}
    for name in BASELINES:
        found[name] = {"micro_auc": baseline_auc(name, tests, judged)}
    return found


def baseline_auc(
    name: str, tests: Sequence[Video], judged: Sequence[EvaluatedVideo]
) -> float | None:
    """Micro AUC of one method that needs no fitting; None where the frames are of one class."""
    detector = member("methods", name, "method")()
    detector.fit([], Run(Path()))
    values = []
    for video, one in zip(tests, judged, strict=True):
        scores = concatenate(score_video(detector, video), video.name)
        values.append(every_frame(scores, len(one.value)))
    anomalous = np.concatenate(truth_frames(judged))
    return auc(anomalous, np.concatenate(values))
