"""FlowGrid frame by frame: of the past it keeps counts of what stands, and the frames that are
still to be compared.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from oddframe.run import usable_threads
from oddframe.stream import Stream
from oddframe.types import Bytes, Floats, Frame, Scores
from oddframe.video.background import shrink
from oddframe.video.filmed_time import StreamClock

if TYPE_CHECKING:
    from oddframe.methods.flowgrid.detector import FlowGrid


@dataclass(frozen=True)
class Pair:
    """Two frames (H, W) that are compared, and for how many looks each cell has stood, (h, w)."""

    before: Bytes
    now: Bytes
    seconds: float  # between the two
    standing: Floats
    frame: Frame


class FlowGridStream(Stream):
    """Scores each frame once; memory is that of one pair of frames and of the counts of half a
    second.
    """

    def __init__(self, detector: FlowGrid, video: str) -> None:
        self.detector = detector
        self.video = video
        self.tracker = detector.standing_tracker()
        self.clock = StreamClock()
        self.past: deque[tuple[float, Bytes]] = deque(maxlen=detector.grid.frame_step)

    def push_many(self, frames: Sequence[Frame]) -> Scores | None:
        """Scores of the frames that have an earlier one to be compared with; flow is computed side
        by side.
        """
        pairs = []
        for frame in frames:
            pair = self.pair_with_past(frame)
            if pair is not None:
                pairs.append(pair)
        if not pairs:
            return None
        heat = self.score_pairs(pairs)
        value = heat.max((1, 2))
        index = np.array([pair.frame.index for pair in pairs], np.int64)
        seconds = np.array([pair.frame.seconds for pair in pairs])
        return Scores(self.video, index, seconds, value, map=heat)

    def pair_with_past(self, frame: Frame) -> Pair | None:
        """What a frame is compared with; None where there is no earlier frame. The frame becomes
        the past.
        """
        detector = self.detector
        if self.clock.jumps_to(frame.seconds):
            self.tracker.reset()
            self.past.clear()
        self.clock = self.clock.at(frame.seconds)
        picture = frame.pixels[..., 0]
        detector.check_shape(picture.shape, self.video)
        small = shrink(picture, detector.background.shape)
        standing = self.tracker.push(detector.unlike(small))
        now = detector.scaled(picture)
        pair = None
        if len(self.past) == self.past.maxlen:
            seconds, before = self.past[0]
            pair = Pair(before, now, frame.seconds - seconds, standing, frame)
        self.past.append((frame.seconds, now))
        return pair

    def score_pairs(self, pairs: Sequence[Pair]) -> Floats:
        """(N, h, w) score maps."""
        detector = self.detector

        def score(pair: Pair) -> Floats:
            return detector.score_map(pair.before, pair.now, pair.seconds, pair.standing)

        threads = min(usable_threads(), len(pairs))
        if threads == 1:
            return np.stack(list(map(score, pairs)))
        detector.search_tree()  # made before threads share it
        with ThreadPoolExecutor(threads) as pool:
            maps = list(pool.map(score, pairs))
        return np.stack(maps)
