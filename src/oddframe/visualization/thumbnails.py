"""What an event leaves behind: a thumbnail of its peak, and its own short video."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np

from oddframe.errors import BadInput, BadVideo
from oddframe.files import aside
from oddframe.types import Bytes, ClipSpec, Event, Frame, Video
from oddframe.video.ignored import for_people
from oddframe.video.reader import facts_of, read, read_frames, read_spans
from oddframe.video.writer import VideoWriter, video_writer
from oddframe.visualization.overlay import outline
from oddframe.visualization.timeline import Timeline, file_stem

ENLARGE = 240  # pixels: a thumbnail is at least that wide
ENLARGED_AT_MOST = 2160  # pixels of its longer side
PREVIEW = ClipSpec(length=1, size=640, colour="rgb")


def write_event_pictures(
    folder: Path, timeline: Timeline, *, clips: bool = True, before: float = 2.0, after: float = 2.0
) -> list[Event]:
    """The events with `picture` and, with `clips`, `clip` filled in; both in `folder`, named by
    video and number.

    The video is opened once, and only what is shown of it is decoded. Raises BadVideo, and BadInput
    where the source has no frame of an event.
    """
    with EventPictures(folder, timeline, clips=clips, before=before, after=after) as pictures:
        if clips:
            for frames in read_spans(for_people(timeline.video), PREVIEW, pictures.spans()):
                for frame in frames:
                    pictures.take(frame)
        else:
            video = for_people(timeline.video)
            for index, pixels in read_frames(video, PREVIEW, pictures.peaks).items():
                pictures.take(Frame(index, 0.0, pixels))
    return pictures.events


class EventPictures:
    """Writes thumbnails and clips of a video's events out of frames that come in order. Use it in a
    `with`.

    `events` are complete after the block: a thumbnail whose frame did not come is looked for in the
    source.
    """

    def __init__(
        self,
        folder: Path,
        timeline: Timeline,
        *,
        clips: bool = True,
        before: float = 2.0,
        after: float = 2.0,
    ) -> None:
        self.timeline = timeline
        self.clips: list[EventClip] = []
        self.events: list[Event] = []
        self.peaks: list[int] = []  # index of the frame that each thumbnail shows
        self.missing: set[int] = set()  # events whose thumbnail is not written
        for number, event in enumerate(timeline.events):
            stem = f"{file_stem(timeline.video.name)}-{number + 1:03d}"
            clip = folder / f"{stem}.mp4" if clips else None
            self.events.append(replace(event, picture=folder / f"{stem}.jpg", clip=clip))
            self.peaks.append(peak_index(timeline, event))
            self.missing.add(number)
            if clip is not None:
                self.clips.append(EventClip(clip, timeline.video, event, before, after))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        for clip in self.clips:
            clip.close(kind, *rest)
        if kind is None:
            for number in sorted(self.missing):
                event = self.events[number]
                assert event.picture is not None
                thumbnail(event.picture, self.timeline, event)

    def spans(self) -> list[tuple[float, float]]:
        """The seconds [start, end) that clips show, in order, without overlap."""
        spans: list[tuple[float, float]] = []
        for start, end in sorted(clip.span for clip in self.clips):
            if spans and start <= spans[-1][1]:
                spans[-1] = (spans[-1][0], max(spans[-1][1], end))
            else:
                spans.append((start, end))
        return spans

    def take(self, frame: Frame) -> None:
        """Write what is to be written of a frame, which is in RGB and as wide as PREVIEW asks."""
        for clip in self.clips:
            clip.take(frame)
        for number in sorted(self.missing):
            if self.peaks[number] == frame.index:
                event = self.events[number]
                assert event.picture is not None
                save_thumbnail(event.picture, frame.pixels, event)
                self.missing.discard(number)


class EventClip:
    """An event as a video of its own, with the seconds before and after it that the source has."""

    def __init__(self, path: Path, video: Video, event: Event, before: float, after: float) -> None:
        begin, end = video.span or (0.0, float("inf"))
        self.path = path
        self.video = video
        self.span = (max(event.start - before, begin, 0.0), min(event.end + after, end))
        self.stack = ExitStack()
        self.writer: VideoWriter | None = None
        self.first = 0.0  # seconds of the first frame
        self.done = False

    def take(self, frame: Frame) -> None:
        """Write a frame that lies in the clip's span; the first one after it ends the clip."""
        if self.done or frame.seconds < self.span[0]:
            return
        if frame.seconds >= self.span[1]:
            if self.writer is not None:
                self.close(None)
            return
        if self.writer is None:
            fps = min(max(facts_of(self.video).fps, 0.1), 240.0)
            size = (frame.pixels.shape[0], frame.pixels.shape[1])
            self.writer = self.stack.enter_context(video_writer(self.path, fps, size))
            self.first = frame.seconds
        self.writer.write(frame.pixels, frame.seconds - self.first)

    def close(self, kind: type[BaseException] | None, *rest: Any) -> None:
        """End the clip: whole after a block without an error, not there after one with an error."""
        if self.done:
            return
        self.done = True
        if kind is not None:
            self.stack.__exit__(kind, *rest)
            return
        if self.writer is None:
            start, end = self.span
            raise BadInput(
                f"{self.video.source} has no frame between {start:.2f} and {end:.2f} seconds"
                " to cut out"
            )
        self.stack.close()


