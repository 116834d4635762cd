"""Scale, turn and colour inside FFmpeg's filter graph, as a ClipSpec asks: no full-size RGB copy is
ever made.
"""

from fractions import Fraction
from itertools import product
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from av.video.frame import VideoFrame

from oddframe.errors import BadVideo
from oddframe.types import Bools, Bytes, ClipSpec, IgnoredArea
from oddframe.video.damage import FAULTS, error_text
from oddframe.video.ignored import cover, hatch, touched_pixels

# mean error 1.15 grey levels, against 3.9 with FFmpeg's default
SCALING = "area+accurate_rnd+full_chroma_int"
UNSPECIFIED = 2  # FFmpeg's number, for colour matrix, primaries and transfer alike
# FFmpeg's numbers of what its scaler can work with (H.273). Other tags are taken as unspecified:
# they change no grey level, and refusing the film for them would lose it whole.
MATRICES = {0, 1, 2, 4, 5, 6, 7, 9}
PRIMARIES = {1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 22}
TRANSFERS = {1, 2, 4, 5, 6, 7, 8, 11, 12, 13, 14, 15, 16, 17, 18}
RANGES = {0, 1, 2}
FULL_RANGE = 2
# FFmpeg's name for a quarter turn, by degrees clockwise and whether the picture is mirrored too
TRANSPOSES = {
    (90, False): "clock",
    (90, True): "cclock_flip",
    (270, False): "cclock",
    (270, True): "clock_flip",
}
FLOAT_PIXELS = {"grayf32le", "grayf32be"}
INTEGER_PIXELS = {
    f"gray{bits}{order}" for bits, order in product((9, 10, 12, 14, 16), ("le", "be"))
}
DEEP_PIXELS = FLOAT_PIXELS | INTEGER_PIXELS


def size_of(spec: ClipSpec, width: int, height: int) -> tuple[int, int]:
    """The (height, width) that a spec asks for. A width alone keeps the picture's shape and never
    enlarges it.
    """
    if spec.size is None:
        return height, width
    if isinstance(spec.size, tuple):
        return spec.size
    wide = min(spec.size, width)
    return max(2, round(height * wide / width)), wide


class Scaler:
    """Decoded picture in, (H, W, C) array out.

    The size follows from `shown`, the height and width at which the source is shown, and is kept
    when a stream changes its own. Grey pictures of more than 8 bits are shown from `levels[0]`
    (black) to `levels[1]` (white) where given; those of floats have to be. What lies in the ignored
    area is one grey in every picture, so that nothing there can move or look odd.
    """

    def __init__(
        self,
        spec: ClipSpec,
        shown: tuple[int, int],
        levels: tuple[float, float] | None = None,
        ignored: IgnoredArea | None = None,
    ) -> None:
        self.spec = spec
        self.size = size_of(spec, shown[1], shown[0])
        self.levels = levels
        self.covered: Bools | None = None  # (H, W)
        self.cover = cover
        if ignored is not None:
            self.covered = touched_pixels(ignored, self.size)
            self.cover = hatch if ignored.hatched else cover
        self.made_for: tuple[Any, ...] | None = None

    def __call__(self, picture: VideoFrame) -> Bytes:
        turns = turns_of(picture)
        try:
            picture = self._prepared(picture)
            shape = (picture.width, picture.height, picture.format.name)
            kind = (*shape, picture.color_range, picture.colorspace, turns)
            if kind != self.made_for:
                self._make(picture, turns)
                self.made_for = kind
            self.source.push(picture)
            scaled: Any = self.sink.pull()
            # FFmpeg pads rows of odd widths; OpenCV's optical flow takes no array with gaps
            pixels: Bytes = np.ascontiguousarray(scaled.to_ndarray())
        except FAULTS as error:
            name = picture.format.name
            reason = error_text(error)
            raise BadVideo(f"pictures of the kind {name} cannot be scaled ({reason})") from error
        if pixels.ndim == 2:
            pixels = pixels[:, :, None]
        if self.covered is not None:
            return self.cover(pixels, self.covered)
        return pixels

    def _prepared(self, picture: VideoFrame) -> VideoFrame:
        """The picture with tags that the scaler can work with, and eight bits where levels are
        given.
        """
        name = picture.format.name
        if name in DEEP_PIXELS and self.levels is not None:
            return shown_at_levels(picture, self.levels)
        if name in FLOAT_PIXELS:
            raise ValueError(
                "floating-point pictures are read only at the levels that a fit learned"
            )
        if picture.colorspace not in MATRICES:
            picture.colorspace = UNSPECIFIED
        if picture.color_primaries not in PRIMARIES:
            picture.color_primaries = UNSPECIFIED
        if picture.color_trc not in TRANSFERS:
            picture.color_trc = UNSPECIFIED
        if picture.color_range not in RANGES:
            picture.color_range = 0
        return picture

    def _make(self, picture: VideoFrame, turns: tuple[tuple[str, str | None], ...]) -> None:
        self.graph: Any = av.filter.Graph()  # kept: FFmpeg's buffers die with it
        self.source = last = self.graph.add_buffer(
            width=picture.width,
            height=picture.height,
            format=picture.format,
            time_base=picture.time_base or Fraction(1, 25),
        )
        height, width = self.size
        colours = {"rgb": "rgb24", "grey": "gray"}
        steps: list[tuple[str, str | None]] = [
            *turns,
            ("scale", f"{width}:{height}:flags={SCALING}"),
            ("format", colours[self.spec.colour]),
            ("buffersink", None),
        ]
        for name, value in steps:
            step = self.graph.add(name, value)
            last.link_to(step)
            last = step
        self.sink = last
        self.graph.configure()


