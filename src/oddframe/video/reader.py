"""One way from a source to frames, at the size, colour and rate that a method's ClipSpec asks for.

A source is a video file or a folder of pictures. Reading streams: memory does not grow with the length of the video.
What is damaged is skipped and said, what is readable is read. T frames, H × W pixels, C channels.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from av.video.frame import VideoFrame

from oddframe.errors import BadVideo
from oddframe.types import Bytes, ClipSpec, Floats, Frame, Ints, Video
from oddframe.video.decoder import (
    PICTURE_ENDINGS,
    USUAL_FPS,
    Clock,
    DamageReport,
    VideoFile,
    pictures_of,
    read_picture,
    read_pictures,
    shown_size,
)
from oddframe.video.scaling import Scaler, size_of

__all__ = [
    "PICTURE_ENDINGS",
    "USUAL_FPS",
    "VIDEO_ENDINGS",
    "Facts",
    "content_hash",
    "facts_of",
    "frames_at",
    "pictures_of",
    "read",
    "size_of",
    "thinned",
    "times_of",
    "video_of",
    "whole",
]

VIDEO_ENDINGS = {
    *(
        ".mp4",
        ".avi",
        ".mkv",
        ".mov",
        ".webm",
        ".ts",
        ".m4v",
        ".mpg",
        ".mpeg",
        ".wmv",
        ".flv",
        ".mts",
        ".m2ts",
    ),
    *(
        ".3gp",
        ".ogv",
        ".vob",
        ".asf",
        ".mjpeg",
        ".mjpg",
        ".h264",
        ".264",
        ".h265",
        ".265",
        ".hevc",
        ".ivf",
        ".y4m",
    ),
}
EARLY = 0.0015  # seconds by which a frame may come before a period and still open it: Matroska rounds to milliseconds
WORTH_SEEKING = (
    4.0  # seconds into a video; before that, decoding on is no slower than looking for the place
)
MOST_REORDERED = 64  # frames between a picture's place in decoding and in showing
HEAD = 8  # pictures decoded to see whether a container's stamps are to be believed


@dataclass(frozen=True)
class Facts:
    """What a source says of itself without being decoded."""

    width: int
    height: int
    fps: float
    frames: int | None  # None where the header does not say
    seconds: float | None
    codec: str


def video_of(source: str | Path, fps: float | None = None) -> Video:
    """A Video of a path. Raises BadVideo where there is none."""
    path = Path(source)
    if not path.exists():
        raise BadVideo(f"no such file or folder: {path}")
    if path.is_dir() and not pictures_of(path):
        raise BadVideo(f"{path} is a folder without pictures ({' '.join(sorted(PICTURE_ENDINGS))})")
    name = path.name if path.is_dir() else path.stem
    if name in ("", "..", "."):
        name = path.resolve().name or "videos"
    return Video(name, path, fps=fps)


def facts_of(video: Video) -> Facts:
    """Size (as shown, after rotation), rate and length as the header gives them. Raises BadVideo."""
    if video.source.is_dir():
        height, width = shown_size(_first(read_pictures(video.source), video.source))
        count, fps = len(pictures_of(video.source)), video.fps or USUAL_FPS
        return Facts(width, height, fps, count, count / fps, "pictures")
    with VideoFile(video.source) as film:
        height, width = shown_size(_first(film.pictures(), video.source))
        return Facts(
            width,
            height,
            video.fps or film.fps,
            film.frames,
            film.seconds,
            film.codec.codec.canonical_name,
        )


def read(
    video: Video, spec: ClipSpec, damage: list[str] | None = None, threads: int = 0
) -> Iterator[Frame]:
    """The frames of a video in order, at the spec's size, colour and rate.

    `damage` receives, at the end, a line for each sort of damage; `threads` is FFmpeg's (0: as many as it likes).
    Raises BadVideo when not one frame can be read.
    """
    loss = DamageReport(video.source.name)
    start, end = video.span or (0.0, np.inf)
    scaler, before = Scaler(spec), -1
    try:
        for index, seconds, picture in _timed(video, start, threads, loss, scaler):
            if seconds >= end:
                break
            period = int(_period(seconds, spec.fps)) if spec.fps else index
            if seconds >= start and period > before:
                before = period
                yield Frame(index, seconds, scaler(picture))
    finally:
        if damage is not None:
            damage.extend(loss.lines())


def thinned(seconds: Floats, fps: float | None) -> Ints:
    """Which of the frames at these ascending times `read` gives at that rate: the first of each period 1 / fps.

    >>> thinned(np.array([0.0, 0.04, 0.08, 0.12, 0.16, 0.20]), 10).tolist()
    [0, 3, 5]
    """
    if fps is None:
        return np.arange(len(seconds))
    return np.flatnonzero(np.diff(_period(seconds, fps), prepend=-1) > 0)


def times_of(video: Video) -> Floats:
    """(frames,) seconds of every frame of the source, span or not, as `read` gives them.

    Read from the container without decoding; only where its stamps cannot be trusted is the source decoded once.
    In a file with damage this counts the frames that should be there, which may be more than can be read.
    """
    stamps = _stamps_of(video.source)
    count = len(stamps.seconds)
    return np.arange(count) / video.fps if video.fps else stamps.seconds


def frames_at(
    video: Video, spec: ClipSpec, indices: Sequence[int], damage: list[str] | None = None
) -> Bytes:
    """(T, H, W, C): the frames with these indices, by seeking. The same pixels as reading in order gives.

    `damage` receives a line for each sort of damage met on the way. Raises BadVideo when one of them cannot be read.
    """
    stamps, loss, wanted = (
        _stamps_of(video.source),
        DamageReport(video.source.name),
        set(map(int, indices)),
    )
    scaler, found = Scaler(spec, stamps.shown), {}
    for index, picture in _pictures_at(video.source, stamps, sorted(wanted), loss):
        if index in wanted:
            found[index] = scaler(picture)
    if damage is not None:
        damage.extend(loss.lines())
    if missing := wanted - set(found):
        raise BadVideo(
            f"{video.source} gave no frame {min(missing)}; it has {len(stamps.seconds)}, counted from 0"
        )
    return np.stack([found[int(index)] for index in indices])


def content_hash(source: Path) -> str:
    """A name for what a source holds, whatever it is called: 16 hex digits.

    Files up to 64 MiB are read whole; of a longer one its length and 64 blocks of 1 MiB spread evenly over it.
    """
    digest = hashlib.blake2b(digest_size=8)
    for path in pictures_of(source) if source.is_dir() else [source]:
        try:
            if not path.is_file():
                raise BadVideo(f"{path} is not a regular file")
            size = path.stat().st_size
            digest.update(size.to_bytes(8, "little"))
            block, blocks = 1 << 20, 64
            with path.open("rb") as file:
                if size <= block * blocks:
                    digest.update(file.read())
                    continue
                for k in range(blocks):
                    file.seek((size - block) * k // (blocks - 1))
                    digest.update(file.read(block))
        except OSError as error:
            raise BadVideo(f"cannot read {path}: {error.strerror or error}") from error
    return digest.hexdigest()


def whole(video: Video) -> Video:
    """The video without its span."""
    return replace(video, span=None)


@dataclass(frozen=True)
class _Stamps:
    """When each frame of a source is shown, and how to get to it."""

    shown: tuple[int, int]  # height and width of the first picture after turning
    seconds: Floats  # (frames,)
    pts: Ints | None = (
        None  # (frames,) ascending; None where frames can only be counted, by decoding from the start
    )
    place: Ints | None = None  # (frames,) position in decoding order
    keys: Ints | None = None  # (keys,) indices of the frames at which decoding can begin
    seeks: Ints | None = None  # (keys,) where to seek for them: decoding stamps where known

    def find(self, pts: int | None) -> int | None:
        """The index of the frame with this stamp."""
        assert self.pts is not None
        index = None if pts is None else int(np.searchsorted(self.pts, pts))
        return (
            index
            if index is not None and index < len(self.pts) and self.pts[index] == pts
            else None
        )


def _stamps_of(source: Path) -> _Stamps:
    try:
        about = source.stat()
    except OSError as error:
        raise BadVideo(f"no such file or folder: {source}") from error
    return _stamps(source, about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=256)
def _stamps(source: Path, _changed: int, _size: int) -> _Stamps:
    if source.is_dir():
        shown = shown_size(_first(read_pictures(source), source))
        return _Stamps(shown, np.arange(len(pictures_of(source))) / USUAL_FPS)
    return _believed(source) or _counted(source)


def _believed(source: Path) -> _Stamps | None:
    """The stamps as the container has them; None where they cannot be what the decoder will give."""
    with VideoFile(source) as film:
        packets = [
            (packet.pts, packet.dts, packet.is_keyframe)
            for packet in film.packets()
            if not packet.is_discard
            and not (film.codec.name == "vp8" and not bytes(packet)[0] & 0x10)  # never shown
        ]
        clock, tick = Clock(film.fps), film.tick
    with VideoFile(source) as film:
        head = list(islice(film.pictures(), HEAD))
    if not head or any(stamp is None for stamp, _, _ in packets):
        return None
    decoding = [dts for _, dts, _ in packets if dts is not None]
    begins = head[
        0
    ].pts  # a stream cut out of another begins with packets that nothing can be made of
    packets = [packet for packet in packets if begins is not None and packet[0] >= begins]
    pts = np.array([stamp for stamp, _, _ in packets], np.int64)
    place = np.argsort(pts, kind="stable")
    pts = pts[place]
    if (
        [picture.pts for picture in head] != pts[:HEAD].tolist()
        or (np.diff(pts) <= 0).any()
        or (np.diff(decoding) < 0).any()
        or np.abs(place - np.arange(len(place))).max() > MOST_REORDERED
    ):
        return None
    keys = np.flatnonzero([packets[k][2] for k in place])
    seeks = [pts[key] if packets[place[key]][1] is None else packets[place[key]][1] for key in keys]
    seconds = np.array([clock(float(stamp) * tick) for stamp in pts.tolist()])
    return _Stamps(shown_size(head[0]), seconds, pts, place, keys, np.array(seeks, np.int64))


def _counted(source: Path) -> _Stamps:
    """The stamps found by decoding the whole."""
    seconds, shown = [], None
    with VideoFile(source, threads=0) as film:
        for second, picture in film.timed(Clock(film.fps)):
            shown = shown or shown_size(picture)
            seconds.append(second)
    if shown is None:
        raise _unreadable(source, film.loss)
    return _Stamps(shown, np.array(seconds))


def _timed(
    video: Video, start: float, threads: int, loss: DamageReport, scaler: Scaler
) -> Iterator[tuple[int, float, VideoFrame]]:
    """Index, seconds and picture of every frame from `start` on, and perhaps of some before it."""
    source = video.source
    if source.is_dir():
        fps = video.fps or USUAL_FPS
        first = max(0, math.ceil(start * fps - 1e-6))
        if first:
            scaler.settle(_stamps_of(source).shown)
        index = -1
        for index, picture in enumerate(read_pictures(source, first, loss), first):
            yield index, index / fps, picture
        if index < 0 and first == 0:
            raise _unreadable(source, loss)
    elif start >= WORTH_SEEKING and (stamps := _stamps_of(source)).pts is not None:
        seconds = times_of(video)
        scaler.settle(stamps.shown)
        for index, picture in _pictures_from(
            source, stamps, int(np.searchsorted(seconds, start)), threads, loss
        ):
            yield index, float(seconds[index]), picture
    else:
        with VideoFile(source, threads, loss) as film:
            index = -1
            for index, (second, picture) in enumerate(film.timed(Clock(film.fps))):
                yield index, index / video.fps if video.fps else second, picture
            if index < 0:
                raise _unreadable(source, loss)


def _pictures_at(
    source: Path, stamps: _Stamps, wanted: list[int], loss: DamageReport
) -> Iterator[tuple[int, VideoFrame]]:
    """Pictures with their indices, all those wanted that can be read among them. `wanted` ascends."""
    if not wanted or wanted[0] < 0 or wanted[-1] >= len(stamps.seconds):
        return
    if source.is_dir():
        paths = pictures_of(source)
        for index in wanted:
            picture = read_picture(paths, index, loss)
            if picture is not None:
                yield index, picture
        return
    for index, picture in _pictures_from(source, stamps, wanted[0], 1, loss):
        yield index, picture
        if index >= wanted[-1]:
            return


def _pictures_from(
    source: Path, stamps: _Stamps, first: int, threads: int, loss: DamageReport
) -> Iterator[tuple[int, VideoFrame]]:
    """Pictures of a file from this index on, decoded from the nearest key frame that leads to it."""
    if first >= len(stamps.seconds):
        return
    if stamps.pts is None or stamps.place is None or stamps.keys is None or stamps.seeks is None:
        with VideoFile(source, threads, loss) as film:
            yield from islice(enumerate(film.pictures()), first, None)
        return
    place, step = stamps.place, 1
    k = int(np.searchsorted(stamps.keys, first, "right")) - 1
    while True:
        with VideoFile(source, threads, loss) as film:
            packets = film.packets()
            if k > 0:
                key = int(stamps.keys[k])

                def behind(packet: Any, key: int = key) -> bool:
                    index = stamps.find(packet.pts)
                    return index is not None and bool(place[index] > place[key])

                packets = film.packets_from(int(stamps.pts[key]), int(stamps.seeks[k]), behind)
            reached = False
            for picture in film.pictures(packets):
                index = stamps.find(picture.pts)
                if index is None or index < first:
                    continue
                if index > first and not reached and k > 0:
                    break  # the picture asked for needs more of the past than this key frame gives
                reached = True
                yield index, picture
            if reached or k <= 0:
                return
        k, step = max(0, k - step), step * 4


def _first(pictures: Iterator[VideoFrame], source: Path) -> VideoFrame:
    for picture in pictures:
        return picture
    raise _unreadable(source, None)


def _unreadable(source: Path, loss: DamageReport | None) -> BadVideo:
    told = f" ({'; '.join(loss.lines())})" if loss else ""
    return BadVideo(f"no frame can be read from {source}{told}")


def _period(seconds: Any, fps: float) -> Any:
    return np.floor((seconds + EARLY) * fps)
