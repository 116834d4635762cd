"""Unlabelled footage holds a little that is odd; learned from, its like would be normal.

Every stretch of normal video is scored by a detector that has not seen it. Short stretches that lie
far beyond the rest are set aside, and the detector is fitted again without them. The measure of far
is taken from frames that so little cannot spoil: at most MOST of all frames are odd, so the scores
between two quantiles below that say how normal scores fall off. F frames of all segments.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from oddframe.scoring.events import SLACK, frame_ends, segments
from oddframe.types import Floats, Scores, Video
from oddframe.video.filmed_time import usual_step
from oddframe.video.reader import times_of

MOST = 0.02  # share of the frames that is set aside at most, without what lies AROUND them
BODY, UPPER = 0.90, 0.97  # quantiles between which the fall of normal scores is read
TOGETHER = 1.0  # seconds of footage that count as one observation: frames in a row are alike
# times as far beyond the body as the highest of so many normal seconds is expected: chosen on
# simulated streets (benchmarks/contamination.py)
MARGIN = 3.5
RELEASE = 1.0  # the same for how long a stretch lasts
LEAST = 0.5  # seconds that a stretch lasts at least: a single loud frame is noise
AROUND = 0.5  # seconds before and after a stretch that are set aside with it
JOINED = 2.0  # seconds between two stretches under which they are one
FEWEST_FRAMES = 10  # of a part that is learned from


@dataclass(frozen=True)
class SetAside:
    """A stretch of a video that is not learned from."""

    video: str
    start: float  # seconds [start, end)
    end: float
    peak: float  # seconds of its highest score
    how_far: float  # beyond the body, as a multiple of what is expected of normal video once
    frames: int = 0  # that are far, without what is set aside around them

    def __str__(self) -> str:
        return f"{self.video} {self.start:.1f}–{self.end:.1f} s"


def find_unusual(held_out: Sequence[Scores], margin: float = MARGIN) -> list[SetAside]:
    """The stretches to set aside in order: the farthest, as many as hold MOST of the frames.

    `held_out` are smoothed scores of segments by detectors that had not seen them.
    """
    held_out = [scores for scores in held_out if len(scores) > 1]
    if not held_out:
        return []
    values = np.concatenate([scores.value for scores in held_out])
    seconds = sum(len(scores) * usual_step(scores.seconds) for scores in held_out)
    body, once = expected_highest(values, seconds)
    if not once > body:  # scores that do not vary say nothing
        return []
    found = []
    for scores in held_out:
        far = (scores.value - body) / (once - body)
        found += stretches_of(scores, far, margin)
    return within_budget(found, MOST * len(values))


def expected_highest(values: Floats, seconds: float) -> tuple[float, float]:
    """The score at the quantile BODY, and the one that normal video of this length is expected to
    reach once, if scores fall off exponentially as they do between BODY and UPPER.
    """
    body, upper = np.quantile(values, [BODY, UPPER]).tolist()
    scale = (upper - body) / math.log((1 - BODY) / (1 - UPPER))
    observations = max(seconds / TOGETHER, 1 / (1 - BODY))
    return body, body + scale * math.log(observations * (1 - BODY) + math.e)


def stretches_of(scores: Scores, far: Floats, margin: float) -> list[SetAside]:
    """The stretches of one segment whose peak is beyond the margin."""
    ends = frame_ends(scores.seconds)
    found: list[SetAside] = []
    for start, end in segments(far >= min(RELEASE, margin)).tolist():
        peak = start + int(far[start:end].argmax())
        one = SetAside(
            scores.video,
            float(scores.seconds[start]) - AROUND,
            float(ends[end - 1]) + AROUND,
            float(scores.seconds[peak]),
            float(far[peak]),
            end - start,
        )
        if found and one.start - found[-1].end < JOINED - 2 * AROUND:
            before = found.pop()
            farther = max(before, one, key=lambda stretch: stretch.how_far)
            frames = before.frames + one.frames
            one = replace(farther, start=before.start, end=one.end, frames=frames)
        found.append(one)
    least = LEAST + 2 * AROUND - SLACK
    kept = [one for one in found if one.how_far >= margin and one.end - one.start >= least]
    return [replace(one, start=max(0.0, one.start)) for one in kept]


def within_budget(found: Sequence[SetAside], most: float) -> list[SetAside]:
    """The farthest of the stretches, those that together hold at most so many frames, in order."""
    chosen = []
    count = 0
    for one in sorted(found, key=lambda stretch: -stretch.how_far):
        if count + one.frames <= most:
            chosen.append(one)
            count += one.frames
    order = {one: k for k, one in enumerate(found)}
    return sorted(chosen, key=order.__getitem__)


def parts_without(segment: Video, aside: Sequence[SetAside]) -> list[Video]:
    """What is left of a segment, in parts of at least FEWEST_FRAMES frames."""
    times = times_of(segment)
    start, end = segment.span or (0.0, math.inf)
    inside = [one for one in aside if one.video == segment.name]
    inside = [one for one in inside if one.start < end and one.end > start]
    if not inside:
        return [segment]
    parts = []
    for one in sorted(inside, key=lambda stretch: stretch.start):
        parts.append((start, one.start))
        start = max(start, one.end)
    parts.append((start, min(end, float(times[-1]) + usual_step(times))))
    kept = []
    for begins, ends in parts:
        frames = int(((times >= begins) & (times < ends)).sum())
        if frames >= FEWEST_FRAMES:
            kept.append(replace(segment, span=(begins, ends)))
    return kept
