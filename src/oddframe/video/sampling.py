"""Which frames of a video make up its clips, without decoding: what `read` and `clips_of` give, as
indices.

T frames in a clip, N clips.
"""

from dataclasses import dataclass

import numpy as np

from oddframe.types import ClipSpec, Ints, Video
from oddframe.video.clips import resampled
from oddframe.video.reader import thinned, times_of

DRAWS = 50  # tries for one random clip before the videos are called unreadable


@dataclass(frozen=True)
class Skipped:
    """A video that gives no clip, and why."""

    video: str
    reason: str


def frames_of(video: Video, spec: ClipSpec) -> Ints:
    """Indices, in the source, of the frames that `read` gives: those in the video's span, at the
    spec's rate.
    """
    seconds = times_of(video)
    start, end = video.span or (0.0, np.inf)
    first, last = np.searchsorted(seconds, [start, end])
    return np.asarray(thinned(seconds[first:last], spec.fps) + first)


def clip_windows(video: Video, spec: ClipSpec) -> Ints:
    """(N, T) indices, in the source, of the frames of each clip that `clips_of(read(video, spec),
    spec, …)` gives.

    Clips made up at a stream's start are not among them.
    """
    frames = frames_of(video, spec)
    if len(frames) < spec.span:
        if spec.resample_short and len(frames):
            return np.array(frames[resampled(len(frames), spec.length)][None], np.int64)
        return np.zeros((0, spec.length), np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(frames, spec.span)
    return np.array(windows[:: spec.hop, :: spec.stride], np.int64)
