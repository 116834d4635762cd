"""From a video file to decoded pictures in order: containers, codecs and their clocks, and a count
of what was lost.

Knows no ClipSpec. `source` opens files through it, `reader` is the door that everybody else uses.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Self

import av
from av.video.frame import VideoFrame

from oddframe.errors import BadVideo
from oddframe.video.damage import FAULTS, MOST_PIXELS, DamageReport, error_text

# PyAV's silence, its default. With any level set, its log callback takes Python's lock for each
# error, even for those that it then drops, and whoever closes a film waits for ever on a decoding
# thread that waits for that lock.
av.logging.set_level(None)

VIDEO_ENDINGS = {
    ".mp4", ".avi", ".mkv", ".mov", ".webm", ".ts", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".mts",
    ".m2ts", ".3gp", ".ogv", ".vob", ".asf", ".mjpeg", ".mjpg", ".h264", ".264", ".h265", ".265",
    ".hevc", ".ivf", ".y4m",
}  # fmt: skip
USUAL_FPS = 25.0  # for folders of pictures and streams that give no rate
HIGHEST_FPS = 1000.0  # a header that claims more is not believed
LONGEST_SECONDS = 1e8  # three years: a header that claims more is not believed
# faults in a row, with nothing readable between them, after which the rest is given up
MOST_FAULTS = 1000
# formats that FFmpeg takes text for
TEXT = {"tty", "lrc", "srt", "ass", "webvtt", "concat", "hls", "dash", "sdp"}
# containers that keep decoding order only: FFmpeg's guess at `pts` is wrong with B-frames
NO_STAMPS = {"avi"}
# codecs of single pictures, such as the preview that some recorders put before the film
PICTURE_CODECS = {"mjpeg", "png", "bmp", "tiff", "gif", "webp"}
# of the longest stream: a shorter one is a preview, and the first that is not is the film
FILM_SHARE = 0.5
# aspect ratio of a pixel beyond which, either way, a header is not believed
NARROWEST_PIXEL = 1 / 8
SQUARE = 0.01  # by how much a pixel's aspect ratio may differ from 1 and count as square


class StampClock:
    """Seconds since the first picture, ascending, from stamps that may be missing, repeated or set
    back.
    """

    # a pause longer than a day, or a step back of more than a second, is a clock that was set
    LEAP = 86400.0
    BACK = 1.0

    def __init__(self, fps: float) -> None:
        self.step = 1 / fps
        self.last = -self.step
        self.origin: float | None = None
        self.pause = 0.0  # the longest so far

    def __call__(self, stamp: float | None) -> float:
        expected = self.last + self.step
        seconds = expected
        if stamp is not None:
            if self.origin is None:
                self.origin = stamp - expected
            seconds = stamp - self.origin
            if not -self.BACK < seconds - self.last < self.LEAP:
                self.origin = stamp - expected
                seconds = expected
            elif seconds <= self.last:
                # the next stamp, if it is right, still comes later
                seconds = self.last + self.step / 2
        self.pause = max(self.pause, seconds - self.last)
        self.last = seconds
        return seconds


class VideoFile:
    """An open video file, and the stream in it that is the film. Use it in a `with`.

    Raises BadVideo for what is no regular file or holds no film.
    """

    def __init__(self, path: Path, threads: int = 1, damage: DamageReport | None = None) -> None:
        if damage is None:
            damage = DamageReport(path.name)
        self.damage = damage
        self.path = path
        self.container = open_container(path)
        try:
            self.stream = film_stream(self.container, path)
        except BadVideo:
            self.container.close()
            raise
        self.codec = self.stream.codec_context
        self.stream.thread_type = "AUTO"
        self.codec.thread_count = threads
        self.codec.options = {"max_pixels": MOST_PIXELS}
        self.tick = float(self.stream.time_base or 0)  # seconds in one unit of a stamp
        self.fps = stated_fps(self.stream) or USUAL_FPS
        self.frames: int | None = self.stream.frames or None  # as the header has it
        self.packets_read = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back."""
        self.container.close()

    @property
    def is_picture(self) -> bool:
        """Whether the file holds a single picture, as a photograph does."""
        name = str(self.container.format.name)
        return name.endswith("_pipe") or name == "image2"

    @property
    def pixel_aspect(self) -> float:
        """Width of a pixel over its height, as the file says it is to be shown; 1 where it says
        nothing possible.
        """
        stated = self.stream.sample_aspect_ratio
        aspect = float(stated or 1)
        possible = NARROWEST_PIXEL <= aspect <= 1 / NARROWEST_PIXEL
        if not possible or abs(aspect - 1) <= SQUARE:
            return 1.0
        return aspect

    @property
    def seconds(self) -> float | None:
        """The length as the header has it; None where it says none, or one that no film has."""
        own = stream_seconds(self.stream)
        if own is not None:
            return own
        duration = self.container.duration or 0
        return believable_seconds(duration / av.time_base)

    def packets(self) -> Iterator[Any]:
        """All packets of the stream from here on, over whatever faults the container has."""
        faults = 0
        while faults < MOST_FAULTS:
            try:
                for packet in self.container.demux(self.stream):
                    if packet.dts is None and not packet.size:
                        return  # PyAV's own, which asks to flush: the end
                    self.damage.gaps += faults > 0
                    faults = 0
                    self.packets_read += 1
                    if packet.size:  # an empty one would tell the decoder that all is over
                        yield packet
                return
            except FAULTS:
                faults += 1

    def packets_from(self, pts: int, stamp: int, behind: Callable[[Any], bool]) -> Iterator[Any]:
        """The packets from the one with this `pts` on, found near `stamp`; none when seeking lands
        behind it.
        """
        try:
            self.container.seek(stamp, stream=self.stream, backward=True)
        except FAULTS:
            return
        packets = self.packets()
        for packet in packets:
            if packet.pts == pts:
                yield packet
                yield from packets
            elif behind(packet):
                return

    def pictures(self, packets: Iterable[Any] | None = None) -> Iterator[VideoFrame]:
        """Decoded pictures: of these packets, or of all."""
        if packets is None:
            packets = self.packets()
        faults = 0
        for packet in chain(packets, [None]):  # None flushes
            try:
                decoded = self.codec.decode(packet)
            except FAULTS:
                self.damage.packets += 1
                faults += 1
                if faults >= MOST_FAULTS:
                    return
                continue
            for picture in decoded:
                faults = 0
                self.damage.spoiled += picture.is_corrupt
                yield picture

    def timed(self, clock: StampClock) -> Iterator[tuple[float, VideoFrame]]:
        """All pictures from the file's start with their seconds; at the end, whether the header had
        promised more.
        """
        unstamped = self.container.format.name in NO_STAMPS
        for picture in self.pictures():
            stamp = picture.dts if unstamped else picture.pts
            if stamp is None:
                yield clock(None), picture
            else:
                yield clock(stamp * self.tick), picture
        self.note_end(clock)

    def note_end(self, clock: StampClock) -> None:
        """Report a film whose header promised more than a clock that saw all of it has reached."""
        promised = self.promised_seconds()
        if promised is None:
            return
        said = promised
        reached = clock.last + clock.step
        allowed = 1.5 * clock.step
        if not self.frames:
            # some headers count from zero, others do not; and the last frame may last as long as
            # any
            promised -= max(clock.origin or 0.0, 0.0)
            allowed = max(allowed, clock.pause)
        if promised - reached > allowed:
            self.damage.ends = (
                f"the file breaks off after {reached:.1f} s of {said:.1f} s said by its header"
            )

    def promised_seconds(self) -> float | None:
        """Seconds that the header promises, where more of them were to come."""
        if self.frames is not None:
            if self.packets_read >= self.frames:
                return None
            # AVI's demuxer shortens the length to what it finds; QuickTime's edits shorten it
            # rightly
            if self.container.format.name == "avi":
                return believable_seconds(self.frames / self.fps)
            return self.seconds
        # a container's length may be that of a longer sound
        if len(self.container.streams) > 1 and "DURATION" not in self.stream.metadata:
            return None
        return self.seconds


