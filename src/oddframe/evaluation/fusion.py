"""Several streams of one recording, such as two cameras on one driver: what each says, added up.

Detectors of different streams count in one unit, rarity, so their mean needs no weights and no
statistic of the test. T frames in a recording.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from oddframe.errors import BadInput
from oddframe.evaluation.evaluated_video import EvaluatedVideo
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
    names = list(dict.fromkeys(name for recordings in streams.values() for name in recordings))
    if not any(sum(name in recordings for recordings in streams.values()) > 1 for name in names):
        raise BadInput(
            f"the streams {', '.join(streams)} have no recording in common, "
            "so there is nothing to fuse"
        )
    both = []
    for name in names:
        lacking = [stream for stream, recordings in streams.items() if name not in recordings]
        if lacking:
            logger.warning(
                f"note: {name} lacks {', '.join(lacking)}; it is judged by the other streams"
            )
        both.append(
            _fused(
                name, [recordings[name] for recordings in streams.values() if name in recordings]
            )
        )
    return both


def _fused(name: str, parts: Sequence[EvaluatedVideo]) -> EvaluatedVideo:
    longest = max(parts, key=lambda part: len(part.value))
    T = len(longest.value)
    return EvaluatedVideo(
        name,
        value=_mean([part.value for part in parts], T),
        frame_rank=_mean([part.ranking for part in parts], T),
        raw=_mean([min_max(part.raw) for part in parts], T),
        truth=longest.truth,
        seconds=longest.seconds,
    )


def _mean(values: Sequence[Floats], frames: int) -> Floats:
    """(T,) mean over those that reach so far."""
    rows = np.full((len(values), frames), np.nan)
    for row, value in zip(rows, values, strict=True):
        row[: len(value)] = value
    return np.asarray(np.nanmean(rows, axis=0))
