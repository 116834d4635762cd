"""Video to scores: frames, a stream, smoothing. A file and a camera walk this one path."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import compress, islice
from typing import Any

import numpy as np

from oddframe.detector import Detector
from oddframe.scoring.smoothing import smooth
from oddframe.stream import Stream, Streaming
from oddframe.types import Bools, Clips, Floats, Frame, Scores, Video
from oddframe.video.clips import ClipCutter
from oddframe.video.prefetch import prefetch
from oddframe.video.reader import read


def score_video(
    detector: Detector,
    video: Video,
    *,
    batch: int = 32,
    damage: list[str] | None = None,
    half_life: float | None = None,
    warm_up: bool = True,
    seen: Callable[[int], None] = lambda _frames: None,
    raw: list[Scores] | None = None,
) -> Iterator[Scores]:
    """Scores of a video, batch by batch, in bounded memory.

    They are smoothed with a half-life in seconds, the detector's own unless another is given.
    Decoding runs ahead in a thread of its own. A span of a video begins warm, as the spec asks,
    unless `warm_up` is False.

    `damage` receives what could not be read; `seen` is called with the source index of the latest
    frame scored; `raw` receives the scores before smoothing, without maps. Raises BadVideo when
    nothing can be read.
    """
    spec = detector.spec
    begins = 0.0
    if video.span:
        begins, ends = video.span
        if warm_up and spec.warm_up:
            video = replace(video, span=(max(0.0, begins - spec.warm_up), ends))
    frames = prefetch(read(video, spec, damage), depth=2 * batch)
    if half_life is None:
        half_life = detector.half_life
    before: list[Scores] = []
    stream = passing(score_frames(detector, frames, video.name, batch), before)
    for scores in smooth(stream, half_life):
        inside = scores.seconds >= begins
        unsmoothed = before.pop()
        if raw is not None:
            raw.append(select(values_of(unsmoothed), inside))
        kept = select(scores, inside)
        if len(kept):
            seen(int(kept.frame[-1]))
            yield kept


def passing(stream: Iterable[Scores], seen: list[Scores]) -> Iterator[Scores]:
    """The same stream; `seen` is given each batch before it is passed on."""
    for scores in stream:
        seen.append(scores)
        yield scores


def score_frames(
    detector: Detector, frames: Iterator[Frame], video: str, batch: int = 32
) -> Iterator[Scores]:
    """Scores as the detector gives them; frames of which it says nothing (NaN) are left out."""
    stream = open_stream(detector, video, batch)
    while group := list(islice(frames, batch)):
        scores = stream.push_many(group)
        if scores is not None and len(scores):
            yield scores
    scores = stream.finish()
    if scores is not None and len(scores):
        yield scores


def open_stream(detector: Detector, video: str, batch: int = 1) -> Stream:
    """A stream that scores frame by frame: the method's own where it has one, or of clips, `batch`
    at a time.
    """
    if isinstance(detector, Streaming):
        return detector.stream(video)
    return ClipStream(detector, video, batch)


class ClipStream(Stream):
    """Cuts clips as the detector's spec says and has them scored; what is NaN is left out."""

    def __init__(self, detector: Detector, video: str, batch: int = 1) -> None:
        self.detector = detector
        self.cutter = ClipCutter(detector.spec, video, batch)

    def push_many(self, frames: Sequence[Frame]) -> Scores | None:
        batches = []
        for frame in frames:
            batches += self.cutter.push(frame)
        return self.score(batches)

    def finish(self) -> Scores | None:
        return self.score(self.cutter.finish())

    def score(self, batches: Sequence[Clips]) -> Scores | None:
        """The scores of batches of clips, as one; None of none."""
        scores = [without_nan(self.detector.score(clips)) for clips in batches]
        if not scores:
            return None
        if len(scores) == 1:
            return scores[0]
        return concatenate(scores)


def concatenate(stream: Iterable[Scores], video: str = "") -> Scores:
    """One Scores out of many batches of one video."""
    parts = list(stream)
    if not parts:
        return Scores(video, np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    maps: list[Floats] = []
    boxes: list[Floats] = []
    for part in parts:
        if part.map is not None:
            maps.append(part.map)
        boxes += part.boxes or ()
    components = {}
    for name in parts[0].components:
        components[name] = np.concatenate([part.components[name] for part in parts])

    def column(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])

    joined = Scores(
        parts[0].video, column("frame"), column("seconds"), column("value"), components=components
    )
    if maps:
        joined = replace(joined, map=np.concatenate(maps))
    if parts[0].boxes is not None:
        joined = replace(joined, boxes=tuple(boxes))
    return joined


def without_nan(scores: Scores) -> Scores:
    """The scores that are numbers."""
    return select(scores, ~np.isnan(scores.value))


def values_of(scores: Scores) -> Scores:
    """The scores alone: maps of all normal video would fill the memory."""
    return replace(scores, map=None, boxes=None, components={})


def slice_scores(scores: Scores, start: int, end: int) -> Scores:
    """The scores of frames [start, end) of N, by position; views of the same arrays."""
    part = slice(start, end)
    boxes = None
    if scores.boxes is not None:
        boxes = scores.boxes[part]
    return picked(scores, part, boxes)


def select(scores: Scores, keep: Bools) -> Scores:
    """The scores of those of N frames for which `keep`, (N,), is True."""
    if keep.all():
        return scores
    boxes = None
    if scores.boxes is not None:
        boxes = tuple(compress(scores.boxes, keep))
    return picked(scores, keep, boxes)


def picked(scores: Scores, which: slice | Bools, boxes: tuple[Floats, ...] | None) -> Scores:
    """The scores of some of N frames, and the boxes of these."""
    heat = None
    if scores.map is not None:
        heat = scores.map[which]
    return replace(
        scores,
        frame=scores.frame[which],
        seconds=scores.seconds[which],
        value=scores.value[which],
        map=heat,
        boxes=boxes,
        components={name: values[which] for name, values in scores.components.items()},
    )