def opens_as_video(path: Path) -> bool:
    """Whether FFmpeg finds moving pictures in a file. Only regular files are opened, and text is
    not taken for one.
    """
    try:
        if not path.is_file() or begins_as_text(path):
            return False
        with VideoFile(path) as film:
            return not film.is_picture
    except (BadVideo, OSError):
        return False


def begins_as_text(path: Path) -> bool:
    """Whether a file begins as text does: without a zero byte, and in UTF-8."""
    with path.open("rb") as file:
        head = file.read(4096)
    try:
        head[:-4].decode()  # a sign that was cut through may stand at the end
    except UnicodeDecodeError:
        return False
    return b"\0" not in head


def open_container(path: Path) -> Any:
    """A file opened by FFmpeg. Raises BadVideo, one line, where that cannot be."""
    if not path.exists():
        raise BadVideo(f"no such file or folder: {path}")
    if not path.is_file():  # a device or a pipe may never end
        raise BadVideo(f"{path} is neither a file nor a folder")
    # only local files: a playlist may not fetch from elsewhere; "file:" because a name may hold a
    # colon
    options = {"protocol_whitelist": "file", "max_pixels": MOST_PIXELS}
    try:
        if not path.stat().st_size:
            raise BadVideo(f"{path} is empty (0 bytes)")
        container = av.open(f"file:{path}", options=options, metadata_errors="replace")
    except FAULTS as error:
        reason = reason_of(path, error)
        raise BadVideo(f"{path} is not a video that FFmpeg can read ({reason})") from error
    if container.format.name in TEXT:
        container.close()
        raise BadVideo(f"{path} is not a video but text")
    return container


