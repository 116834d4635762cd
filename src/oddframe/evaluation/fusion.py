"""Several streams of one recording, such as two cameras on one driver: what each says, added up.

Detectors of different streams count in one unit, rarity, so their mean needs no weights and no
statistic of the test. T frames in a recording.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from oddframe.errors import BadInput
from oddframe.evaluation.evaluated_video import EvaluatedVideo, rankings
from oddframe.evaluation.metrics import min_max
from oddframe.progress import logger
from oddframe.types import Floats


def fused(streams: Mapping[str, Mapping[str, EvaluatedVideo]]) -> list[EvaluatedVideo]:
    """Each recording as judged by all streams that have it: the mean of their rarities, frame by
    frame.

    `streams` holds, by the stream's name, its recordings by theirs. A frame that only some streams
    have is judged by those; a recording that some lack by the others, and a line says so. Raises
    BadInput when streams share nothing.
    """
    by_name: dict[str, dict[str, EvaluatedVideo]] = {}  # a recording's videos, by stream
    for stream, recordings in streams.items():
        for name, video in recordings.items():
            by_name.setdefault(name, {})[stream] = video
    if not any(len(parts) > 1 for parts in by_name.values()):
        raise BadInput(
            f"the streams {', '.join(streams)} have no recording in common, "
            "so there is nothing to fuse"
        )
    fused_videos = []
    for name, parts in by_name.items():
        lacking = [stream for stream in streams if stream not in parts]
        if lacking:
            logger.warning(
                f"note: {name} lacks {', '.join(lacking)}; it is judged by the other streams"
            )
        fused_videos.append(fuse_recording(name, list(parts.values())))
    return fused_videos


def fuse_recording(name: str, parts: Sequence[EvaluatedVideo]) -> EvaluatedVideo:
    """One recording as several streams judge it; truth and times are those of the longest."""
    longest = max(parts, key=lambda part: len(part.value))
    T = len(longest.value)
    return EvaluatedVideo(
        name,
        value=mean_of_present([part.value for part in parts], T),
        frame_rank=mean_of_present(rankings(parts), T),
        raw=mean_of_present([min_max(part.raw) for part in parts], T),
        truth=longest.truth,
        seconds=longest.seconds,
    )


def mean_of_present(values: Sequence[Floats], frames: int) -> Floats:
    """(T,) mean over those that reach so far."""
    rows = np.full((len(values), frames), np.nan)
    for row, value in zip(rows, values, strict=True):
        row[: len(value)] = value
    return np.asarray(np.nanmean(rows, axis=0))
