"""A run on test videos with truth: scored, held against the truth, and measured."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from oddframe.datasets.base import Split
from oddframe.datasets.discovery import printable
from oddframe.errors import BadInput
from oddframe.evaluation.baselines import measure_baselines
from oddframe.evaluation.evaluated_video import EvaluatedVideo, align_with_truth
from oddframe.evaluation.event_metrics import flagged_normal_frames
from oddframe.evaluation.localization import Localization, find_places
from oddframe.evaluation.protocol import Evaluation, curves, measure, refuse_leak
from oddframe.left_out import LeftOut, do_each
from oddframe.progress import logger
from oddframe.scoring.calibration import Threshold
from oddframe.scoring.run_folder import FittedDetector
from oddframe.scoring.score_store import ScoredVideo, score_to
from oddframe.types import Video
from oddframe.video.reader import content_hash


@dataclass(frozen=True)
class MeasuredRun:
    """Scores, truth and numbers of one run on one data set."""

    stored: Sequence[ScoredVideo]
    videos: Sequence[EvaluatedVideo]
    places: Localization
    found: Evaluation
    values: Mapping[str, Any]  # what evaluation.json holds

    def curves(self) -> dict[str, Any]:
        """ROC and detection curves, for plots."""
        return curves(self.videos, self.places)


def test_videos(name: str, split: Split) -> list[Video]:
    """The test videos that have truth, under names that can be printed. Raises BadInput where none
    has.
    """
    with_truth = []
    without = []
    for video in split.test:
        if video.truth is None:
            without.append(video.name)
        else:
            with_truth.append(replace(video, name=printable(video.name)))
    if not with_truth:
        raise BadInput(
            f"{name} has no test video with ground truth, so there is nothing to measure against"
        )
    for name_without in without:
        logger.warning(f"left out: {name_without} has no ground truth")
    return with_truth


test_videos.__test__ = False  # type: ignore[attr-defined]  # it is no test of pytest's


def refuse_learned(fitted: FittedDetector, tests: Sequence[Video]) -> None:
    """Raise Leak when a test video was also learned from."""
    trained = {}
    for known in fitted.facts["trained_on"]:
        trained[known["hash"]] = known["name"]
    tested = {}
    for video in tests:
        tested[content_hash(video.source)] = video.name
    refuse_leak(trained, tested)


def measure_run(
    fitted: FittedDetector, name: str, tests: Sequence[Video], threshold: Threshold, folder: Path
) -> tuple[MeasuredRun, tuple[LeftOut, ...]]:
    """Score test videos into a folder and measure the scores; those that cannot be scored are left
    out.

    Call it within `hold_score_files`.
    """
    began = time.perf_counter()

    def score_one(video: Video) -> tuple[ScoredVideo, EvaluatedVideo]:
        stored = score_to(folder / f"{video.name}.npz", fitted, video)
        return stored, align_with_truth(stored, threshold)

    scored, left_out = do_each(
        tests, score_one, name_of=lambda video: video.name, done="measured", what="test videos"
    )
    seconds = {
        "fit": fitted.facts["seconds"]["fit"],
        "score": round(time.perf_counter() - began, 3),
    }
    kept = []
    judged = []
    for stored, video in scored:
        kept.append(stored)
        judged.append(video)
        if video.truth.note:
            logger.warning(f"note: {video.video}: {video.truth.note}")
    places = find_places(judged)
    found = measure(
        judged,
        lookahead=fitted.lookahead,
        expected_false_alarms=threshold.expected,
        places=places,
    )
    values = {
        "dataset": name,
        "detector": fitted.detector.name,
        **found.to_dict(),
        "baselines": measure_baselines([stored.video for stored in kept], judged),
        "lookahead_seconds": fitted.lookahead_seconds,
        "seconds": seconds,
        "threshold": {"rarity": threshold.rarity, "note": threshold.note},
        "flagged_normal_frames": asdict(flagged_normal_frames(judged, threshold)),
        "left_out": [asdict(one) for one in left_out],
    }
    return MeasuredRun(kept, judged, places, found, values), left_out
