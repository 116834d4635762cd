"""Runs of any methods on the same videos: whether they go together, and what they say together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Literal

from oddframe.datasets.base import open_data
from oddframe.datasets.discovery import printable
from oddframe.errors import BadInput, BadVideo, OddframeError
from oddframe.evaluation.compare import labels_of
from oddframe.evaluation.earned_weights import Earned, earn_weights
from oddframe.evaluation.evaluated_video import EvaluatedVideo, align_with_truth
from oddframe.evaluation.measured_run import refuse_learned
from oddframe.files import room
from oddframe.left_out import LeftOut, do_each
from oddframe.progress import logger
from oddframe.scoring.calibration import Threshold
from oddframe.scoring.fused_scores import WeighedRun, fuse_scores
from oddframe.scoring.run_folder import FittedDetector
from oddframe.scoring.score_store import ScoredVideo, hold_score_files, score_files, score_to
from oddframe.types import Video
from oddframe.video.ignored import filled_in, joined
from oddframe.video.reader import facts_of, video_of
from oddframe.video.scene_check import SHAPE, VIEW, view_agreement

Weighing = Literal["equal", "earned"]


@dataclass(frozen=True)
class Weights:
    """How much each run counts, and why."""

    runs: tuple[WeighedRun, ...]
    aucs: tuple[float, ...] | None  # on normal video with faults; None where that was not measured
    how: str  # in words

    def silent(self) -> list[str]:
        """The runs that do not count."""
        return [run.label for run in self.runs if not run.weight]


@dataclass(frozen=True)
class FusedVideo:
    """One video as each run scored it and as all do."""

    parts: tuple[ScoredVideo, ...]  # in the order of the runs
    fused: ScoredVideo


def videos_to_fuse(
    data: str, root: str | Path | None, stream: str | None, frame_rate: float | None
) -> tuple[str, list[Video]]:
    """The name of the data, and its videos to be judged: those for testing, or all of a folder
    without such, or the one that is named. Raises BadInput or BadVideo.
    """
    name, split = open_data(data, root, stream, fps=frame_rate)
    videos = split.test
    if not videos and Path(data).expanduser().exists():
        videos = split.train  # of one's own, which nobody has divided
    if not videos:
        raise BadInput(f"{name} has no video to be judged")
    return name, [replace(video, name=printable(video.name)) for video in videos]


def refuse_other_cameras(runs: Sequence[FittedDetector]) -> None:
    """Raise BadInput where two of the runs are one, or learned pictures of another shape or
    view.
    """
    for one, other in combinations(runs, 2):
        if one.folder.resolve() == other.folder.resolve():
            raise BadInput(f"{one.folder} is given twice; fusing takes different runs")
        ours = aspect_learned(one)
        theirs = aspect_learned(other)
        if ours is not None and theirs is not None and abs(theirs / ours - 1) > SHAPE:
            raise BadInput(
                f"{one.folder} learned pictures {ours:.2f} times as wide as high, {other.folder} "
                f"{theirs:.2f} times: they are of different cameras"
            )
        view = one.calibration.view
        second = other.calibration.view
        if view is None or second is None:
            continue
        area = joined(one.ignored, other.ignored)
        if area is not None:
            view = filled_in(view, area)
            second = filled_in(second, area)
        if view_agreement(view, second) < VIEW:
            raise BadInput(
                f"{one.folder} and {other.folder} learned different views: they are of different "
                "cameras"
            )


def aspect_learned(run: FittedDetector) -> float | None:
    """Width over height of the pictures that a run learned from; None where nothing tells it."""
    view = run.calibration.view
    if view is not None:
        height, width = view.shape
        return float(width / height)
    for entry in run.facts["trained_on"]:
        try:
            facts = facts_of(video_of(entry.get("source", "")))
        except (OddframeError, OSError):
            continue
        return facts.width / facts.height
    return None


def weigh(runs: Sequence[FittedDetector], weights: Weighing) -> Weights:
    """How much each run counts: as it has earned on normal video with faults, or all the same where
    that is asked for or cannot be told, which is said.
    """
    labels = labels_of(runs)
    why = "asked for"
    if weights == "earned":
        earned = earn_weights(runs)
        if isinstance(earned, Earned):
            return earned_weights(runs, labels, earned)
        why = earned
        logger.warning(f"note: all runs count the same: {why}")
    weighed = []
    for label, run in zip(labels, runs, strict=True):
        weighed.append(WeighedRun(label, run, 1.0))
    return Weights(tuple(weighed), None, f"all runs count the same: {why}")


def earned_weights(
    runs: Sequence[FittedDetector], labels: Sequence[str], earned: Earned
) -> Weights:
    """The runs with what they have earned; those that fall silent are named."""
    weighed = []
    for label, run, weight, area in zip(labels, runs, earned.weights, earned.aucs, strict=True):
        weighed.append(WeighedRun(label, run, weight))
        if not weight:
            logger.warning(
                f"note: {label} falls silent: it tells normal video with faults from normal video "
                f"no better than chance (AUC {area:.2f})"
            )
    how = f"earned on {earned.clips} clips of normal video with faults: 2 AUC − 1"
    return Weights(tuple(weighed), earned.aucs, how)


def refuse_learned_by_any(runs: Sequence[FittedDetector], videos: Sequence[Video]) -> None:
    """Raise Leak where a video with truth was learned from by one of the runs."""
    tests = [video for video in videos if video.truth is not None]
    for run in runs:
        refuse_learned(run, tests)


def score_together(
    runs: Sequence[WeighedRun], videos: Sequence[Video], folder: Path
) -> tuple[list[FusedVideo], tuple[LeftOut, ...]]:
    """Each video scored by each run, into a folder of its own below `folder`, and by all, into
    `folder`. Those that one run cannot score are left out, and named.
    """
    folders = []
    for run in runs:
        folders.append(room(folder / run.label.replace(" ", "-").replace("/", "-")))

    def score_one(video: Video) -> FusedVideo:
        paths = [*score_files(folder, [video])]
        for place in folders:
            paths += score_files(place, [video])
        with hold_score_files(*paths):
            parts = []
            for run, path in zip(runs, paths[1:], strict=True):
                one = score_to(path, run.fitted, video)
                if run.weight and not len(one.scores):
                    raise BadVideo(f"{video.source} is too short for {run.label}")
                parts.append(one)
            return FusedVideo(tuple(parts), fuse_scores(paths[0], parts, runs))

    return do_each(videos, score_one, name_of=lambda video: video.name, done="scored")


def judged_by(
    found: Sequence[FusedVideo], runs: Sequence[WeighedRun], threshold: Threshold
) -> dict[str, list[EvaluatedVideo]]:
    """The videos that have truth beside it, as "all" runs judge them and as each does."""
    with_truth = [one for one in found if one.fused.video.truth is not None]
    judged = {"all": [align_with_truth(one.fused, threshold) for one in with_truth]}
    for k, run in enumerate(runs):
        judged[run.label] = []
        for one in with_truth:
            if len(one.parts[k].scores):
                judged[run.label].append(align_with_truth(one.parts[k], run.fitted.threshold))
    return judged
