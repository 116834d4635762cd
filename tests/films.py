"""Real films of every sort, a few kilobytes each, made by FFmpeg's own encoders.

Every picture carries its number as a row of eight black or white bars, so that a test can ask any decoded frame,
however lossy, which one it is.
"""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]  # (H, W, 3)

B_FRAMES = {"bf": "2", "g": "10", "x264-params": "b-adapt=0"}
OPEN_GOP = {"x264-params": "b-adapt=0:open-gop=1:bframes=3:keyint=8:min-keyint=8"}
HEVC = {"x265-params": "log-level=none:keyint=10:bframes=2:pools=none:frame-threads=1"}


def numbered(number: int, height: int = 48, width: int = 64) -> Picture:
    """A coloured slope that moves, with the number (0 to 255) in binary across its upper half."""
    y, x = np.mgrid[:height, :width]
    picture = np.stack(
        [(x + 2 * number) % 200 + 28, 60 + y, np.full((height, width), 120)], -1
    ).astype(np.uint8)
    for bit in range(8):
        left, right = width * bit // 8, width * (bit + 1) // 8
        picture[: height // 2, left:right] = 255 if number >> (7 - bit) & 1 else 0
    return picture


def number_of(pixels: Picture) -> int:
    """The number that a decoded picture shows. Pixels are (H, W, C)."""
    height, width = pixels.shape[:2]
    row = pixels[: height // 2].mean((0, 2))
    bars = [row[width * bit // 8 : width * (bit + 1) // 8] for bit in range(8)]
    return sum(
        int(bar[len(bar) // 4 : -(len(bar) // 4) or None].mean() > 128) << (7 - k)
        for k, bar in enumerate(bars)
    )


def film(
    path: Path,
    pictures: int | Sequence[Picture] = 30,
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    fps: int = 25,
    size: tuple[int, int] = (48, 64),
    stamps: Callable[[int], int] = int,
    clock: Fraction | None = None,
    container: str | None = None,
    container_options: dict[str, str] | None = None,
    rotation: int = 0,
    flips: tuple[bool, bool] = (False, False),
    colour_range: int | None = None,
    start: int = 0,
) -> Path:
    """A film of numbered pictures, or of those given. `stamps` maps a position to its time in units of `clock`."""
    shown = (
        [numbered(k + start, *size) for k in range(pictures)]
        if isinstance(pictures, int)
        else pictures
    )
    with av.open(
        str(path), "w", format=container, container_options=container_options or {}
    ) as out:
        stream = _stream(out, codec, pixel_format, shown[0], fps)
        stream.options = options or {}
        if clock:
            stream.codec_context.time_base = clock
        if rotation or any(flips):
            stream.set_display_rotation(rotation, *flips)
        if colour_range:
            stream.codec_context.color_range = colour_range
        for packet in _encoded(stream, shown, stamps, clock or Fraction(1, fps), colour_range):
            out.mux(packet)
    return path


def with_another_stream(path: Path, kind: str) -> Path:
    """A film of 20 pictures, 48 × 64, before a second, smaller `video`, or after a `cover` or a `sound`."""
    pictures = [numbered(k) for k in range(20)]
    small = [numbered(255, 16, 32)] * 20
    with av.open(str(path), "w") as out:
        if kind == "video":
            stream = _stream(out, "libx264", "yuv420p", pictures[0], 25)
            other = _stream(out, "libx264", "yuv420p", small[0], 25)
            out.mux(list(_encoded(other, small)))
        elif kind == "cover":
            other = _stream(out, "mjpeg", "yuvj420p", small[0], 25)
            other.disposition = av.stream.Disposition.attached_pic
            stream = _stream(out, "libx264", "yuv420p", pictures[0], 25)
            out.mux(list(_encoded(other, small[:1])))
        else:
            other = _sound_stream(out)
            stream = _stream(out, "libx264", "yuv420p", pictures[0], 25)
            out.mux(list(_sound(other)))
        out.mux(list(_encoded(stream, pictures)))
    return path


def sound_only(path: Path) -> Path:
    """A file without video."""
    with av.open(str(path), "w") as out:
        out.mux(list(_sound(_sound_stream(out))))
    return path


def _stream(out: Any, codec: str, pixel_format: str, like: Picture, fps: int) -> Any:
    stream = out.add_stream(codec, rate=fps)
    stream.height, stream.width = like.shape[:2]
    stream.pix_fmt = pixel_format
    return stream


def _sound_stream(out: Any) -> Any:
    stream = out.add_stream("aac", rate=16000)
    stream.layout = "mono"
    return stream


def _encoded(
    stream: Any,
    pictures: Sequence[Picture],
    stamps: Callable[[int], int] = int,
    clock: Fraction = Fraction(1, 25),
    colour_range: int | None = None,
) -> Iterator[Any]:
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame = frame.reformat(format=stream.pix_fmt, dst_color_range=colour_range)
        frame.pts, frame.time_base = stamps(number), clock
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _sound(stream: Any) -> Iterator[Any]:
    for k in range(20):
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts = 16000, 1024 * k
        yield from stream.encode(frame)
    yield from stream.encode(None)
