"""Scores of pictures that a program has in memory, as they come: those of a camera, say."""

from collections.abc import Callable

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import ArrayLike

from oddframe.detector import Detector
from oddframe.errors import BadInput
from oddframe.scoring.pipeline import open_stream
from oddframe.scoring.smoothing import Smoother
from oddframe.types import Bytes, Floats, Frame, IgnoredArea, Scores
from oddframe.video.reader import period_of
from oddframe.video.scaling import Scaler


class LiveScores:
    """One stream of pictures, and its scores: those that the same film would have, read from a file.

    Made by `FittedDetector.stream`. Scores come as soon as they are known: some methods read frames
    ahead (`FittedDetector.lookahead`), and frames beyond a method's own rate have none. To be used
    by one thread at a time.
    """

    def __init__(
        self,
        detector: Detector,
        rare: Callable[[Scores], Scores],
        name: str,
        ignored: IgnoredArea | None = None,
    ) -> None:
        """`rare` puts smoothed scores on the scale of rarity; nothing is looked at in `ignored`."""
        self.rare = rare
        self.spec = detector.spec
        self.scored = open_stream(detector, name)
        self.smoother = Smoother(detector.half_life)
        self.ignored = ignored
        self.scaler: Scaler | None = None
        self.shape: tuple[int, ...] = ()  # (H, W) of the pictures so far
        self.count = 0  # pictures so far
        self.latest = -np.inf  # seconds
        self.period = -np.inf  # of the latest picture that the method was given

    def push(self, frames: Bytes, seconds: ArrayLike) -> Scores | None:
        """The scores, as rarities, that are known now; None where there are none yet.

        Args:
            frames: (T, H, W, 3) or one (H, W, 3), uint8, red, green and blue; H × W never changes.
            seconds: (T,) or one number: when each was taken, ascending; since when does not matter.

        Raises BadInput, one line, for arrays of another kind; nothing of them is then counted.
        """
        pictures, times = checked(frames, seconds, self.shape, self.latest)
        kept: list[Frame] = []
        for picture, second in zip(pictures, times.tolist(), strict=True):
            index = self.count
            self.count += 1
            self.latest = second
            self.shape = picture.shape[:2]
            period = float(period_of(second, self.spec.fps)) if self.spec.fps else float(index)
            if period > self.period:
                self.period = period
                kept.append(Frame(index, second, self.scaled(picture)))
        return self.finished(self.scored.push_many(kept)) if kept else None

    def finish(self) -> Scores | None:
        """The scores that are left when no more pictures follow."""
        return self.finished(self.scored.finish())

    def scaled(self, picture: Bytes) -> Bytes:
        """A picture at the size and in the colours that the method wants."""
        if self.scaler is None:
            height, width = picture.shape[:2]
            self.scaler = Scaler(self.spec, (height, width), ignored=self.ignored)
        return self.scaler(VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24"))

    def finished(self, scores: Scores | None) -> Scores | None:
        """Scores smoothed, as rarities; None of none."""
        if scores is None or not len(scores):
            return None
        self.smoother, smoothed = self.smoother.push(scores)
        return self.rare(smoothed)


def checked(
    frames: Bytes, seconds: ArrayLike, shape: tuple[int, ...], latest: float
) -> tuple[Bytes, Floats]:
    """Pictures (T, H, W, 3) and their times (T,). Raises BadInput unless they continue a stream of
    this shape up to this time.
    """
    pictures = np.asarray(frames)
    if pictures.ndim == 3:
        pictures = pictures[None]
    if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[3] != 3:
        raise BadInput(
            f"pictures are (T, H, W, 3) or (H, W, 3) of uint8, got {pictures.shape} "
            f"of {pictures.dtype}"
        )
    if 0 in pictures.shape[1:3] or (shape and pictures.shape[1:3] != shape):
        raise BadInput(
            f"the pictures of a stream are all of one size, got {pictures.shape[1:3]}"
            + (f" after {shape}" if shape else "")
        )
    try:
        times = np.atleast_1d(np.asarray(seconds, np.float64))
    except (TypeError, ValueError) as error:
        raise BadInput(f"seconds are numbers, got {str(seconds)[:60]}") from error
    if times.shape != (len(pictures),):
        raise BadInput(f"{len(pictures)} pictures have as many times, got {times.shape}")
    if not np.isfinite(times).all() or (np.diff(times, prepend=latest) <= 0).any():
        raise BadInput("the seconds of a stream are finite and ascend")
    return pictures, times
