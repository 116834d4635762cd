"""What Scene sees of a frame: for each cell of the picture that a thing covers, how the thing moves,
how far it reaches, and for how long it has stood.

H × W pixels; a grid of h × w cells; A of them are covered by things and described by five numbers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from oddframe.types import Bools, Bytes, Floats, Frame, Ints
from oddframe.video.background import softened
from oddframe.video.eigenbackground import SOFT, EigenBackground
from oddframe.video.filmed_time import StreamClock
from oddframe.video.motion import Flow, optical_flow

ACROSS, DOWN, NEAR, WIDE, STANDING = range(5)  # the numbers of a cell, in their order
NUMBERS = 5
COVERED = 0.3  # share of a cell that things cover, from which on the cell is described
FLOW_WINDOW = 8  # pixels over which flow is averaged
LEAST_COVER = 0.05  # of a window, so that an empty one divides by something
NEAR_CELLS = 3  # cells a side of the smaller neighbourhood
WIDE_CELLS = 7  # and of the larger
STILL_SECONDS = 0.5  # in which the pixels of what stands do not change
LEAST_CHANGE = 7.0  # grey levels by which a pixel has changed
CHANGE_NOISES = 3.0  # the same in standard deviations of the noise
STILL_SHARE = 0.75  # of what covers a neighbourhood has to be still for the cell to count as such
EMPTY = 0.25  # share of a neighbourhood below which nothing is there
# for which something may be at a place: what was there for longer, or from the start, is taken for
# a change of the background, not for a thing
ARRIVAL_SECONDS = 10.0


@dataclass(frozen=True)
class Cells:
    """The cells that things cover in one frame: which, (A,), and their numbers, (A, 5)."""

    cell: Ints
    numbers: Floats


@dataclass(frozen=True)
class Seen:
    """What was seen in a frame: its cells, and what counting how long things stand asks of it."""

    cells: Cells
    arrived: Bools  # (h, w) where what is there came within the last ARRIVAL_SECONDS
    still: Bools  # (h, w) where what is there has not changed
    empty: Bools  # (h, w) where nothing is
    is_first: bool  # of frames that follow each other: nothing tells how anything moves in it


@dataclass(frozen=True)
class Picture:
    """What is computed of each frame by itself."""

    grey: Bytes  # (H, W)
    soft: Bytes  # (H, W)
    things: Bytes  # (H, W) 1 where a thing is


def join(parts: Sequence[Cells]) -> Cells:
    """The cells of several frames as one set."""
    none = Cells(np.zeros(0, int), np.zeros((0, NUMBERS), np.float32))
    together = [none, *parts]
    cell = np.concatenate([part.cell for part in together])
    return Cells(cell, np.concatenate([part.numbers for part in together]))


def those_at(cells: Cells, places: Bools) -> Cells:
    """The cells that lie at these places (h, w)."""
    kept = places.ravel()[cells.cell]
    return Cells(cells.cell[kept], cells.numbers[kept])


class StandingCounter:
    """Counts for how long what is at each cell has stood there, from when the cell was last empty."""

    def __init__(self, shape: tuple[int, int], longest: int, arrival: int) -> None:
        self.longest = longest  # frames for which standing is counted
        self.arrival = arrival  # frames in which something has come
        # (h, w) each: for how many frames each cell had been still, up to each of the last frames
        self.still_so_far: deque[Ints] = deque([np.zeros(shape, np.int64)], maxlen=longest + 1)
        # frames since a cell was last empty, which is not known at the start
        self.there_for = np.full(shape, arrival, np.int64)
        self.was_empty = np.ones(shape, bool)

    def push(self, still: Bools, empty: Bools) -> Ints:
        """(h, w) of the last `longest` frames, those for which what is at a cell stood there, since
        it was last empty for two frames; one more frame says where it is still and where empty.
        """
        gone = empty & self.was_empty
        self.was_empty = empty
        self.there_for = np.where(gone, 0, np.minimum(self.there_for + 1, self.arrival))
        self.still_so_far.append(self.still_so_far[-1] + still)
        history = np.stack(self.still_so_far)  # (n + 1, h, w)
        counted = np.minimum(self.there_for, self.longest)
        begin = np.maximum(len(history) - 1 - counted, 0)
        before = np.take_along_axis(history, begin[None], axis=0)[0]
        return np.asarray(history[-1] - before)

    @property
    def arrived(self) -> Bools:
        """(h, w) where a cell was empty not long ago, so that what is there has come."""
        return np.asarray(self.there_for < self.arrival)


class CellWatcher:
    """Describes one frame after the other; nothing older than `memory_of` frames counts."""

    def __init__(
        self,
        background: EigenBackground | None,
        shape: tuple[int, int],
        *,
        stride: int,
        fps: float,
        seconds: float,
        flow: Flow,
    ) -> None:
        self.background = background  # None where there is none: then things are everywhere
        self.stride = stride
        self.flow = flow
        self.lag = lag_of(fps)
        self.longest = longest_of(fps, seconds)
        self.arrival = arrival_of(fps, seconds)
        self.per_frame = 1 / fps
        self.changed: Floats = np.full(shape, LEAST_CHANGE, np.float32)
        if background is not None:
            self.changed = np.maximum(LEAST_CHANGE, CHANGE_NOISES * background.noise)
        self.shape = grid_of(shape, stride)
        self.begin()

    def begin(self) -> None:
        """Forget the past: frames that follow do not continue those before."""
        self.past: deque[Picture] = deque(maxlen=self.lag + 1)
        self.standing = StandingCounter(self.shape, self.longest, self.arrival)

    def prepare(self, grey: Bytes) -> Picture:
        """What needs no other frame: may be done for many side by side."""
        soft = softened(grey, SOFT)
        if self.background is None:
            return Picture(grey, soft, np.ones_like(soft))
        return Picture(grey, soft, self.background.foreground(soft))

    def describe_all(
        self, frames: Sequence[Bytes], seconds: Sequence[float], pool: ThreadPoolExecutor | None
    ) -> list[Seen]:
        """What is seen in frames (H, W) that follow each other, `seconds` after the frame before."""
        run = map if pool is None else pool.map
        pictures = list(run(self.prepare, frames))
        before = [*list(self.past)[-1:], *pictures[:-1]]
        if not self.past:
            before = [pictures[0], *pictures[:-1]]
        flows = list(run(self.flow_between, before, pictures))
        found = []
        for picture, arrows, step in zip(pictures, flows, seconds, strict=True):
            found.append(self.see(picture, arrows, step))
        return found

    def flow_between(self, before: Picture, now: Picture) -> Floats:
        """(H, W, 2) pixels; zeros where no thing is, which is most of the time at most cameras."""
        if not now.things.any():
            return np.zeros((*now.grey.shape, 2), np.float32)
        return optical_flow(before.grey, now.grey, self.flow)

    def see(self, picture: Picture, arrows: Floats, seconds: float) -> Seen:
        """What is seen in the next frame; arrows are of the `seconds` before it."""
        is_first = not self.past
        self.past.append(picture)
        things = picture.things.astype(np.float32)
        cover = self.at_cells(things, self.stride)
        near = blurred(cover, NEAR_CELLS)
        wide = blurred(cover, WIDE_CELLS)
        still = self.still_in(picture, near)
        empty = near < EMPTY
        standing = self.per_frame * self.standing.push(still, empty)
        covered = np.flatnonzero(cover > COVERED)
        cells = Cells(covered, np.zeros((0, NUMBERS), np.float32))
        if len(covered):
            across, down = self.velocity(arrows, things, cover, near, seconds)
            numbers = np.stack([across, down, near, wide, standing])  # (5, h, w)
            cells = Cells(covered, numbers.reshape(NUMBERS, -1).T[covered].astype(np.float32))
        arrived = self.standing.arrived
        if self.background is None:
            arrived = np.ones(self.shape, bool)
        return Seen(cells, arrived, still, empty, is_first)

    def velocity(
        self, arrows: Floats, things: Floats, cover: Floats, near: Floats, seconds: float
    ) -> tuple[Floats, Floats]:
        """(h, w) each: pixels to the right and down in a tenth of a second, averaged over the
        things of a neighbourhood.
        """
        weight = self.at_cells(things, FLOW_WINDOW)
        parts = []
        for axis in range(2):
            total = self.at_cells(arrows[..., axis] * things, FLOW_WINDOW)
            here = total / np.maximum(weight, LEAST_COVER)
            mean = blurred(here * cover, NEAR_CELLS) / np.maximum(near, LEAST_COVER)
            parts.append(mean * (0.1 / seconds))
        return parts[0], parts[1]

    def still_in(self, picture: Picture, near: Floats) -> Bools:
        """(h, w) where what covers a neighbourhood has not changed; nowhere without a background,
        for then nothing tells what stands from the place.
        """
        if self.background is None or len(self.past) <= self.lag:
            return np.zeros(self.shape, bool)
        earlier = self.past[0]
        same = cv2.absdiff(picture.soft, earlier.soft) < self.changed
        unmoved = (same & (picture.things & earlier.things).astype(bool)).astype(np.float32)
        share = blurred(self.at_cells(unmoved, self.stride), NEAR_CELLS)
        return np.asarray(share > STILL_SHARE * np.maximum(near, COVERED))

    def at_cells(self, part: Floats, window: int) -> Floats:
        """(h, w) the mean of a picture (H, W) over a window of so many pixels around each cell."""
        border = cv2.BORDER_REFLECT
        mean = cv2.boxFilter(part, cv2.CV_32F, (window, window), borderType=border)
        h, w = self.shape
        first = self.stride // 2
        return np.asarray(mean[first :: self.stride, first :: self.stride][:h, :w])


class CellStream:
    """The cells of a stream of frames, which begins anew where the clock jumps."""

    def __init__(self, watcher: CellWatcher) -> None:
        self.watcher = watcher
        self.clock = StreamClock()

    def see(
        self, frames: Sequence[Frame], pool: ThreadPoolExecutor | None = None
    ) -> list[tuple[Frame, Cells]]:
        """The cells of each frame (H, W, 1) that has one before it."""
        found = []
        for frame, seen in self.see_all(frames, pool):
            if not seen.is_first:
                found.append((frame, those_at(seen.cells, seen.arrived)))
        return found

    def see_all(
        self, frames: Sequence[Frame], pool: ThreadPoolExecutor | None = None
    ) -> list[tuple[Frame, Seen]]:
        """What is seen in each frame (H, W, 1)."""
        found: list[tuple[Frame, Seen]] = []
        part: list[Frame] = []
        steps: list[float] = []
        for frame in frames:
            step = 1.0  # of the first frame, of which nothing is said
            if self.clock.jumps_to(frame.seconds):
                found += self.describe(part, steps, pool)
                part = []
                steps = []
                self.watcher.begin()
            elif self.clock.last is not None:
                step = max(frame.seconds - self.clock.last, 1e-3)
            self.clock = self.clock.at(frame.seconds)
            part.append(frame)
            steps.append(step)
        return found + self.describe(part, steps, pool)

    def describe(
        self, frames: Sequence[Frame], steps: Sequence[float], pool: ThreadPoolExecutor | None
    ) -> list[tuple[Frame, Seen]]:
        """The same for frames between which the clock does not jump."""
        if not frames:
            return []
        pixels = [frame.pixels[..., 0] for frame in frames]
        described = self.watcher.describe_all(pixels, steps, pool)
        return list(zip(frames, described, strict=True))


def lag_of(fps: float) -> int:
    """Frames after which pixels are held against themselves to see what stands."""
    return max(1, round(STILL_SECONDS * fps))


def longest_of(fps: float, seconds: float) -> int:
    """Frames for which standing is counted."""
    return max(1, round(seconds * fps))


def arrival_of(fps: float, seconds: float) -> int:
    """Frames in which something has come; at least those for which standing is counted."""
    return max(1, round(max(ARRIVAL_SECONDS, seconds) * fps))


def memory_of(fps: float, seconds: float) -> int:
    """Frames that decide what is said of the last of them."""
    return arrival_of(fps, seconds) + lag_of(fps) + 2


def grid_of(shape: Sequence[int], stride: int) -> tuple[int, int]:
    """(h, w): the cells of a picture of H × W pixels."""
    return max(1, shape[0] // stride), max(1, shape[1] // stride)


def blurred(map: Floats, cells: int) -> Floats:
    """(h, w) the mean over so many cells a side."""
    return np.asarray(cv2.blur(map, (cells, cells)))


def on_grid(cell: Ints, values: Floats, shape: tuple[int, int]) -> Floats:
    """(h, w) the values (A,) at their cells (A,), 0 elsewhere."""
    map = np.zeros(shape, np.float32)
    map.ravel()[cell] = values
    return map


def rows_of(cell: Ints, width: int) -> Ints:
    """(A,) the row of each cell."""
    return np.asarray(cell // width)
