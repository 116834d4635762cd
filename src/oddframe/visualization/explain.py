"""Why an event is odd, for methods that remember normal examples: a sentence and a picture of the nearest one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from oddframe.errors import BadVideo
from oddframe.types import Clips, ClipSpec, Event, Example
from oddframe.video.clips import clips_of
from oddframe.video.reader import frames_at, read, video_of
from oddframe.visualization.overlay import outline
from oddframe.visualization.palette import RARITY
from oddframe.visualization.report_data import Reason
from oddframe.visualization.thumbnails import save
from oddframe.visualization.timeline import Timeline, file_stem


@runtime_checkable
class Remembers(Protocol):
    """A method that can say what normal thing an odd one is nearest to."""

    @property
    def spec(self) -> ClipSpec: ...

    def nearest_normal(self, clips: Clips) -> Example: ...


def reasons_for(
    detector: object, timelines: Sequence[Timeline], folder: Path
) -> Mapping[Event, Reason]:
    """A reason for each event, where the method can give one. Pictures go into `folder`."""
    if not isinstance(detector, Remembers):
        return {}
    reasons = {}
    for timeline in timelines:
        for n, event in enumerate(timeline.events, start=1):
            clips = clip_at(detector.spec, timeline, event.peak_seconds)
            if clips is None:
                continue
            example = detector.nearest_normal(clips)
            picture = folder / f"{file_stem(timeline.video.name)}-{n:03d}-normal.jpg"
            shown = None
            if draw_example(picture, example):
                shown = picture
            reasons[event] = Reason(example.text, shown, example.example_box)
    return reasons


def clip_at(spec: ClipSpec, timeline: Timeline, seconds: float) -> Clips | None:
    """The clips up to the one that speaks for a moment, cut exactly as in scoring."""
    video = timeline.video
    rate = spec.fps or video.fps or 1 / timeline.step
    begin = max(timeline.start, seconds - spec.span / rate - 1.0)
    near = replace(video, span=(begin, seconds + (spec.lookahead + 0.5) / rate))
    last = None
    try:
        for clips in clips_of(read(near, spec), spec, video.name):
            last = clips
    except BadVideo:
        return None
    return last


def draw_example(path: Path, example: Example) -> bool:
    """Write the frame of the nearest normal example with its box; False where its video is no longer there."""
    if example.source is None or example.example_box is None:
        return False
    try:
        spec = ClipSpec(length=1, size=640, colour="rgb")
        picture = np.array(frames_at(video_of(example.source), spec, [example.frame])[0])
    except BadVideo:
        return False
    outline(picture, example.example_box, RARITY)
    save(path, picture)
    return True
