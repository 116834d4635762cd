"""The cells of whole videos, kept on disk while a scene is learned: one pass over the pixels,
memory that does not grow with their length.

M frames with A cells in all, five numbers each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from threading import Event

import numpy as np

from oddframe.cache import key
from oddframe.methods.scene.cells import Cells, CellStream, CellWatcher, join
from oddframe.progress import logger, progress
from oddframe.run import Arrays, Run
from oddframe.types import ClipSpec, Floats, Ints, Video
from oddframe.video.eigenbackground import EigenBackground
from oddframe.video.motion import Flow
from oddframe.video.reader import content_of, read

BATCH = 32  # frames described at once


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
        stop = Event()
        pool = ThreadPoolExecutor(max(1, run.threads))
        with pool, progress("watching", len(videos), "videos") as tick:

            def one(video: Video) -> Described:
                name = f"scene-{self.key_of(video)}"
                arrays = run.remember(name, lambda: self.describe(video, stop))
                tick()
                return Described(name, len(arrays["frame"]), len(arrays["cell"]))

            try:
                return list(pool.map(one, videos))
            except BaseException:
                stop.set()  # or Ctrl-C would wait for the videos at hand, hours perhaps
                raise

    def key_of(self, video: Video) -> str:
        """A name for everything that the cells of a video depend on."""
        spec = (self.spec.size, self.spec.fps, self.stride, self.seconds, self.flow)
        return key(content_of(video), spec, self.background)

    def describe(self, video: Video, stop: Event) -> Arrays:
        """The cells of one video by their names. Raises CancelledError once `stop` is set."""
        damage: list[str] = []
        stream = CellStream(self.watcher())
        frames = read(video, self.spec, damage, threads=1)
        index: list[int] = []
        seconds: list[float] = []
        cells: list[Cells] = []
        while group := list(islice(frames, BATCH)):
            if stop.is_set():
                raise CancelledError
            for frame, one in stream.see(group):
                index.append(frame.index)
                seconds.append(frame.seconds)
                cells.append(one)
        for line in damage:
            logger.warning("damaged: %s", line)
        return as_arrays(index, seconds, cells)


def as_arrays(index: Sequence[int], seconds: Sequence[float], cells: Sequence[Cells]) -> Arrays:
    """The arrays of VideoCells by their names; numbers in half precision, which is fine enough."""
    counts = [len(one.cell) for one in cells]
    joined = join(cells)
    return {
        "frame": np.array(index, np.int64),
        "seconds": np.array(seconds, np.float64),
        "first": np.cumsum([0, *counts]),
        "cell": joined.cell.astype(np.int32),
        "numbers": joined.numbers.astype(np.float16),
    }


def recall(run: Run, described: Sequence[Described]) -> Iterator[VideoCells]:
    """The cells of described videos, one after the other."""
    for one in described:
        yield VideoCells(**run.remember(one.name, not_described))


def not_described() -> Arrays:
    """What was described is on disk. Raises FileNotFoundError."""
    raise FileNotFoundError("what was described of a video has gone while it was used")
