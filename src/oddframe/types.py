"""The nouns. N clips or frames in a batch, C channels, T frames in a clip, H × W pixels.

All arrays are numpy's; a network turns them into tensors itself. Every array's first axis is N,
checked once, here. Nothing in this file decodes, learns or judges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
ChannelOrder = Literal["rgb", "bgr"]  # of colours, as a network is given them


class Masks(Protocol):
    """Pixel masks of T frames, gone through one after the other; an array (T, h, w) is one too.

    Those of files are read from disk each time they are gone through (`datasets/masks.py`).
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """(T, h, w)."""
        ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Bools]:
        """Each frame's (h, w), True where the pixel is anomalous."""
        ...


# corners x, y as fractions of a picture's width and height; the last is joined to the first
Polygon = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Bitmap:
    """Pixels of a picture, height × width, that are marked."""

    height: int
    width: int
    bits: bytes  # a bit a pixel, row by row, as `numpy.packbits` gives them


@dataclass(frozen=True)
class IgnoredArea:
    """Where in a camera's pictures nothing is looked at: all that any of its parts says."""

    polygons: tuple[Polygon, ...] = ()
    # of each, what lies outside all of its polygons: a region of interest
    regions: tuple[tuple[Polygon, ...], ...] = ()
    bitmaps: tuple[Bitmap, ...] = ()  # what is marked; each is stretched over the whole picture
    hatched: bool = False  # for people: drawn over and not blotted out


@dataclass(frozen=True)
class Truth:
    """What is known to be odd in one video of T frames."""

    frame: Bools  # (T,) True where the frame is anomalous
    mask: Masks | None = None  # (T, h, w); any h × w of the video's shape
    tracks: Floats | None = (
        None  # (R, 6): frame track x1 y1 x2 y2, boxes as fractions of width and height
    )
    kind: NDArray[np.str_] | None = None  # (T,) what sort of anomaly, "" where none
    note: str = ""  # anything a reader of the result must know ("label cut by one frame")

    def __post_init__(self) -> None:
        _same_length(self, "frame", "mask", "kind")
        if self.tracks is not None and (self.tracks.ndim != 2 or self.tracks.shape[1] != 6):
            raise ValueError(
                f"tracks are rows of frame track x1 y1 x2 y2, got shape {self.tracks.shape}"
            )


@dataclass(frozen=True)
class Video:
    """Where a video is; not yet decoded. `truth` takes the number of frames decoded and is called
    by evaluate alone.
    """

    name: str
    source: Path  # a video file, or a folder of frames
    fps: float | None = None  # frames per second, where the source does not say or says it wrongly
    label: str | None = None  # its class, in a data set that has classes
    group: str | None = None  # the recording it was cut from; whole groups are held out of fitting
    truth: Callable[[int], Truth] | None = field(default=None, compare=False)
    span: tuple[float, float] | None = None  # only these seconds of it [start, end)
    # of grey pictures of more than 8 bits: the values that are shown as black and as white
    levels: tuple[float, float] | None = None
    ignored: IgnoredArea | None = None  # is one grey in every frame read
    # a file of what is known of it (`video.kept`): where it is there, the source need not be
    kept: Path | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Frame:
    """One decoded picture."""

    index: int  # position in the source, from 0, whatever rate the method asked for
    seconds: float  # presentation time since the source's first frame
    pixels: Bytes  # (H, W, C)


