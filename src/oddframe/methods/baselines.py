"""What a method is worth is what it adds to these two. Both stand in every table."""

from collections.abc import Sequence
from typing import Annotated

import cv2
import numpy as np

from oddframe.detector import Detector
from oddframe.options import Range, check_ranges
from oddframe.run import Run
from oddframe.types import Clips, ClipSpec, Scores, Video


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
        return Scores(
            clips.video, clips.frame_index, clips.seconds, np.zeros(len(clips), np.float32)
        )


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
        moved = [cv2.absdiff(pair[1], pair[0]) for pair in pairs]
        height, width = (max(1, side // 8) for side in pairs.shape[2:])
        value = np.array([change.mean() for change in moved], np.float32)
        where = [
            cv2.resize(change.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
            for change in moved
        ]
        # a map is on the scale of the value: its highest cell is what the whole frame scores
        heat = [
            part * (mean / max(float(part.max()), 1e-6))
            for part, mean in zip(where, value, strict=True)
        ]
        return Scores(
            clips.video,
            clips.frame_index,
            clips.seconds,
            value,
            map=np.stack(heat).astype(np.float32),
        )
