"""From a file or a folder of pictures to decoded pictures in order, and a count of what was lost on the way.

Knows containers, codecs and their clocks; knows no ClipSpec. `reader` is the door that everybody else uses.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.video.frame import VideoFrame

from oddframe.errors import BadVideo
from oddframe.files import listing

# PyAV's silence, its default. With any level set, its log callback takes Python's lock for each error, even for those
# that it then drops, and whoever closes a film waits for ever on a decoding thread that waits for that lock.
av.logging.set_level(None)

PICTURE_ENDINGS = {".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp"}
SIGNATURES = {
    b"\x89PNG": "png",
    b"\xff\xd8": "mjpeg",
    b"BM": "bmp",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
}
USUAL_FPS = 25.0  # for folders of pictures and streams that give no rate
FAULTS = (av.FFmpegError, OSError, ValueError)  # what FFmpeg raises on damaged data
PATIENCE = (
    1000  # faults in a row, with nothing readable between them, after which the rest is given up
)
MOST_PIXELS = str(1 << 27)  # 16384 × 8192: more is a damaged header that would take all the memory
TEXT = {
    "tty",
    "lrc",
    "srt",
    "ass",
    "webvtt",
    "concat",
    "hls",
    "dash",
    "sdp",
}  # formats that FFmpeg takes text for
NO_STAMPS = {
    "avi"
}  # containers that keep decoding order only: FFmpeg's guess at `pts` is wrong with B-frames


class DamageReport:
    """Counts what could not be read from one source; `lines` tells a person, one line a sort of damage."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.packets = 0  # damaged, and gave no picture
        self.gaps = 0  # places where the container could not be followed
        self.spoiled = 0  # pictures that the decoder itself calls damaged
        self.pictures: list[str] = []  # files of a folder
        self.ends = ""  # where the file breaks off

    def __bool__(self) -> bool:
        return bool(self.packets or self.gaps or self.spoiled or self.pictures or self.ends)

    def lines(self) -> list[str]:
        told = []
        if self.packets:
            told.append(f"{_many(self.packets, 'damaged packet')} skipped")
        if self.gaps:
            told.append(f"{_many(self.gaps, 'unreadable stretch', 'es')} of the file skipped")
        if self.spoiled:
            told.append(f"{_many(self.spoiled, 'frame')} damaged in part, and kept")
        if self.pictures:
            count = _many(len(self.pictures), "picture")
            told.append(
                f"{count} unreadable (the first is {self.pictures[0]}); a neighbour stands in for each"
            )
        if self.ends:
            told.append(self.ends)
        return [f"{self.name}: {line}" for line in told]


class Clock:
    """Seconds since the first picture, always going forward, from stamps that may be missing, repeated or set back."""

    LEAP = 86400.0  # a pause longer than a day, or a step back of more than a second, is a clock that was set
    BACK = 1.0

    def __init__(self, fps: float) -> None:
        self.step = 1 / fps
        self.last = -self.step
        self.origin: float | None = None
        self.pause = 0.0  # the longest so far

    def __call__(self, stamp: float | None) -> float:
        seconds = expected = self.last + self.step
        if stamp is not None:
            if self.origin is None:
                self.origin = stamp - expected
            seconds = stamp - self.origin
            if not -self.BACK < seconds - self.last < self.LEAP:
                self.origin, seconds = stamp - expected, expected
            elif seconds <= self.last:
                seconds = (
                    self.last + self.step / 2
                )  # the next stamp, if it is right, still comes later
        self.pause = max(self.pause, seconds - self.last)
        self.last = seconds
        return seconds


