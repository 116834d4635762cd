"""What an event leaves behind: a thumbnail of its peak, and its own short video."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np

from oddframe.errors import BadInput, BadVideo
from oddframe.files import aside
from oddframe.types import Bytes, ClipSpec, Event, Video
from oddframe.video.reader import facts_of, frames_at, read
from oddframe.video.writer import video_writer
from oddframe.visualization.overlay import outline
from oddframe.visualization.timeline import Timeline, file_stem

ENLARGE = 240  # pixels: a thumbnail is at least that wide
LARGEST = 2160  # pixels of its longer side


def write_event_pictures(
    folder: Path, timeline: Timeline, *, clips: bool = True, before: float = 2.0, after: float = 2.0
) -> list[Event]:
    """The events with `picture` and, with `clips`, `clip` filled in; both in `folder`, named by video and number."""
    events = []
    for n, event in enumerate(timeline.events, 1):
        stem = f"{file_stem(timeline.video.name)}-{n:03d}"
        picture = folder / f"{stem}.jpg"
        thumbnail(picture, timeline, event)
        clip = None
        if clips:
            clip = folder / f"{stem}.mp4"
            write_event_clip(clip, timeline.video, event, before=before, after=after)
        events.append(replace(event, picture=picture, clip=clip))
    return events


def thumbnail(path: Path, timeline: Timeline, event: Event, *, width: int = 640) -> None:
    """Write the frame at the event's peak with its box, as a JPEG or PNG by the path's ending. Raises BadVideo."""
    picture = peak_frame(timeline, event, width)
    picture = within_bounds(picture)
    if event.box is not None:
        outline(picture, event.box)
    save(path, picture)


def within_bounds(picture: Bytes) -> Bytes:
    """The picture enlarged to `ENLARGE` pixels across, unless a side would pass `LARGEST`: then it is made to fit.

    A picture of 2 × 2,000 pixels would become one of 240,000 rows, which no file of pictures can hold.
    """
    H, W = picture.shape[:2]
    scale = min(max(1.0, ENLARGE / W), LARGEST / max(H, W))
    size = (max(1, round(W * scale)), max(1, round(H * scale)))
    return np.array(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def peak_frame(timeline: Timeline, event: Event, width: int) -> Bytes:
    """(H, W, 3): the scored frame nearest to the event's peak, by seeking; by reading on where a source is damaged."""
    video, spec = timeline.video, ClipSpec(length=1, size=width, colour="rgb")
    gaps = np.abs(timeline.scores.seconds - event.peak_seconds)
    if len(gaps):
        try:
            index = int(timeline.scores.frame[int(gaps.argmin())])
            pixels: Bytes = frames_at(video, spec, [index])[0]
            return pixels
        except (BadVideo, av.FFmpegError, IndexError):
            pass
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
    """Write the event as a video of its own, with the seconds before and after it that the source has.

    Raises BadInput when the source has no frame there.
    """
    begin, end = video.span or (0.0, float("inf"))
    span = (max(event.start - before, begin, 0.0), min(event.end + after, end))
    frames = read(replace(video, span=span), ClipSpec(length=1, size=width, colour="rgb"))
    first = next(frames, None)
    if first is None:
        raise BadInput(
            f"{video.source} has no frame between {span[0]:.2f} and {span[1]:.2f} seconds to cut out"
        )
    fps = min(max(facts_of(video).fps, 0.1), 240.0)
    with video_writer(path, fps, (first.pixels.shape[0], first.pixels.shape[1])) as writer:
        writer.write(first.pixels, 0.0)
        for frame in frames:
            writer.write(frame.pixels, frame.seconds - first.seconds)


def save(path: Path, picture: Bytes) -> None:
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
