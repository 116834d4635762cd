"""Normal video that a detector did not fit: cut into parts, left out in turn, scored. What calibration learns from."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from oddframe.detector import Detector
from oddframe.errors import BadInput
from oddframe.run import Run
from oddframe.scoring.pipeline import concatenate, score_video, smooth
from oddframe.types import Scores, Video
from oddframe.video.reader import times_of

LONGEST = 600.0  # seconds of a part: what is kept of one while fitting stays small
FEWEST = 8  # parts into which little video is cut, so that leaving one out leaves most of it
SHORTEST = 10.0  # seconds under which nothing is cut further
FOLDS = 16  # most detectors fitted to calibrate one
SHARE = 0.2  # of the normal video is held out where fitting again is dear


def segments_of(videos: Sequence[Video]) -> list[Video]:
    """The same video in parts of at most ten minutes; few videos are cut finer, unless they last under ten seconds.

    Parts of one film follow each other without overlap.
    """
    lengths = [_seconds(video) for video in videos]
    wanted = (
        LONGEST if len(videos) >= FEWEST else min(LONGEST, max(SHORTEST, sum(lengths) / FEWEST))
    )
    return [
        part
        for video, length in zip(videos, lengths, strict=True)
        for part in _cut(video, length, wanted)
    ]


def folds_of(parts: Sequence[Video]) -> list[int]:
    """Which fold each part belongs to: all parts of a film the same one, or, where films are few, parts in order."""
    films = list(dict.fromkeys(part.source for part in parts))
    if len(films) >= 4:
        return [films.index(part.source) * min(FOLDS, len(films)) // len(films) for part in parts]
    return [k * min(FOLDS, len(parts)) // len(parts) for k in range(len(parts))]


def fit_and_cross_validate(
    detector: Detector, videos: Sequence[Video], run: Run
) -> tuple[list[Scores], str]:
    """Fit, and score (smoothed, without maps) normal video that the detector, or its like, had not seen.

    Where fitting is quick the detector is fitted on everything and others, each without one fold, do the scoring;
    else a share at the end of the video is held out of fitting. Raises BadInput with too little video for either.
    """
    parts = segments_of(videos)
    folds = folds_of(parts)
    if len(set(folds)) < 2:
        raise BadInput(
            f"{sum(_seconds(video) for video in videos):.1f} s of normal video is too little to learn from and to "
            f"calibrate on; give at least {2 * SHORTEST:.0f} s, better an hour"
        )
    if detector.quick_to_fit:
        detector.fit(parts, run)
        raw = detector.held_out(parts, folds, run) or _refitted(detector, parts, folds, run)
        how = f"leave one out, {len(set(folds))} folds of {'videos' if len(set(_sources(parts))) >= 4 else 'parts'}"
    else:
        held = held_out_folds(folds)
        detector.fit(
            [part for part, fold in zip(parts, folds, strict=True) if fold not in held], run
        )
        rest = [part for part, fold in zip(parts, folds, strict=True) if fold in held]
        how = f"held-out share, {len(rest)} of {len(parts)} parts"
        return [
            concatenate(map(_bare, score_video(detector, part)), part.name) for part in rest
        ], how
    return [_bare(concatenate(smooth([scores], detector.smoothing))) for scores in raw], how


def held_out_folds(folds: Sequence[int]) -> set[int]:
    """The last folds, about a fifth of them and at least one."""
    kinds = sorted(set(folds))
    return set(kinds[-max(1, round(SHARE * len(kinds))) :])


def score_video_unsmoothed(detector: Detector, video: Video) -> Iterator[Scores]:
    """Raw scores of a video or part, batch by batch, without maps."""
    for scores in score_video(detector, video, smoothing=0.0):
        yield _bare(scores)


def _bare(scores: Scores) -> Scores:
    return replace(scores, map=None, boxes=None, parts={})


def _refitted(
    detector: Detector, parts: Sequence[Video], folds: Sequence[int], run: Run
) -> Iterator[Scores]:
    students: dict[int, Detector] = {}
    for part, fold in zip(parts, folds, strict=True):
        if fold not in students:
            student = detector.fresh()
            student.fit([other for other, of in zip(parts, folds, strict=True) if of != fold], run)
            students = {fold: student.eval()}
        yield concatenate(score_video_unsmoothed(students[fold], part), part.name)


def _cut(video: Video, length: float, wanted: float) -> list[Video]:
    count = max(1, int(np.ceil(length / wanted - 0.01)))
    if count == 1:
        return [video]
    start = video.span[0] if video.span else 0.0
    edges = [start + length * k / count for k in range(count + 1)]
    return [replace(video, span=(edges[k], edges[k + 1])) for k in range(count)]


def _seconds(video: Video) -> float:
    times = times_of(video)
    if video.span:
        times = times[(times >= video.span[0]) & (times < video.span[1])]
    if len(times) < 2:
        return 0.0
    return float((times[-1] - times[0]) * len(times) / (len(times) - 1))


def _sources(parts: Sequence[Video]) -> set[object]:
    return {part.source for part in parts}