def shown_at_levels(picture: VideoFrame, levels: tuple[float, float]) -> VideoFrame:
    """A grey picture of more than 8 bits as one of 8: levels[0] is black, levels[1] white, the rest
    in proportion.
    """
    low, high = levels
    values = np.asarray(picture.to_ndarray(), np.float32)  # (H, W)
    scaled = (values - low) * (255 / max(high - low, 1e-12))
    levels_shown = np.rint(scaled.clip(0, 255)).astype(np.uint8)
    shown = VideoFrame.from_ndarray(levels_shown, format="gray")
    shown.color_range = FULL_RANGE
    shown.pts = picture.pts
    return shown


def turns_of(picture: VideoFrame) -> tuple[tuple[str, str | None], ...]:
    """FFmpeg's filters, with their arguments, that turn or mirror the picture for showing; most
    need none.
    """
    clockwise = -round(picture.rotation / 90) * 90 % 360
    across, down, slant = display_axes(picture)
    if clockwise in (90, 270):
        mirrored = {90: slant > 0, 270: slant < 0}
        return (("transpose", TRANSPOSES[clockwise, mirrored[clockwise]]),)
    half = clockwise == 180
    turns: list[tuple[str, str | None]] = []
    if half and (across or -1) < 0:
        turns.append(("hflip", None))
    if (down or -half) < 0:
        turns.append(("vflip", None))
    return tuple(turns)


def shown_size(picture: VideoFrame, pixel_aspect: float = 1.0) -> tuple[int, int]:
    """(height, width) at which a picture is shown, turned, with square pixels.

    Where pixels are not square the shorter of their sides is stretched: what was recorded is never
    made smaller.
    """
    height, width = picture.height, picture.width
    if pixel_aspect < 1:
        height = round(height / pixel_aspect)
    else:
        width = round(width * pixel_aspect)
    filters = dict(turns_of(picture))
    if "transpose" in filters:
        return width, height
    return height, width


def display_axes(picture: VideoFrame) -> tuple[int, int, int]:
    """Where the display matrix sends x, y, and y across: it tells a mirror from a turn. Zeros where
    not said.
    """
    try:
        # not picture.side_data: it keeps each full-size frame alive until the garbage collector
        # comes by
        data: Any = SideDataContainer(picture).get("DISPLAYMATRIX")  # type: ignore[call-arg]
    except ValueError:  # PyAV stops at side data that it has no name for, as photographs carry
        return 0, 0, 0
    if data is None:
        return 0, 0, 0
    matrix = np.frombuffer(data, np.int32).tolist()
    return matrix[0], matrix[4], matrix[3]
