"""Which frames of a video make up its clips, without decoding: what `read` and `clips_of` give, as
indices.

T frames in a clip, N clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from oddframe.types import ClipSpec, Ints, Video
from oddframe.video.clips import resampled
from oddframe.video.reader import thinned, times_of

DRAWS = 50  # tries for one random clip before the videos are called unreadable


@dataclass(frozen=True)
class Skipped:
    """A video that gives no clip, and why."""

    video: str
    reason: str


def reasons_of(skipped: Sequence[Skipped], most: int) -> str:
    """Why the first of some videos were left out, for a message."""
    return "; ".join(f"{one.video}: {one.reason}" for one in skipped[:most])


def frames_at_rate(video: Video, spec: ClipSpec) -> Ints:
    """Indices, in the source, of the frames that `read` gives: those in the video's span, at the
    spec's rate.
    """
    seconds = times_of(video)
    start, end = video.span or (0.0, np.inf)
    first, last = np.searchsorted(seconds, [start, end])
    kept = thinned(seconds[first:last], spec.fps)
    return np.asarray(kept + first)


def clip_windows(video: Video, spec: ClipSpec) -> Ints:
    """(N, T) indices, in the source, of the frames of each clip that `clips_of(read(video, spec),
    spec, …)` gives.

    Clips made up at a stream's start are not among them.
    """
    frames = frames_at_rate(video, spec)
    if len(frames) < spec.span:
        if spec.resample_short and len(frames):
            only = frames[resampled(len(frames), spec.length)]
            return np.array(only[None], np.int64)
        return np.zeros((0, spec.length), np.int64)
    windows = sliding_window_view(frames, spec.span)
    return np.array(windows[:: spec.hop, :: spec.stride], np.int64)
