"""What a method is worth is what it adds to these two. Both stand in every table."""

from collections.abc import Sequence
from typing import Annotated

import cv2
import numpy as np

from oddframe.detector import Detector
from oddframe.options import Range, check_ranges
from oddframe.run import Run
from oddframe.types import Clips, ClipSpec, Scores, Video

CELL_SIDE = 8  # pixels of a cell of the map


class Constant(Detector):
    """Every frame scores zero: the AUC of knowing nothing (0.5)."""

    name = "constant"

    def __init__(self) -> None:
        """There is nothing to choose."""

    @property
    def quick_to_fit(self) -> bool:
        return True

    @property
    def spec(self) -> ClipSpec:
        return ClipSpec(length=1, size=(16, 16), colour="grey")

    def fit(self, videos: Sequence[Video], run: Run) -> None:
        """There is nothing to learn."""

    def score(self, clips: Clips) -> Scores:
        value = np.zeros(len(clips), np.float32)
        return Scores(clips.video, clips.frame_index, clips.seconds, value)


class FrameDifference(Detector):
    """Mean absolute difference of consecutive frames: how much moves, and nothing else.

    Args:
        size: pixels across at which frames are compared; the height follows.
    """

    name = "frame-difference"

    def __init__(self, *, size: Annotated[int, Range(2, 20_000)] = 320) -> None:
        check_ranges(type(self), self.options)
        self.size = size

    @property
    def quick_to_fit(self) -> bool:
        return True

    @property
    def spec(self) -> ClipSpec:
        return ClipSpec(length=2, size=self.size, colour="grey", pad_start=True)

    def fit(self, videos: Sequence[Video], run: Run) -> None:
        """There is nothing to learn."""

    def score(self, clips: Clips) -> Scores:
        pairs = clips.pixels[:, 0]  # (N, 2, H, W)
        H, W = pairs.shape[2:]
        size = max(1, W // CELL_SIDE), max(1, H // CELL_SIDE)
        value = np.zeros(len(pairs), np.float32)
        maps = []
        for n, (before, now) in enumerate(pairs):
            change = cv2.absdiff(now, before)
            value[n] = change.mean()
            cells = cv2.resize(change.astype(np.float32), size, interpolation=cv2.INTER_AREA)
            # a map is on the scale of the value: its highest cell is what the whole frame scores
            highest = max(float(cells.max()), 1e-6)
            maps.append(cells * (value[n] / highest))
        heat = np.stack(maps).astype(np.float32)
        return Scores(clips.video, clips.frame_index, clips.seconds, value, map=heat)
