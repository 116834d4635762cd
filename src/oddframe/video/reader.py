"""One way from a source to frames, at the size, colour and rate that a method's ClipSpec asks for.

A source is a video file or a folder of pictures. Reading streams: memory does not grow with the
length of the video. What is damaged is skipped and reported, what is readable is read. T frames, H
× W pixels, C channels.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from av.video.frame import VideoFrame

from oddframe.errors import BadVideo
from oddframe.types import Bytes, ClipSpec, Floats, Frame, Ints, Video
from oddframe.video.damage import DamageReport, LostPictures
from oddframe.video.decoder import USUAL_FPS, VIDEO_ENDINGS, StampClock, VideoFile
from oddframe.video.kept import KeptVideo, load_kept
from oddframe.video.pictures import PICTURE_ENDINGS, pictures_of, read_picture, read_pictures
from oddframe.video.scaling import Scaler, size_of
from oddframe.video.source import Facts, Source, content_hash, open_source, unreadable

__all__ = [
    "PICTURE_ENDINGS",
    "USUAL_FPS",
    "VIDEO_ENDINGS",
    "Facts",
    "content_hash",
    "content_of",
    "facts_of",
    "frames_at",
    "indices_within",
    "pictures_of",
    "read",
    "read_frames",
    "read_spans",
    "size_of",
    "sources_of",
    "thinned",
    "times_of",
    "video_of",
]

# seconds by which a frame may come before a period and still open it: Matroska rounds to
# milliseconds
EARLY = 0.0015
# seconds into a video; before that, decoding on is no slower than looking for the place
WORTH_SEEKING = 4.0
WORTH_JUMPING = 30  # frames between two that are wanted; fewer are decoded on the way


def video_of(source: str | Path, fps: float | None = None) -> Video:
    """A Video of a path. Raises BadVideo where there is none."""
    path = Path(source)
    if not path.exists():
        raise BadVideo(f"no such file or folder: {path}")
    if path.is_dir() and not pictures_of(path):
        raise BadVideo(f"{path} is a folder without pictures ({' '.join(sorted(PICTURE_ENDINGS))})")
    name = path.stem
    if path.is_dir():
        name = path.name
    if name in ("", "..", "."):
        name = path.resolve().name or "videos"
    return Video(name, path, fps=fps)


def sources_of(videos: Sequence[Video]) -> list[str]:
    """Where each of the videos is."""
    return [str(video.source) for video in videos]


def indices_within(video: Video, times: Floats) -> Ints:
    """Which of the frames at these times (T,), in seconds, lie within a video's span."""
    if video.span is None:
        return np.arange(len(times))
    start, end = video.span
    return np.flatnonzero((times >= start) & (times < end))


def content_of(video: Video) -> tuple[object, ...]:
    """All that the frames of a video, their times and their pixels depend on, whatever it is called.

    Every name under which something made of a video is kept holds this. Raises BadVideo.
    """
    content = load_kept(video.kept).content if video.kept else content_hash(video.source)
    parts = (content, video.span, video.fps, video.levels)
    if video.ignored is None:
        return parts
    return (*parts, video.ignored)


def facts_of(video: Video) -> Facts:
    """Size (as shown), rate and length of a video's source; at the video's own rate where it has
    one.

    Raises BadVideo.
    """
    facts = known_of(video).facts
    if not video.fps:
        return facts
    if facts.codec == "pictures":
        seconds = (facts.frames or 0) / video.fps
        return replace(facts, fps=video.fps, seconds=seconds)
    return replace(facts, fps=video.fps)


def times_of(video: Video) -> Floats:
    """(T,) seconds of every frame of the source, span or not, as `read` gives them.

    Read from the container without decoding; only where its stamps cannot be trusted is the source
    decoded once. In a file with damage this counts the frames that should be there, which may be
    more than can be read.
    """
    seconds = known_of(video).seconds
    if video.fps:
        return np.arange(len(seconds)) / video.fps
    return seconds


def known_of(video: Video) -> Source | KeptVideo:
    """What is known of a video without its pixels. Raises BadVideo; BadRun where it was kept and
    is damaged.
    """
    if video.kept is not None:
        return load_kept(video.kept)
    return open_source(video.source)