class VideoFile:
    """An open video file, and the first stream in it that moves. Use it in a `with`. Raises BadVideo without one."""

    def __init__(self, source: Path, threads: int = 1, loss: DamageReport | None = None) -> None:
        self.loss = DamageReport(source.name) if loss is None else loss
        self.container = _opened(source)
        try:
            self.stream = _moving(self.container, source)
        except BadVideo:
            self.container.close()
            raise
        self.codec = self.stream.codec_context
        self.stream.thread_type = "AUTO"
        self.codec.thread_count = threads
        self.codec.options = {"max_pixels": MOST_PIXELS}
        self.tick = float(self.stream.time_base or 0)  # seconds in one unit of a stamp
        rates = (float(rate or 0) for rate in (self.stream.average_rate, self.stream.guessed_rate))
        self.fps = next((rate for rate in rates if 0 < rate <= 1000), USUAL_FPS)
        self.frames: int | None = self.stream.frames or None  # as the header has it
        self.seen = 0  # packets so far

    @property
    def is_picture(self) -> bool:
        """Whether the file holds a single picture, as a photograph does."""
        name = str(self.container.format.name)
        return name.endswith("_pipe") or name == "image2"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.container.close()

    @property
    def seconds(self) -> float | None:
        """The length as the header has it."""
        if self.stream.duration and self.stream.duration > 0:
            return float(self.stream.duration * self.tick)
        tagged = _from_clock_face(self.stream.metadata.get("DURATION", ""))
        return tagged or (
            self.container.duration / av.time_base if self.container.duration else None
        )

    def packets(self) -> Iterator[Any]:
        """All packets of the stream from here on, over whatever faults the container has."""
        faults = 0
        while faults < PATIENCE:
            try:
                for packet in self.container.demux(self.stream):
                    if packet.dts is None and not packet.size:
                        return  # PyAV's own, which asks to flush: the end
                    self.loss.gaps += faults > 0
                    faults = 0
                    self.seen += 1
                    if packet.size:  # an empty one would tell the decoder that all is over
                        yield packet
                return
            except FAULTS:
                faults += 1

    def packets_from(self, pts: int, stamp: int, behind: Callable[[Any], bool]) -> Iterator[Any]:
        """The packets from the one with this `pts` on, found near `stamp`; none when seeking lands behind it."""
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
        faults = 0
        for packet in chain(self.packets() if packets is None else packets, [None]):
            try:
                decoded = self.codec.decode(packet)
            except FAULTS:
                self.loss.packets += 1
                faults += 1
                if faults >= PATIENCE:
                    return
                continue
            for picture in decoded:
                faults = 0
                self.loss.spoiled += picture.is_corrupt
                yield picture

    def timed(self, clock: Clock) -> Iterator[tuple[float, VideoFrame]]:
        """All pictures from the file's start with their seconds; at the end, whether the header had promised more."""
        unstamped = self.container.format.name in NO_STAMPS
        for picture in self.pictures():
            stamp = picture.dts if unstamped else picture.pts
            yield clock(None if stamp is None else stamp * self.tick), picture
        promised, reached = self._promised(), clock.last + clock.step
        skipped = (
            0.0 if self.frames else max(clock.origin or 0.0, 0.0)
        )  # some headers count from zero, others do not
        if promised and promised - skipped - reached > max(
            1.5 * clock.step, 0 if self.frames else clock.pause
        ):
            self.loss.ends = (
                f"the file breaks off after {reached:.1f} s of {promised:.1f} s said by its header"
            )

    def _promised(self) -> float | None:
        if self.frames is not None:
            # AVI's demuxer shortens the length to what it finds; QuickTime's edits shorten it rightly
            length = self.frames / self.fps if self.container.format.name == "avi" else self.seconds
            return length if self.seen < self.frames else None
        own = len(self.container.streams) == 1 or "DURATION" in self.stream.metadata
        return self.seconds if own else None  # it may be the length of a longer sound


def opens_as_video(path: Path) -> bool:
    """Whether FFmpeg finds moving pictures in a file. Only regular files are opened; text is not looked at twice."""
    try:
        if not path.is_file() or looks_like_text(path):
            return False
        with VideoFile(path) as film:
            return not film.is_picture
    except (BadVideo, OSError):
        return False


def looks_like_text(path: Path) -> bool:
    """Whether a file begins as text does: without a zero byte, and in UTF-8."""
    with path.open("rb") as file:
        head = file.read(4096)
    try:
        head[:-4].decode()  # a sign that was cut through may stand at the end
    except UnicodeDecodeError:
        return False
    return b"\0" not in head


def pictures_of(folder: Path) -> list[Path]:
    """A frame folder's pictures in natural order."""
    return [path for path in listing(folder) if path.suffix.lower() in PICTURE_ENDINGS]


def read_pictures(
    folder: Path, first: int = 0, loss: DamageReport | None = None
) -> Iterator[VideoFrame]:
    """A folder's pictures from this one on, each readable: see `still`. None at all when not one can be read."""
    paths = pictures_of(folder)
    before: VideoFrame | None = None
    for number, path in enumerate(paths[first:], first):
        before = _still_or_none(path, loss) or before or read_picture(paths, number, None)
        if before is None:
            return
        yield before


def read_picture(
    paths: Sequence[Path], number: int, loss: DamageReport | None = None
) -> VideoFrame | None:
    """One picture of several. For one that cannot be read stands the nearest before it that can, or failing that the
    nearest after it, so that frame numbers still fit the ground truth.
    """
    own = _still_or_none(paths[number], loss)
    others = chain(reversed(paths[:number]), paths[number + 1 :])
    return own or next(
        (picture for path in others if (picture := _still_or_none(path, None))), None
    )