def thumbnail(path: Path, timeline: Timeline, event: Event, *, width: int = 640) -> None:
    """Write the frame at the event's peak with its box, as a JPEG or PNG by the path's ending.
    Raises BadVideo.
    """
    save_thumbnail(path, peak_frame(timeline, event, width), event)


def save_thumbnail(path: Path, pixels: Bytes, event: Event) -> None:
    """Write (H, W, 3) pixels with an event's box: within bounds."""
    picture = within_bounds(pixels)
    if event.box is not None:
        outline(picture, event.box)
    save_picture(path, picture)


def within_bounds(picture: Bytes) -> Bytes:
    """The picture enlarged to `ENLARGE` pixels across, unless a side would pass
    `ENLARGED_AT_MOST`: then it is made to fit.

    A picture of 2 × 2,000 pixels would become one of 240,000 rows, which no file of pictures can
    hold.
    """
    H, W = picture.shape[:2]
    scale = max(1.0, ENLARGE / W)
    scale = min(scale, ENLARGED_AT_MOST / max(H, W))
    width = max(1, round(W * scale))
    height = max(1, round(H * scale))
    resized = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.array(resized, np.uint8)


def peak_index(timeline: Timeline, event: Event) -> int:
    """The index, in the source, of the scored frame nearest to an event's peak; -1 where nothing
    was scored.
    """
    scores = timeline.scores
    if not len(scores):
        return -1
    gaps = np.abs(scores.seconds - event.peak_seconds)
    nearest = int(gaps.argmin())
    return int(scores.frame[nearest])


def peak_frame(timeline: Timeline, event: Event, width: int) -> Bytes:
    """(H, W, 3): the scored frame nearest to the event's peak, by seeking; by reading on where a
    source is damaged.
    """
    video, spec = for_people(timeline.video), ClipSpec(length=1, size=width, colour="rgb")
    index = peak_index(timeline, event)
    if index >= 0:
        found = read_frames(video, spec, [index])
        if index in found:
            return found[index]
    last = None
    for frame in read(video, spec):
        if last is not None and frame.seconds > event.peak_seconds + 1e-6:
            break
        last = frame.pixels
    if last is None:
        raise BadVideo(f"{video.source} has no frame between {video.span} seconds")
    return last


def write_event_clip(
    path: Path,
    video: Video,
    event: Event,
    *,
    before: float = 2.0,
    after: float = 2.0,
    width: int = 640,
) -> None:
    """Write the event as a video of its own, with the seconds before and after it that the source
    has.

    Raises BadInput when the source has no frame there.
    """
    clip = EventClip(path, video, event, before, after)
    for frame in read(replace(for_people(video), span=clip.span), replace(PREVIEW, size=width)):
        clip.take(frame)
    clip.close(None)


def save_picture(path: Path, picture: Bytes) -> None:
    """Write RGB pixels as the picture that the path's ending names."""
    options: list[int] = []
    if path.suffix.lower() in {".jpg", ".jpeg"}:
        options = [cv2.IMWRITE_JPEG_QUALITY, 86]
    try:
        done, data = cv2.imencode(path.suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    except cv2.error:
        done = False
    if not done:
        raise BadInput(f"a picture is written as .jpg or .png, got {path.name}")
    with aside(path) as part:
        part.write_bytes(data.tobytes())