def thinned(seconds: Floats, fps: float | None) -> Ints:
    """Which of the frames at these ascending times `read` gives at that rate: the first of each
    period 1 / fps.

    >>> thinned(np.array([0.0, 0.04, 0.08, 0.12, 0.16, 0.20]), 10).tolist()
    [0, 3, 5]
    """
    if fps is None:
        return np.arange(len(seconds))
    periods = period_of(seconds, fps)
    begins = np.diff(periods, prepend=-1) > 0
    return np.flatnonzero(begins)


def read(
    video: Video, spec: ClipSpec, damage: list[str] | None = None, threads: int = 0
) -> Iterator[Frame]:
    """The frames of a video in order, at the spec's size, colour and rate.

    `damage` receives, at the end, a line for each sort of damage and each stretch without a
    picture; `threads` is FFmpeg's (0: as many as it likes). Raises BadVideo when not one frame can
    be read.
    """
    report = DamageReport(video.source.name)
    lost = LostPictures()
    try:
        with decoding(video, threads, report) as pictures:
            for frame in frames_of_span(video, spec, pictures):
                if damage is not None:
                    lost.see(frame.seconds, frame.pixels)
                yield frame
    finally:
        if damage is not None:
            report.lost_pictures = lost.lines()
            damage.extend(report.lines())


def read_spans(
    video: Video, spec: ClipSpec, spans: Sequence[tuple[float, float]]
) -> Iterator[Iterator[Frame]]:
    """The frames of each of several spans [start, end) in seconds, as `read` gives them, from one
    opening.

    Take each to its end before the next.
    """
    with decoding(video, 0, DamageReport(video.source.name)) as pictures:
        for span in spans:
            yield frames_of_span(replace(video, span=span), spec, pictures)


def read_frames(
    video: Video, spec: ClipSpec, indices: Sequence[int], damage: list[str] | None = None
) -> dict[int, Bytes]:
    """(H, W, C) by index: those of the frames with these indices that can be read, by seeking, from
    one opening.

    The same pixels as reading in order gives. `damage` receives a line for each sort of damage met
    on the way.
    """
    source = open_source(video.source)
    report = DamageReport(video.source.name)
    wanted = sorted({int(index) for index in indices})
    scaler = Scaler(spec, source.shown, video.levels, video.ignored)
    found: dict[int, Bytes] = {}
    with decoding(video, 1, report) as pictures:
        for index, picture in pictures.at(wanted):
            found[index] = scaler(picture)
    report.pages = 0  # of files that are as they should be
    if damage is not None:
        damage.extend(report.lines())
    return found


def frames_at(
    video: Video, spec: ClipSpec, indices: Sequence[int], damage: list[str] | None = None
) -> Bytes:
    """(T, H, W, C): the frames with these indices, as `read_frames` gives them.

    Raises BadVideo when one of them cannot be read.
    """
    found = read_frames(video, spec, indices, damage)
    for index in sorted({int(index) for index in indices}):
        if index not in found:
            count = len(open_source(video.source).seconds)
            raise BadVideo(f"{video.source} gave no frame {index}; it has {count}, counted from 0")
    return np.stack([found[int(index)] for index in indices])


def period_of(seconds: Any, fps: float) -> Any:
    """The number of the period 1 / fps in which a time lies."""
    return np.floor((seconds + EARLY) * fps)


def frames_of_span(video: Video, spec: ClipSpec, pictures: "Pictures") -> Iterator[Frame]:
    """The frames of a video, within its span, out of a source that is open."""
    start, end = video.span or (0.0, np.inf)
    scaler = Scaler(spec, pictures.source.shown, video.levels, video.ignored)
    before = -1
    for index, seconds, picture in pictures.timed_from(start):
        if seconds >= end:
            break
        period = index
        if spec.fps:
            period = int(period_of(seconds, spec.fps))
        if seconds >= start and period > before:
            before = period
            yield Frame(index, seconds, scaler(picture))


@contextmanager
def decoding(video: Video, threads: int, damage: DamageReport) -> Iterator["Pictures"]:
    """The decoded pictures of a video's source, which is open as long as the block lasts."""
    pictures = Pictures(video, threads, damage)
    try:
        yield pictures
    finally:
        pictures.close()


