"""The pictures and the report of an evaluation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oddframe.evaluation.evaluated_video import truth_frames
from oddframe.evaluation.measured_run import MeasuredRun
from oddframe.left_out import LeftOut
from oddframe.scoring.calibration import Threshold
from oddframe.scoring.run_folder import FittedDetector
from oddframe.visualization.outputs import draw_extras, draw_video, write_results
from oddframe.visualization.plots import (
    detection_curves,
    roc_curves,
    write_detection_png,
    write_regularity_png,
    write_roc_png,
    write_spread_png,
)
from oddframe.visualization.report import frames_seen
from oddframe.visualization.timeline import file_stem


def write_evaluation_report(
    folder: Path,
    fitted: FittedDetector,
    threshold: Threshold,
    measured: MeasuredRun,
    *,
    left_out: Sequence[LeftOut] = (),
    overlay: bool = False,
    animation: bool = False,
) -> None:
    """Draw curves and timelines, and write the report, with all that `oddframe score` writes."""
    seen = frames_seen(fitted.calibration)
    timelines = []
    for one, video in zip(measured.stored, measured.videos, strict=True):
        line = draw_video(
            one, threshold, folder, seen=seen, overlay=overlay, clips=overlay, truth=video.truth
        )
        timelines.append(line)
    drawn = measured.curves()
    write_roc_png(folder / "roc.png", roc_curves(drawn))
    write_detection_png(folder / "detection.png", detection_curves(drawn))
    draw_spread(folder / "spread.png", measured, threshold)
    pictures = draw_extras(folder, fitted, timelines, animation=animation)
    for one, line in zip(measured.stored, timelines, strict=True):
        path = folder / f"{file_stem(line.video.name)}.regularity.png"
        alarming = one.score[one.scores.value >= threshold.rarity]
        level = float(np.min(alarming, initial=np.inf))
        write_regularity_png(path, line, one.score, level)
        pictures[f"{line.video.name}: regularity as published"] = path
    evaluation: Mapping[str, Any] = measured.values
    write_results(
        folder,
        fitted,
        threshold,
        measured.stored,
        timelines,
        left_out=left_out,
        evaluation=evaluation,
        curves=drawn,
        pictures=pictures,
    )


def draw_spread(path: Path, measured: MeasuredRun, threshold: Threshold) -> None:
    """The rarities of normal and of anomalous frames beside each other."""
    values = np.concatenate([video.value for video in measured.videos])
    anomalous_frame = np.concatenate(truth_frames(measured.videos))
    normal = values[~anomalous_frame]
    anomalous = values[anomalous_frame]
    write_spread_png(path, normal, anomalous, threshold.rarity)
