"""Normal video that a detector was not fitted on, and its scores: what calibration learns from.

Videos are cut into segments. Videos cut from one recording (`Video.group`) are never on both sides,
and where videos have classes (`Video.label`) every class is on both sides if it has recordings
enough.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress, pairwise

import numpy as np

from oddframe.detector import Detector, FastFolds
from oddframe.errors import BadInput
from oddframe.run import Run
from oddframe.scoring.cleansing import SetAside, find_unusual, parts_without
from oddframe.scoring.pipeline import concatenate, score_video, values_of
from oddframe.scoring.smoothing import smooth
from oddframe.types import Floats, Scores, Video
from oddframe.video.filmed_time import filmed_seconds, usual_step
from oddframe.video.reader import indices_within, times_of

LONGEST_SEGMENT = 600.0  # seconds of a segment: what is kept of one while fitting stays small
FEWEST_SEGMENTS = (
    8  # segments into which little video is cut, so that leaving one out leaves most of it
)
SHORTEST_SEGMENT = 10.0  # seconds under which nothing is cut further
FEWEST_FRAMES = 10  # frames of a segment, whatever the clock says
FEWEST_GROUPS = 4  # recordings from which on whole recordings are left out, not segments of them
MOST_FOLDS = 16  # most detectors fitted to calibrate one
HELD_OUT_SHARE = 0.2  # of the normal video is held out where fitting again is dear
SALT = 20  # of the random numbers by which it is drawn
# how UCF101 and others name clips of one film
CLIP_OF_GROUP = re.compile(r"^(.*_g\d+)_c\d+(_\d+)?$")


@dataclass(frozen=True)
class HeldOutScores:
    """Scores, without maps, of normal video by detectors that were not fitted on it."""

    scores: list[Scores]  # smoothed, one a segment
    raw: list[Scores]  # the same before smoothing
    how: str  # in words, for the run folder and the report
    learned_from: tuple[str, ...]  # names of the videos that the detector itself was fitted on
    held_out: tuple[str, ...]  # names of those kept from it; empty where all were left out in turn
    set_aside: tuple[SetAside, ...] = ()  # stretches that nothing was learned from


def fit_and_cross_validate(
    detector: Detector, videos: Sequence[Video], run: Run, *, clean: bool = False
) -> HeldOutScores:
    """Fit the detector, and score normal video that it, or one fitted in the same way, has not
    seen.

    Where fitting is quick the detector is fitted on everything, and others, each without one fold,
    do the scoring; with `clean` short stretches that score far beyond the rest are set aside, and
    all is done again without them. Otherwise about a fifth of the video is held out of fitting
    (`hold_out`). Raises BadInput with too little video for either.
    """
    segments = segments_of(videos)
    folds = folds_of(segments, run.random(SALT))
    if len(set(folds)) < 2:
        seconds = sum(map(filmed_length, videos))
        raise BadInput(
            f"{seconds:.1f} s of normal video is too little to learn from and to "
            f"calibrate on; give at least {2 * SHORTEST_SEGMENT:.0f} s, better an hour"
        )
    if detector.quick_to_fit:
        found = score_by_folds(detector, segments, folds, run)
        if clean:
            return cleansed(found, detector, segments, folds, run)
        return found
    return score_held_out(detector, segments, run)


def segments_of(videos: Sequence[Video]) -> list[Video]:
    """The same video in segments of at most ten minutes; few videos are cut finer, but none under
    ten seconds.

    Lengths are filmed time, and a segment has at least FEWEST_FRAMES frames: a leap of the clock
    makes neither longer. Segments of one video follow each other without overlap.
    """
    wanted = LONGEST_SEGMENT
    if len(videos) < FEWEST_SEGMENTS:
        total = sum(map(filmed_length, videos))
        wanted = min(LONGEST_SEGMENT, max(SHORTEST_SEGMENT, total / FEWEST_SEGMENTS))
    segments: list[Video] = []
    for video in videos:
        segments += cut_into_segments(video, wanted)
    return segments


def cut_into_segments(video: Video, wanted: float) -> list[Video]:
    """Spans of one video, each of about `wanted` filmed seconds or a little less."""
    times = times_within(video)
    count = math.ceil(filmed_seconds(times) / wanted - 0.01)
    count = max(1, min(count, len(times) // FEWEST_FRAMES))
    if count == 1:
        return [video]
    first = np.ceil(np.arange(1, count) * len(times) / count).astype(int)
    start, end = video.span or (0.0, float(times[-1]) + usual_step(times))
    edges = [start, *times[first].tolist(), end]
    return [replace(video, span=span) for span in pairwise(edges)]


def group_of(video: Video) -> str:
    """The recording that a video was cut from; the video itself where nothing else is known."""
    if video.group is not None:
        return video.group
    clip = CLIP_OF_GROUP.match(video.source.stem)
    if clip is not None:
        return f"{video.label}/{clip[1]}"
    return str(video.source)


def folds_of(segments: Sequence[Video], random: np.random.Generator) -> list[int]:
    """The fold of each segment: at most MOST_FOLDS, numbered from 0 without a gap.

    A recording is in one fold. Recordings with classes are dealt to the folds class by class, in
    random order; without classes those that follow each other share a fold, as they may be alike.
    Fewer than FEWEST_GROUPS recordings are left out by segments, in order.
    """
    by_class = groups_by_class(segments)
    groups = list(dict.fromkeys(map(group_of, segments)))
    if len(groups) < FEWEST_GROUPS:
        return in_a_row(len(segments))
    folds = in_a_row(len(groups))
    if len(by_class) > 1:
        groups = []
        for names in by_class.values():
            groups += shuffled(names, random)
        folds = (np.arange(len(groups)) % min(MOST_FOLDS, len(groups))).tolist()
    fold_of_group = dict(zip(groups, folds, strict=True))
    return [fold_of_group[group_of(segment)] for segment in segments]


def in_a_row(things: int) -> list[int]:
    """The fold of each of so many things: those that follow each other share one."""
    count = min(MOST_FOLDS, things)
    folds: list[int] = (np.arange(things) * count // things).tolist()
    return folds


def hold_out(
    segments: Sequence[Video], random: np.random.Generator
) -> tuple[list[Video], list[Video]]:
    """Segments to learn from, and about a fifth of them to calibrate on, drawn at random.

    Whole recordings are drawn, from each class its share; the last recording of a class is never
    taken. Fewer than FEWEST_GROUPS recordings are held out as segments that follow each other, so
    that few of them lie next to what is learned from.
    """
    by_class = groups_by_class(segments)
    if sum(map(len, by_class.values())) < FEWEST_GROUPS:
        count = max(1, round(HELD_OUT_SHARE * len(segments)))
        start = int(random.integers(len(segments) - count + 1))
        end = start + count
        return [*segments[:start], *segments[end:]], list(segments[start:end])
    chosen: set[str] = set()
    for label, count in recordings_to_hold_out(by_class, random).items():
        chosen.update(shuffled(by_class[label], random)[:count])
    learned: list[Video] = []
    held_out: list[Video] = []
    for segment in segments:
        if group_of(segment) in chosen:
            held_out.append(segment)
        else:
            learned.append(segment)
    return learned, held_out


def groups_by_class(videos: Sequence[Video]) -> dict[str, list[str]]:
    """The recordings of each class, in order; a recording that holds several counts for the first
    of them.
    """
    found: dict[str, list[str]] = defaultdict(list)
    known: set[str] = set()
    for video in videos:
        group = group_of(video)
        if group not in known:
            known.add(group)
            found[video.label or ""].append(group)
    return dict(found)


def refit_each_fold(
    detector: Detector, segments: Sequence[Video], folds: Sequence[int], run: Run
) -> Iterator[Scores]:
    """Unsmoothed scores of each segment by a fresh detector fitted on the segments of all other
    folds.
    """
    fitted: dict[int, Detector] = {}
    for segment, fold in zip(segments, folds, strict=True):
        if fold not in fitted:
            other = detector.fresh()
            other.fit(segments_outside(segments, folds, fold), run)
            fitted = {fold: other}
        yield concatenate(score_video_unsmoothed(fitted[fold], segment), segment.name)


def segments_outside(segments: Sequence[Video], folds: Sequence[int], fold: int) -> list[Video]:
    """The segments of all other folds."""
    outside = np.asarray(folds) != fold
    return list(compress(segments, outside))


def score_video_unsmoothed(detector: Detector, video: Video) -> Iterator[Scores]:
    """Raw scores of a video or segment, batch by batch, without maps; nothing before the segment is
    looked at.
    """
    for scores in score_video(detector, video, half_life=0.0, warm_up=False):
        yield values_of(scores)


def filmed_length(video: Video) -> float:
    """Seconds that were filmed within a video's span."""
    return filmed_seconds(times_within(video))