@dataclass(frozen=True)
class ClipSpec:
    """How a method wants video cut. The decoder itself scales and colours: no full-size RGB copy is
    ever made.

    `size` is (height, width); one number is a width, the height follows the video's shape (never
    enlarged); None leaves it as it is. `fps` thins faster video to that rate, so that a camera's
    frame rate does not change what a method sees; slower video is taken as it comes. With
    `pad_start` a stream begins with clips whose missing past is its first frame repeated, so that
    every frame has a clip; `Clips.times` says which frames are made up. With `resample_short` a
    stream shorter than a clip gives one clip, its frames repeated as needed.
    """

    length: int = 16  # T: frames in a clip
    stride: int = 1  # frames from one frame of a clip to the next
    hop: int = 1  # frames from one clip to the next
    size: tuple[int, int] | int | None = (112, 112)
    colour: Literal["rgb", "grey"] = "rgb"
    target: Literal["first", "centre", "last"] = "last"  # the frame that a clip's score is of
    fps: float | None = None
    pad_start: bool = False
    resample_short: bool = False
    # seconds before a span of a video that are scored too, and dropped, so that it begins as the
    # whole video goes on
    warm_up: float = 0.0

    def __post_init__(self) -> None:
        for name in ("length", "stride", "hop"):
            if getattr(self, name) < 1:
                raise ValueError(f"a clip's {name} is at least 1, got {getattr(self, name)}")

    @property
    def span(self) -> int:
        """Frames (at the spec's rate) from a clip's first to its last, both counted."""
        return (self.length - 1) * self.stride + 1

    @property
    def target_index(self) -> int:
        """Position, within the span, of the frame that the clip's score is of."""
        return {"first": 0, "centre": (self.span - 1) // 2, "last": self.span - 1}[self.target]

    @property
    def lookahead(self) -> int:
        """Frames (at the spec's rate) after its target that a clip's score has read."""
        return self.span - 1 - self.target_index


@dataclass(frozen=True)
class Clips:
    """A batch of clips of one video. Overlapping clips are views of one strip of frames: do not
    write to them.
    """

    pixels: Bytes  # (N, C, T, H, W)
    video: str
    frame_index: Ints  # (N,) index, in the source, of each clip's target frame
    seconds: Floats  # (N,) and its time
    # (N, T) seconds of every frame of every clip; NaN for those made up at a stream's start
    # (`pad_start`)
    times: Floats

    def __post_init__(self) -> None:
        if self.pixels.ndim != 5:
            raise ValueError(f"clips are (N, C, T, H, W), got {self.pixels.shape}")
        _same_length(self, "pixels", "frame_index", "seconds", "times")

    def __len__(self) -> int:
        return len(self.frame_index)


@dataclass(frozen=True)
class Scores:
    """What a detector says of N frames of one video. Higher is stranger, for every method."""

    video: str
    frame: Ints  # (N,) index in the source
    seconds: Floats  # (N,)
    value: Floats  # (N,)
    map: Floats | None = (
        None  # (N, h, w) on the scale of value; covers the whole picture, any h × w
    )
    boxes: tuple[Floats, ...] | None = (
        None  # N × (n, 5): x1 y1 x2 y2 as fractions of the picture, and a value
    )
    # (N,) each, by name: what the value is made of
    components: Mapping[str, Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _same_length(self, "frame", "seconds", "value", "map", "boxes")
        for name, values in self.components.items():
            if values.shape != (len(self.frame),):
                raise ValueError(
                    f"Scores: {len(self.frame)} frames, "
                    f"but the component {name} has shape {values.shape}"
                )

    def __len__(self) -> int:
        return len(self.frame)


@dataclass(frozen=True)
class Event:
    """Something odd, from when to when and where. Times are seconds of the video; peak is a rarity
    (−log10 p).
    """

    video: str
    start: float
    end: float
    peak: float
    peak_seconds: float
    box: tuple[float, float, float, float] | None = (
        None  # x1 y1 x2 y2 at the peak, fractions of the picture
    )
    over: bool = True  # False while it lasts: the video ended before the event did
    picture: Path | None = None  # thumbnail of the peak
    clip: Path | None = None  # the event cut out of the video, with what came just before and after


@dataclass(frozen=True)
class Example:
    """Why a frame is odd, said by the nearest normal thing that the method remembers."""

    text: str  # one sentence, with numbers
    box: tuple[float, float, float, float]  # where in the odd frame, fractions of the picture
    source: Path | None = None  # the training video that holds the nearest normal example
    frame: int = 0  # its frame there
    example_box: tuple[float, float, float, float] | None = None  # and its place


def _same_length(value: Any, *names: str) -> None:
    lengths = {name: len(part) for name in names if (part := getattr(value, name)) is not None}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{type(value).__name__}: first axes differ, got {lengths}")