def film_stream(container: Any, path: Path) -> Any:
    """The stream of a container that is the film: neither a cover, nor a preview of a picture or a
    few.

    The first whose length is known to be at least FILM_SHARE of the longest; where no length is
    known, the first that is not coded as single pictures. Raises BadVideo where there is none.
    """
    cover = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not streams:
        text = f"{path} holds no video stream"
        kinds = sorted({stream.type for stream in container.streams})
        if kinds:
            text += f", only {' and '.join(kinds)}"
        raise BadVideo(text)
    known = [stream for stream in streams if stream.codec_context is not None]
    if not known:
        raise BadVideo(f"{path} is coded in a way that this FFmpeg does not know")
    lengths = [stream_seconds(stream) or 0.0 for stream in known]
    for stream, length in zip(known, lengths, strict=True):
        single = stream.frames == 1 and len(known) > 1
        if length and length >= FILM_SHARE * max(lengths) and not single:
            return stream
    for stream in known:
        if stream.codec_context.codec.canonical_name not in PICTURE_CODECS:
            return stream
    return known[0]


def stated_fps(stream: Any) -> float | None:
    """Frames per second as a stream's header has it; None for none, or one that no film has."""
    for rate in (stream.average_rate, stream.guessed_rate):
        fps = float(rate or 0)
        if 0 < fps <= HIGHEST_FPS:
            return fps
    return None


def stream_seconds(stream: Any) -> float | None:
    """The length of a stream as its header, or Matroska's tag, has it; None where it says none that
    can be.
    """
    if stream.duration and stream.duration > 0:
        seconds = believable_seconds(float(stream.duration) * float(stream.time_base or 0))
        if seconds is not None:
            return seconds
    return seconds_of_clock_face(stream.metadata.get("DURATION", ""))


def believable_seconds(seconds: float) -> float | None:
    """A length, or None for one that no film has."""
    if 0 < seconds <= LONGEST_SECONDS:
        return seconds
    return None


def seconds_of_clock_face(text: str) -> float | None:
    """Seconds of "00:01:02.500", as Matroska writes the length of each of its streams; None for
    other text.

    >>> seconds_of_clock_face("00:01:02.500"), seconds_of_clock_face("9" * 400 + ":00:00")
    (62.5, None)
    """
    try:
        hours, minutes, seconds = text.split(":")
        total = float(hours) * 3600 + float(minutes) * 60 + float(seconds)
    except (ValueError, OverflowError):
        return None
    return believable_seconds(total)  # infinity and NaN are not


def reason_of(path: Path, error: BaseException) -> str:
    """Why FFmpeg could not open a file, in words that help."""
    if isinstance(error, av.FFmpegError) and lacks_index(path):
        return (
            "its index, the 'moov' box, is missing: it was cut off, or its recording never finished"
        )
    return error_text(error)


def lacks_index(path: Path) -> bool:
    """Whether an mp4 or mov has no whole moov box at its top level."""
    boxes: set[bytes] = set()
    at = 0
    size = path.stat().st_size
    with path.open("rb") as file:
        while at + 8 <= size and len(boxes) < 1000:
            file.seek(at)
            head = file.read(16)
            length = int.from_bytes(head[:4], "big")
            if length == 1:
                length = int.from_bytes(head[8:], "big")
            if length < 8:
                break
            at += length
            if at <= size:
                boxes.add(head[4:8])
    return b"ftyp" in boxes and b"moov" not in boxes