def score_by_folds(
    detector: Detector, segments: Sequence[Video], folds: Sequence[int], run: Run
) -> HeldOutScores:
    """Fit on everything; score each fold by a detector fitted without it."""
    detector.fit(segments, run)
    return leave_out(detector, segments, folds, run)


def cleansed(
    found: HeldOutScores,
    detector: Detector,
    segments: Sequence[Video],
    folds: Sequence[int],
    run: Run,
) -> HeldOutScores:
    """The same without what is far beyond the rest; as it was where nothing is."""
    aside = find_unusual(found.scores)
    if not aside:
        return found
    parts: list[Video] = []
    folds_of_parts: list[int] = []
    for segment, fold in zip(segments, folds, strict=True):
        rest = parts_without(segment, aside)
        parts += rest
        folds_of_parts += [fold] * len(rest)
    if len(set(folds_of_parts)) < 2:
        return found
    detector.fit_part(parts, run)
    again = leave_out(detector, parts, folds_of_parts, run)
    return replace(again, set_aside=tuple(aside))


def leave_out(
    detector: Detector, segments: Sequence[Video], folds: Sequence[int], run: Run
) -> HeldOutScores:
    """Score each fold by a detector fitted without it; `detector` is fitted on all of them."""
    if isinstance(detector, FastFolds):
        found = detector.score_folds(segments, folds, run)
    else:
        found = refit_each_fold(detector, segments, folds, run)
    raw = [values_of(one) for one in found]
    smoothed = [concatenate(smooth([one], detector.half_life)) for one in raw]
    unit = "parts"
    if len(set(map(group_of, segments))) >= FEWEST_GROUPS:
        unit = "videos"
    how = f"leave one out, {len(set(folds))} folds of {unit}"
    return HeldOutScores(smoothed, raw, how, distinct_names(segments), ())


