"""Frames to an H.264 file that browsers play, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import av
import numpy as np

from oddframe.errors import BadInput
from oddframe.files import aside
from oddframe.types import Bytes

THREADS = 2  # not the machine's number of cores: the encoder's bytes depend on it
# x264's macroblock tree is not repeatable on a processor with AVX-512: 15 encodings of the same
# frames made 11 different files with it, and 760 (of four films) made one a film without it
REPEATABLE = {"x264-params": "mbtree=0"}
TICKS = 10_000  # time stamps are at least this fine, in parts of a second
# FFmpeg's number (SMPTE 170M) of the colours into which it converts RGB where nothing is asked
BT601 = 6
LONGEST_SIDE = 16384  # libx264 takes no more
# ticks between two frames; twice as many are more than mp4 and x264 can count
LONGEST_PAUSE = 200_000_000


@contextmanager
def video_writer(
    path: Path, fps: float, size: tuple[int, int], *, crf: int = 23, preset: str = "veryfast"
) -> Iterator[VideoWriter]:
    """Write frames of `size` (height, width) to an mp4, which is there once the block has ended
    well.

    `crf` is H.264's constant rate factor: 0 is lossless, 18 looks so, 23 is usual, 51 is worst. An
    odd side is made even by repeating the last row or column, as 4:2:0 colour has no other way.
    Raises BadInput for a rate or size that cannot be, when no frame was written, and when the disk
    is full.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with video_writer(Path(folder) / "a.mp4", 25, (16, 16)) as film:
    ...         film.write(np.zeros((16, 16, 3), np.uint8))
    """
    if not 0.01 <= fps <= 1000:
        raise BadInput(f"a video has between 0.01 and 1000 frames per second, got {fps}")
    if not all(1 <= side <= LONGEST_SIDE for side in size):
        raise BadInput(
            f"a video's sides are between 1 and {LONGEST_SIDE} pixels, got (height, width) = {size}"
        )
    with aside(path) as part:
        try:
            with av.open(
                str(part), "w", format="mp4", options={"movflags": "+faststart"}
            ) as container:
                film = VideoWriter(container, fps, size, crf, preset)
                yield film
                film.finish()
        except av.FFmpegError as error:
            raise BadInput(f"cannot write {path}: {error.strerror or error}") from error
        if not film.frames:
            raise BadInput(f"there is no frame to write to {path}")


class VideoWriter:
    """What `video_writer` gives: call `write` with each frame."""

    def __init__(
        self, container: Any, fps: float, size: tuple[int, int], crf: int, preset: str
    ) -> None:
        rate = exact_rate(fps)
        self.size = size
        self.frames = 0
        self._step = 1 / rate
        self._tick = Fraction(1, rate.numerator * ceil(TICKS / rate.numerator))
        self._last = -1
        self._left_out = 0  # ticks by which pauses were shortened
        self._container = container
        height = size[0] + size[0] % 2
        width = size[1] + size[1] % 2
        self._stream = container.add_stream(
            "libx264", rate=rate, options={"crf": str(crf), "preset": preset, **REPEATABLE}
        )
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        self._stream.codec_context.thread_count = THREADS
        self._stream.codec_context.time_base = self._tick
        # said in the file, or players take anything from 720 rows up for BT.709 and show other
        # colours
        self._stream.codec_context.colorspace = self._stream.codec_context.color_primaries = BT601
        self._stream.codec_context.color_trc = BT601
        self._padded = np.empty((height, width, 3), np.uint8)

    def write(self, pixels: Bytes, seconds: float | None = None) -> None:
        """Add a frame, (H, W, 3) RGB or (H, W, 1) grey uint8, at `seconds` or one step of the rate
        after the last.

        A time that is not after the last frame's is moved to the next tick, and a pause of hours
        (LONGEST_PAUSE) is shortened.
        """
        if pixels.dtype != np.uint8 or pixels.shape not in ((*self.size, 3), (*self.size, 1)):
            raise ValueError(
                f"frames here are {self.size} × (1 or 3) uint8, got {pixels.shape} {pixels.dtype}"
            )
        height, width = self.size
        whole = self._padded  # (even H, even W, 3)
        whole[:height, :width] = pixels
        whole[height:, :width] = whole[height - 1, :width]
        whole[:, width:] = whole[:, width - 1 : width]
        picture = av.VideoFrame.from_ndarray(whole, format="rgb24")
        if seconds is not None:
            wanted = round(seconds / self._tick) - self._left_out
        elif self.frames:
            wanted = self._last + round(self._step / self._tick)
        else:
            wanted = 0
        latest = self._last + LONGEST_PAUSE
        if wanted > latest:
            self._left_out += wanted - latest
            wanted = latest
        self._last = picture.pts = max(wanted, self._last + 1)
        picture.time_base = self._tick
        self._container.mux(self._stream.encode(picture))
        self.frames += 1

    def finish(self) -> None:
        """Write what the encoder still holds. `video_writer` calls it."""
        self._container.mux(self._stream.encode(None))


def exact_rate(fps: float) -> Fraction:
    """The rate meant by a rounded number: 29.97 is 30000/1001."""
    nominal = Fraction(1000 * round(fps * 1.001), 1001)
    if abs(fps - nominal) < 0.001:
        return nominal
    return Fraction(fps).limit_denominator(1001)
