"""Why an event is odd, for methods that remember normal examples: a sentence and a picture of the
nearest one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from oddframe.errors import BadVideo
from oddframe.types import Clips, ClipSpec, Event, Example, Video
from oddframe.video.clips import clips_of
from oddframe.video.ignored import for_people
from oddframe.video.reader import read_frames, read_spans, video_of
from oddframe.visualization.overlay import outline
from oddframe.visualization.palette import RARITY
from oddframe.visualization.report_data import Reason
from oddframe.visualization.thumbnails import PREVIEW, save_picture
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
    reasons: dict[Event, Reason] = {}
    for timeline in timelines:
        examples: dict[Path, tuple[Event, Example]] = {}
        moments = [event.peak_seconds for event in timeline.events]
        for n, clips in enumerate(clips_at(detector.spec, timeline, moments)):
            if clips is not None:
                picture = folder / f"{file_stem(timeline.video.name)}-{n + 1:03d}-normal.jpg"
                examples[picture] = (timeline.events[n], detector.nearest_normal(clips))
        drawn = draw_examples(examples, timeline.video)
        for picture, (event, example) in examples.items():
            shown = picture if picture in drawn else None
            reasons[event] = Reason(example.text, shown, example.example_box)
    return reasons


def clips_at(
    spec: ClipSpec, timeline: Timeline, moments: Sequence[float]
) -> Iterator[Clips | None]:
    """For each moment the clips up to the one of which it is the target, cut exactly as in scoring.

    None where they cannot be read. The video is opened once.
    """
    video = timeline.video
    rate = spec.fps or video.fps or 1 / timeline.step
    span = spec.span / rate + 1.0
    begin = 0.0
    if video.span:
        begin, _ = video.span
    spans = []
    for seconds in moments:
        spans.append((max(begin, seconds - span), seconds + (spec.lookahead + 0.5) / rate))
    answered = 0
    try:
        for frames in read_spans(video, spec, spans):
            last = None
            for clips in clips_of(frames, spec, video.name):
                last = clips
            answered += 1
            yield last
    except BadVideo:
        for _ in spans[answered:]:
            yield None


def draw_examples(examples: Mapping[Path, tuple[Event, Example]], like: Video) -> set[Path]:
    """Draw the normal examples, each training video being opened once, at the grey levels and with
    the ignored area of a video that was scored. Returns the pictures that were written.

    Those of training videos that are no longer there to be shown are left out.
    """
    by_source: dict[Path, list[Path]] = {}
    for picture, (_, example) in examples.items():
        if example.source is not None and example.example_box is not None:
            by_source.setdefault(example.source, []).append(picture)
    drawn = set()
    for source, pictures in by_source.items():
        wanted = [examples[picture][1].frame for picture in pictures]
        try:
            learned = replace(video_of(source), levels=like.levels, ignored=like.ignored)
            video = for_people(learned)
            frames = read_frames(video, PREVIEW, wanted)
        except BadVideo:
            continue
        for picture, index in zip(pictures, wanted, strict=True):
            box = examples[picture][1].example_box
            if index in frames and box is not None:
                pixels = frames[index].copy()
                outline(pixels, box, RARITY)
                save_picture(picture, pixels)
                drawn.add(picture)
    return drawn