def score_held_out(detector: Detector, segments: Sequence[Video], run: Run) -> HeldOutScores:
    """Fit on about four fifths and score the rest."""
    learned, rest = hold_out(segments, run.random(SALT))
    detector.fit(learned, run)
    scores = []
    raw = []
    for segment in rest:
        unsmoothed: list[Scores] = []
        batches = score_video(detector, segment, raw=unsmoothed)
        scores.append(concatenate(map(values_of, batches), segment.name))
        raw.append(concatenate(unsmoothed, segment.name))
    names = distinct_names(rest)
    how = f"held-out share, {len(rest)} of {len(segments)} parts"
    if len(set(map(group_of, segments))) >= FEWEST_GROUPS:
        drawn = "by source"
        if len(groups_by_class(segments)) > 1:
            drawn = "by class and source"
        how += f": {len(names)} of {len(distinct_names(segments))} videos, drawn {drawn}"
        run.notes["held_out"] = list(names)
    return HeldOutScores(scores, raw, how, distinct_names(learned), names)


def recordings_to_hold_out(
    by_class: dict[str, list[str]], random: np.random.Generator
) -> dict[str, int]:
    """How many recordings of each class to hold out: about HELD_OUT_SHARE of all, at least one, never all of
    a class.

    What rounding down leaves over goes to the classes that it wronged most, those alike in random
    order.
    """
    counts = {label: len(groups) for label, groups in by_class.items()}
    total = max(1, round(HELD_OUT_SHARE * sum(counts.values())))
    spared = 1
    if max(counts.values()) == 1:  # one recording a class: some classes cannot be learned from
        spared = 0
    most: dict[str, int] = {}
    shares: dict[str, int] = {}
    lacking: dict[str, float] = {}
    for label, count in counts.items():
        most[label] = count - spared
        shares[label] = min(int(HELD_OUT_SHARE * count), most[label])
        lacking[label] = HELD_OUT_SHARE * count - shares[label]
    order = sorted(shuffled(list(by_class), random), key=lambda label: -lacking[label])
    while sum(shares.values()) < min(total, sum(most.values())):
        for label in order:
            if shares[label] < most[label] and sum(shares.values()) < total:
                shares[label] += 1
    return shares


def shuffled(names: Sequence[str], random: np.random.Generator) -> list[str]:
    """The names in random order."""
    return [names[k] for k in random.permutation(len(names))]


def distinct_names(segments: Sequence[Video]) -> tuple[str, ...]:
    """The names of the videos that segments were cut from, each once."""
    return tuple(dict.fromkeys(segment.name for segment in segments))


def times_within(video: Video) -> Floats:
    """The times of a video's frames within its span, seconds."""
    times = times_of(video)
    return np.asarray(times[indices_within(video, times)])
