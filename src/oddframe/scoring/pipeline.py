"""Video to scores: frames, clips, the detector, a causal running mean. A file and a camera walk this one path."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from oddframe.detector import Detector
from oddframe.types import Frame, Scores, Video
from oddframe.video.clips import clips_of
from oddframe.video.prefetch import prefetch
from oddframe.video.reader import read


def score_video(
    detector: Detector,
    video: Video,
    *,
    batch: int = 32,
    damage: list[str] | None = None,
    smoothing: float | None = None,
    seen: Callable[[int], None] = lambda _frames: None,
) -> Iterator[Scores]:
    """Scores of a video, batch by batch, in bounded memory, smoothed as the detector asks unless told otherwise.

    Decoding runs ahead in a thread of its own.

    `damage` receives what could not be read; `seen` is called with the source index of the latest frame scored.
    Raises BadVideo when nothing can be read.
    """
    frames = prefetch(read(video, detector.spec, damage), depth=2 * batch)
    weight = detector.smoothing if smoothing is None else smoothing
    for scores in smooth(score_frames(detector, frames, video.name, batch), weight):
        seen(int(scores.frame[-1]))
        yield scores


def score_frames(
    detector: Detector, frames: Iterator[Frame], video: str, batch: int = 32
) -> Iterator[Scores]:
    """Scores as the detector gives them; frames of which it says nothing (NaN) are left out."""
    for clips in clips_of(frames, detector.spec, video, batch):
        scores = detector.score(clips)
        if len(scores := _spoken(scores)):
            yield scores


def smooth(stream: Iterable[Scores], weight: float) -> Iterator[Scores]:
    """A causal running mean: `weight` of the past, `1 - weight` of the present, for value, parts and map alike."""
    past: np.ndarray | None = None
    past_map: np.ndarray | None = None
    for scores in stream:
        rows = np.array([scores.value, *scores.components.values()], np.float64)  # (1 + parts, N)
        heat = None if scores.map is None else np.array(scores.map, np.float32)
        for t in range(len(scores)):
            if past is not None:
                rows[:, t] = weight * past + (1 - weight) * rows[:, t]
            past = rows[:, t]
            if heat is not None:
                if past_map is not None and weight:
                    heat[t] = weight * past_map + (1 - weight) * heat[t]
                past_map = heat[t]
        yield replace(
            scores,
            value=rows[0],
            map=heat,
            components=dict(zip(scores.components, rows[1:], strict=True)),
        )


def concatenate(stream: Iterable[Scores], video: str = "") -> Scores:
    """One Scores out of many batches of one video."""
    parts = list(stream)
    if not parts:
        return Scores(video, np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    maps = [part.map for part in parts if part.map is not None]
    boxes = [box for part in parts for box in part.boxes or ()]
    return replace(
        parts[0],
        frame=np.concatenate([part.frame for part in parts]),
        seconds=np.concatenate([part.seconds for part in parts]),
        value=np.concatenate([part.value for part in parts]),
        map=np.concatenate(maps) if maps else None,
        boxes=tuple(boxes) if parts[0].boxes is not None else None,
        components={
            name: np.concatenate([part.components[name] for part in parts])
            for name in parts[0].components
        },
    )


def _spoken(scores: Scores) -> Scores:
    keep = ~np.isnan(scores.value)
    if keep.all():
        return scores
    return replace(
        scores,
        frame=scores.frame[keep],
        seconds=scores.seconds[keep],
        value=scores.value[keep],
        map=None if scores.map is None else scores.map[keep],
        boxes=None
        if scores.boxes is None
        else tuple(b for b, k in zip(scores.boxes, keep, strict=True) if k),
        components={name: part[keep] for name, part in scores.components.items()},
    )
