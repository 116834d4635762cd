"""Scene frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from oddframe.methods.scene.cells import CellStream
from oddframe.run import usable_threads
from oddframe.stream import Stream
from oddframe.types import Frame, Scores

if TYPE_CHECKING:
    from oddframe.methods.scene.detector import Scene


class SceneStream(Stream):
    """Scores each frame once; of the past it keeps counts of what stands and half a second of
    frames.
    """

    def __init__(self, detector: Scene, video: str) -> None:
        self.detector = detector
        self.video = video
        self.cells = CellStream(detector.watcher())

    def push_many(self, frames: Sequence[Frame]) -> Scores | None:
        """Scores of the frames that have one before them; what needs no order is done side by side."""
        threads = min(usable_threads(), len(frames))
        if threads <= 1:
            return self.scores_of(frames, None)
        with ThreadPoolExecutor(threads) as pool:
            return self.scores_of(frames, pool)

    def scores_of(self, frames: Sequence[Frame], pool: ThreadPoolExecutor | None) -> Scores | None:
        """The same, with a pool of threads or without."""
        fitting = [self.fitted_to_size(frame) for frame in frames]
        seen = self.cells.see(fitting, pool)
        if not seen:
            return None
        run = map if pool is None else pool.map
        heat = np.stack(list(run(self.detector.heat_of, [cells for _, cells in seen])))
        return Scores(
            self.video,
            np.array([frame.index for frame, _ in seen], np.int64),
            np.array([frame.seconds for frame, _ in seen]),
            heat.max((1, 2)),
            map=heat,
        )

    def fitted_to_size(self, frame: Frame) -> Frame:
        """The frame at the size learned. Raises BadVideo for one of another shape."""
        picture = frame.pixels[..., 0]
        self.detector.check_shape(picture.shape, self.video)
        return replace(frame, pixels=self.detector.scaled(picture)[..., None])