def turns_of(picture: VideoFrame) -> tuple[tuple[str, str | None], ...]:
    """FFmpeg's filters, with their arguments, that turn or mirror the picture for showing; most need none."""
    clockwise = -round(picture.rotation / 90) * 90 % 360
    across, down, slant = _axes(picture)
    if clockwise == 90:
        return (("transpose", "cclock_flip" if slant > 0 else "clock"),)
    if clockwise == 270:
        return (("transpose", "clock_flip" if slant < 0 else "cclock"),)
    half = clockwise == 180
    mirrored = (("hflip", None),) if half and (across or -1) < 0 else ()
    return (*mirrored, ("vflip", None)) if (down or -half) < 0 else mirrored


def shown_size(picture: VideoFrame) -> tuple[int, int]:
    """(height, width) after turning."""
    lying = any(name == "transpose" for name, _ in turns_of(picture))
    return (picture.width, picture.height) if lying else (picture.height, picture.width)


def _axes(picture: VideoFrame) -> tuple[int, int, int]:
    """Where the display matrix sends x, y, and y across: it tells a mirror from a turn. Zeros where not said."""
    try:
        # not picture.side_data: it keeps each full-size frame alive until the garbage collector comes by
        data: Any = SideDataContainer(picture).get("DISPLAYMATRIX")  # type: ignore[call-arg]
    except ValueError:  # PyAV stops at side data that it has no name for, as photographs carry
        return 0, 0, 0
    if data is None:
        return 0, 0, 0
    matrix = np.frombuffer(data, np.int32).tolist()
    return matrix[0], matrix[4], matrix[3]


def _still_or_none(path: Path, loss: DamageReport | None) -> VideoFrame | None:
    try:
        if not path.is_file():
            raise ValueError("not a regular file")
        data = path.read_bytes()
        name = next(
            (codec for signature, codec in SIGNATURES.items() if data.startswith(signature)), None
        )
        if name is None:
            raise ValueError("no picture in it")
        codec: Any = av.CodecContext.create(name, "r")
        codec.thread_count = 1
        codec.options = {"max_pixels": MOST_PIXELS}
        found: list[VideoFrame] = codec.decode(av.Packet(data)) or codec.decode(None)
        return found[0]
    except (*FAULTS, IndexError) as error:
        if loss is not None:
            loss.pictures.append(f"{path.name}: {error_text(error)}")
        return None


def _opened(source: Path) -> Any:
    if not source.exists():
        raise BadVideo(f"no such file or folder: {source}")
    if not source.is_file():
        raise BadVideo(f"{source} is neither a file nor a folder")
    # only local files: a playlist may not fetch from elsewhere; "file:" because a name may hold a colon
    options = {"protocol_whitelist": "file", "max_pixels": MOST_PIXELS}
    try:
        if not source.stat().st_size:
            raise BadVideo(f"{source} is empty (0 bytes)")
        container = av.open(f"file:{source}", options=options, metadata_errors="replace")
    except FAULTS as error:
        raise BadVideo(
            f"{source} is not a video that FFmpeg can read ({_reason(source, error)})"
        ) from error
    if container.format.name in TEXT:
        container.close()
        raise BadVideo(f"{source} is not a video but text")
    return container


def _moving(container: Any, source: Path) -> Any:
    read_picture = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    moving = [stream for stream in container.streams.video if not stream.disposition & read_picture]
    if not moving:
        kinds = sorted({stream.type for stream in container.streams})
        raise BadVideo(
            f"{source} holds no video stream" + (f", only {' and '.join(kinds)}" if kinds else "")
        )
    if moving[0].codec_context is None:
        raise BadVideo(f"{source} is coded in a way that this FFmpeg does not know")
    return moving[0]


def _reason(source: Path, error: BaseException) -> str:
    if isinstance(error, av.FFmpegError) and _lacks_index(source):
        return (
            "its index, the 'moov' box, is missing: it was cut off, or its recording never finished"
        )
    return error_text(error)


def _lacks_index(source: Path) -> bool:
    """Whether an mp4 or mov has no whole moov box at its top level."""
    boxes: set[bytes] = set()
    at, size = 0, source.stat().st_size
    with source.open("rb") as file:
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


def _from_clock_face(text: str) -> float | None:
    """Seconds of "00:01:02.500", as Matroska writes the length of each of its streams."""
    try:
        hours, minutes, seconds = text.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None


def _many(count: int, what: str, ending: str = "s") -> str:
    return f"{count} {what}{'' if count == 1 else ending}"


def error_text(error: BaseException) -> str:
    """FFmpeg's own words for what went wrong."""
    return str(getattr(error, "strerror", None) or error)