class Pictures:
    """Decoded pictures of one source from wherever they are asked for; a file is opened once if it
    can be.
    """

    def __init__(self, video: Video, threads: int, damage: DamageReport) -> None:
        self.source: Source = open_source(video.source)
        self.fps = video.fps
        self.threads = threads
        self.damage = damage
        self.film: VideoFile | None = None
        self.at_start = True  # nothing was read of the file that is open

    def close(self) -> None:
        """Give the file back."""
        if self.film is not None:
            self.film.close()
            self.film = None

    def timed_from(self, start: float) -> Iterator[tuple[int, float, VideoFrame]]:
        """Index, seconds and picture of every frame from `start` seconds on, and perhaps of some
        before it.
        """
        source = self.source
        if source.pictures:
            fps = self.fps or USUAL_FPS
            first = max(0, math.ceil(start * fps - 1e-6))
            for index, picture in self.from_index(first):
                yield index, index / fps, picture
        elif source.seek_table is not None and (start >= WORTH_SEEKING or not self.at_start):
            seconds = source.seconds
            if self.fps:
                seconds = np.arange(len(seconds)) / self.fps
            for index, picture in self.from_index(int(np.searchsorted(seconds, start))):
                yield index, float(seconds[index]), picture
        else:
            film = self._film_at_start()
            index = -1
            for index, (second, picture) in enumerate(film.timed(StampClock(film.fps))):
                own_rate = index / self.fps if self.fps else second
                yield index, own_rate, picture
            if index < 0:
                raise unreadable(source.path, self.damage)

    def at(self, wanted: Sequence[int]) -> Iterator[tuple[int, VideoFrame]]:
        """The pictures of these ascending indices that can be read."""
        source = self.source
        inside = [index for index in wanted if 0 <= index < len(source.seconds)]
        if len(inside) < len(wanted):
            return
        if source.pictures:
            for index in wanted:
                picture = read_picture(source.pictures, index, self.damage)
                if picture is not None:
                    yield index, picture
            return
        for run in self._runs(wanted):
            missing = set(run)
            for index, picture in self.from_index(run[0]):
                if index in missing:
                    missing.discard(index)
                    yield index, picture
                if index >= run[-1]:
                    break

    def from_index(self, first: int) -> Iterator[tuple[int, VideoFrame]]:
        """Pictures with their indices from this one on, decoded from the nearest key frame that
        leads to it.
        """
        source = self.source
        if source.pictures:
            pictures = read_pictures(source.pictures, first, self.damage)
            yield from enumerate(pictures, first)
        elif first >= len(source.seconds):
            return
        elif source.seek_table is None:
            film = self._film_at_start()
            yield from islice(enumerate(film.pictures()), first, None)
        else:
            yield from self._after_seek(first)

    def _after_seek(self, first: int) -> Iterator[tuple[int, VideoFrame]]:
        table = self.source.seek_table
        assert table is not None
        key = table.key_before(first)
        step = 1
        while True:
            from_start = key < 0 or (key == 0 and self.at_start)
            reached = False
            for picture in self._pictures_from_key(-1 if from_start else key):
                index = table.find(picture.pts)
                if index is None or index < first:
                    continue
                if index > first and not reached and not from_start:
                    break  # the picture asked for needs more of the past than this key frame gives
                reached = True
                yield index, picture
            if reached or from_start:
                return
            key = max(0, key - step) if key > 0 else -1
            step *= 4

    def _pictures_from_key(self, key: int) -> Iterator[VideoFrame]:
        """The pictures decoded from a key frame on, which is looked for in the open file; of -1
        from its start.
        """
        table = self.source.seek_table
        assert table is not None
        if key < 0:
            return self._film_at_start().pictures()
        film = self._film()
        self.at_start = False
        frame = int(table.keys[key])
        place = table.place

        def behind(packet: Any) -> bool:
            index = table.find(packet.pts)
            return index is not None and bool(place[index] > place[frame])

        packets = film.packets_from(int(table.pts[frame]), int(table.seeks[key]), behind)
        return film.pictures(packets)

    def _runs(self, wanted: Sequence[int]) -> list[list[int]]:
        """The indices in runs that are decoded in one go: between two runs seeking saves many
        frames.
        """
        table = self.source.seek_table
        runs: list[list[int]] = []
        for index in wanted:
            far = False
            if runs and table is not None:
                key = table.key_before(index)
                far = key > 0 and int(table.keys[key]) - runs[-1][-1] > WORTH_JUMPING
            if not runs or far:
                runs.append([])
            runs[-1].append(index)
        return runs

    def _film(self) -> VideoFile:
        if self.film is None:
            self.film = VideoFile(self.source.path, self.threads, self.damage)
            self.at_start = True
        return self.film

    def _film_at_start(self) -> VideoFile:
        """The file with nothing read of it: opened anew where something was."""
        if not self.at_start:
            self.close()
        film = self._film()
        self.at_start = False
        return film
