"""Events held against true segments: which are right, which segments were detected, how late.

E events and S true segments of one video, each [start, end) in seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from oddframe.evaluation.evaluated_video import EvaluatedVideo, event_spans, truth_frames
from oddframe.scoring.calibration import Threshold
from oddframe.scoring.events import frame_ends

ONE_IN_A_HUNDRED = 2.0  # the rarity that one normal frame in a hundred reaches


@dataclass(frozen=True)
class KindDetection:
    """How many segments of one kind of anomaly there are, and how many an event overlaps."""

    stretches: int = 0
    found: int = 0


def detection_by_kind(judged: Sequence[EvaluatedVideo]) -> dict[str, KindDetection]:
    """For each kind of anomaly that the truth names, its segments and how many of them were
    detected.
    """
    counts: dict[str, KindDetection] = {}
    for video in judged:
        for name, start, end in segments_by_kind(video):
            hit = raises_event(video, start, end)
            before = counts.get(name, KindDetection())
            counts[name] = KindDetection(before.stretches + 1, before.found + int(hit))
    return counts


def raises_event(video: EvaluatedVideo, start: float, end: float) -> bool:
    """Whether an event overlaps [start, end) seconds."""
    starts, ends = event_spans(video.events).T
    return bool(((starts < end) & (ends > start)).any())


def segments_by_kind(video: EvaluatedVideo) -> list[tuple[str, float, float]]:
    """Each run of anomalous frames of one kind: the kind, start and end in seconds."""
    if video.truth.kind is None:
        return []
    kind = np.where(video.truth.frame, video.truth.kind, "")
    ends = frame_ends(video.seconds)
    first = np.flatnonzero(np.append(True, kind[1:] != kind[:-1]))
    last = np.append(first[1:], len(kind)) - 1
    found = []
    for a, b in zip(first, last, strict=True):
        if kind[a]:
            found.append((str(kind[a]), float(video.seconds[a]), float(ends[b])))
    return found


@dataclass(frozen=True)
class FlaggedShare:
    """Shares of the normal test frames; None without normal frames."""

    at_threshold: float | None
    asked_for_1_percent: float | None  # above the rarity that one in a hundred should reach


def flagged_normal_frames(judged: Sequence[EvaluatedVideo], threshold: Threshold) -> FlaggedShare:
    """How many normal test frames reach the threshold, and the rarity of one frame in a hundred."""
    value = np.concatenate([one.value for one in judged])
    normal = value[~np.concatenate(truth_frames(judged))]
    if not len(normal):
        return FlaggedShare(None, None)
    at_threshold = (normal >= threshold.rarity).mean()
    one_percent = (normal >= ONE_IN_A_HUNDRED).mean()
    return FlaggedShare(float(at_threshold), float(one_percent))
