"""The cells of whole videos, kept on disk while a scene is learned: one pass over the pixels,
memory that does not grow with their length.

M frames with A cells in all, five numbers each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from itertools import islice
from threading import Event
from typing import NamedTuple

import numpy as np

from oddframe.cache import key
from oddframe.methods.scene.cells import (
    STANDING,
    Cells,
    CellStream,
    CellWatcher,
    Seen,
    StandingCounter,
    arrival_of,
    grid_of,
    join,
    lag_of,
    longest_of,
)
from oddframe.progress import logger
from oddframe.run import Arrays, Run
from oddframe.types import Bools, Bytes, ClipSpec, Floats, Frame, Ints, Video
from oddframe.video.eigenbackground import EigenBackground
from oddframe.video.kept_features import (
    are_kept,
    opened_features,
    refuse_gone,
    save_features,
)
from oddframe.video.motion import Flow
from oddframe.video.reader import content_of, read
from oddframe.video.side_by_side import watch_each

METHOD = "scene"  # under whose name what was seen is kept
BATCH = 32  # frames described at once
BY_FRAME = ("frame", "seconds", "is_first", "still", "empty")
SEEN = (*BY_FRAME, "first", "cell", "numbers")  # arrays of what was seen in a video


@dataclass(frozen=True)
class VideoCells:
    """The cells of each frame of one video. About 40 MB an hour."""

    frame: Ints  # (M,) index in the source
    seconds: Floats  # (M,)
    first: Ints  # (M + 1,) where each frame's cells begin in the next two
    cell: Ints  # (A,) which cell of the grid
    numbers: Floats  # (A, 5)

    def at(self, m: int) -> Cells:
        """The cells of frame m."""
        part = slice(int(self.first[m]), int(self.first[m + 1]))
        return Cells(self.cell[part].astype(int), self.numbers[part].astype(np.float32))

    def cells_at(self, positions: Ints) -> Cells:
        """Some of the A cells as one set, whatever frame they are of."""
        chosen = self.cell[positions].astype(int)
        return Cells(chosen, self.numbers[positions].astype(np.float32))

    def between(self, start: int, end: int) -> VideoCells:
        """Frames start … end − 1 as a video of their own."""
        low = int(self.first[start])
        high = int(self.first[end])
        return VideoCells(
            self.frame[start:end],
            self.seconds[start:end],
            self.first[start : end + 1] - low,
            self.cell[low:high],
            self.numbers[low:high],
        )


@dataclass(frozen=True)
class Described:
    """What was described of one video: the name under which it is remembered, and how much it is."""

    name: str
    frames: int
    cells: int


@dataclass(frozen=True)
class Describer:
    """How video is described: everything that cells depend on besides the video."""

    spec: ClipSpec
    background: EigenBackground | None
    shape: tuple[int, int]  # H × W pixels
    stride: int
    fps: float
    seconds: float  # for which standing is counted
    flow: Flow

    def watcher(self) -> CellWatcher:
        """What describes the frames of a stream one after the other."""
        return CellWatcher(
            self.background,
            self.shape,
            stride=self.stride,
            fps=self.fps,
            seconds=self.seconds,
            flow=self.flow,
        )

    def describe_all(self, videos: Sequence[Video], run: Run) -> list[Described]:
        """Describe each video, side by side; what was described is found again by `recall`."""

        def describe(video: Video, stop: Event) -> Described:
            name = f"scene-{self.key_of(video)}"
            arrays = run.remember(name, lambda: self.kept_or_described(video, stop))
            return Described(name, len(arrays["frame"]), len(arrays["cell"]))

        return watch_each(videos, run.threads, describe)

    def keep_all(self, videos: Sequence[Video], run: Run) -> None:
        """See to it that what is seen in each whole video lies beside its `kept`. Raises BadRun
        where it does not and the video is gone.
        """
        waiting = [video for video in videos if not are_kept(video, METHOD, self.way)]
        for video in waiting:
            refuse_gone(video, METHOD, "of another background")

        def keep(video: Video, stop: Event) -> None:
            save_features(video, METHOD, self.way, self.see(video, stop))

        watch_each(waiting, run.threads, keep)

    def kept_or_described(self, video: Video, stop: Event) -> Arrays:
        """The cells of a video, which is not read where they are kept. Raises BadRun."""
        if not are_kept(video, METHOD, self.way):
            return self.described(self.see(video, stop))
        with opened_features(video, METHOD) as kept:
            arrays = {name: kept[name] for name in SEEN}
        return self.described(cut_to(arrays, video.span))

    @property
    def way(self) -> str:
        """A name for everything that what is seen depends on besides the video."""
        spec = (self.spec.size, self.spec.fps, self.stride, self.flow)
        return key(spec, self.background)

    def key_of(self, video: Video) -> str:
        """A name for everything that the cells of a video depend on."""
        spec = (self.spec.size, self.spec.fps, self.stride, self.seconds, self.flow)
        return key(content_of(video), spec, self.background)

    def see(self, video: Video, stop: Event) -> Arrays:
        """What is seen in the frames of one video, by the names of SEEN. Raises CancelledError once
        `stop` is set.
        """
        damage: list[str] = []
        stream = CellStream(self.watcher())
        frames = read(video, self.spec, damage, threads=1)
        found: list[Look] = []
        while group := list(islice(frames, BATCH)):
            if stop.is_set():
                raise CancelledError
            for frame, seen in stream.see_all(group):
                found.append(look_of(frame, seen))
        for line in damage:
            logger.warning("damaged: %s", line)
        return as_arrays(found)

    def described(self, seen: Arrays) -> Arrays:
        """The arrays of VideoCells by their names, with how long things stand, from what was seen."""
        h, w = grid_of(self.shape, self.stride)
        lag = lag_of(self.fps)
        numbers = seen["numbers"].copy()
        first = seen["first"]
        since = 0  # frames since the beginning, or a jump of the clock
        longest = longest_of(self.fps, self.seconds)
        arrival = arrival_of(self.fps, self.seconds)
        counter = StandingCounter((h, w), longest, arrival)
        kept = np.ones(len(numbers), bool)  # cells of what has come
        for m, is_first in enumerate(seen["is_first"].tolist()):
            if is_first:
                since = 0
                counter = StandingCounter((h, w), longest, arrival)
            still = unpacked(seen["still"][m], (h, w)) & (since >= lag)
            count = counter.push(still, unpacked(seen["empty"][m], (h, w)))
            part = slice(int(first[m]), int(first[m + 1]))
            numbers[part, STANDING] = (count.ravel()[seen["cell"][part]] / self.fps).astype(
                np.float16
            )
            if self.background is not None:
                kept[part] = counter.arrived.ravel()[seen["cell"][part]]
            since += 1
        said = np.flatnonzero(~seen["is_first"])
        of_frame = np.repeat(np.arange(len(first) - 1), np.diff(first))
        kept &= ~seen["is_first"][of_frame]
        counts = np.bincount(of_frame[kept], minlength=len(first) - 1)
        return {
            "frame": seen["frame"][said],
            "seconds": seen["seconds"][said],
            "first": np.cumsum([0, *counts[said].tolist()]),
            "cell": seen["cell"][kept],
            "numbers": numbers[kept],
        }


class Look(NamedTuple):
    """What is held of a frame, for every frame of a video: eight cells a byte."""

    frame: int  # its index in the source
    seconds: float
    is_first: bool
    still: Bytes
    empty: Bytes
    cells: Cells


def look_of(frame: Frame, seen: Seen) -> Look:
    """What is held of a frame in which this was seen."""
    still = np.packbits(seen.still)
    empty = np.packbits(seen.empty)
    return Look(frame.index, frame.seconds, seen.is_first, still, empty, seen.cells)


def unpacked(bits: Bytes, shape: tuple[int, int]) -> Bools:
    """(h, w) from eight cells a byte."""
    cells = shape[0] * shape[1]
    return np.unpackbits(bits, count=cells).astype(bool).reshape(shape)


def as_arrays(found: Sequence[Look]) -> Arrays:
    """What was seen by the names of SEEN; numbers in half precision, which is fine enough."""
    counts = [len(one.cells.cell) for one in found]
    joined = join([one.cells for one in found])
    return {
        "frame": np.array([one.frame for one in found], np.int64),
        "seconds": np.array([one.seconds for one in found], np.float64),
        "is_first": np.array([one.is_first for one in found], bool),
        "still": np.array([one.still for one in found], np.uint8),
        "empty": np.array([one.empty for one in found], np.uint8),
        "first": np.cumsum([0, *counts]),
        "cell": joined.cell.astype(np.int32),
        "numbers": joined.numbers.astype(np.float16),
    }


def cut_to(seen: Arrays, span: tuple[float, float] | None) -> Arrays:
    """What was seen in a span of a video, as if nothing had come before it."""
    if span is None:
        return seen
    start, end = np.searchsorted(seen["seconds"], span).tolist()
    part = {name: seen[name][start:end] for name in BY_FRAME}
    part["is_first"] = part["is_first"].copy()
    part["is_first"][:1] = True
    first = seen["first"][start : end + 1]
    cells = slice(int(first[0]), int(first[-1]))
    return {
        **part,
        "first": first - first[0],
        "cell": seen["cell"][cells],
        "numbers": seen["numbers"][cells],
    }


def recall(run: Run, described: Sequence[Described]) -> Iterator[VideoCells]:
    """The cells of described videos, one after the other."""
    for one in described:
        yield VideoCells(**run.remember(one.name, not_described))


def not_described() -> Arrays:
    """What was described is on disk. Raises FileNotFoundError."""
    raise FileNotFoundError("what was described of a video has gone while it was used")
