"""A camera's background: what a picture looks like without the things that move, and what is unlike
it.

M frames of H × W pixels, or of h × w where each pixel is a cell of a grid.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from oddframe.types import Bools, Bytes, Floats

CHANGED_SCENE = 0.4  # share of the picture unlike the background: the light or the camera, no thing
NORMAL_SPREAD = 1.4826  # standard deviations of a normal distribution in a median deviation
CONTRAST_WINDOW = 9  # pixels of a small picture over which slow changes of the light are removed


@dataclass(frozen=True)
class Background:
    """A picture (h, w) and the grey levels (h, w) by which a pixel must differ to be unlike it."""

    picture: Floats
    level: Floats

    def unlike(self, picture: Floats) -> Bools:
        """(h, w) where a picture is unlike the background; nowhere when the scene has changed as a
        whole.
        """
        unlike = np.abs(picture - self.picture) > self.level
        if scene_changed(unlike):
            return np.zeros_like(unlike)
        return np.asarray(unlike)


def scene_changed(unlike: Bools) -> bool:
    """Whether so much is unlike the background that it is the light or the camera, and no thing."""
    return bool(unlike.mean() >= CHANGED_SCENE)


def median_picture(frames: Floats) -> Floats:
    """(h, w) from (M, h, w): what is there most of the time."""
    return np.asarray(np.median(frames, axis=0))


def noise_of(frames: Floats, background: Floats) -> Floats:
    """(h, w) standard deviation of each pixel around the background, whatever moves through it at
    times.
    """
    return np.asarray(NORMAL_SPREAD * np.median(np.abs(frames - background), axis=0))


def shrink(frame: Bytes, shape: Sequence[int]) -> Bytes:
    """A picture (H, W) as a smaller one (h, w), each pixel the mean of those it stands for."""
    size = (int(shape[1]), int(shape[0]))
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA))


def local_contrast(small: Bytes) -> Floats:
    """(h, w) a small picture without its local mean: slow changes of the light fall out."""
    grey = small.astype(np.float32)
    return np.asarray(grey - cv2.blur(grey, (CONTRAST_WINDOW, CONTRAST_WINDOW)))


class StandingTracker:
    """Counts for how many looks each cell has been unlike the background without a break.

    Looks are `step` frames apart; a count ends at `longest`. A cell that is like the background at
    one look begins anew, also where it was not at the frames between two looks.
    """

    def __init__(self, step: int, longest: int) -> None:
        self.longest = longest
        self.counts: deque[Floats] = deque(maxlen=step)

    def push(self, unlike: Bools) -> Floats:
        """(h, w) counts at one more frame, of which `unlike` (h, w) says where it is unlike the
        background.
        """
        before: Floats | int = 0
        if len(self.counts) == self.counts.maxlen:
            before = self.counts[0]
        more = np.minimum(before + 1, self.longest)
        self.counts.append(np.where(unlike, more, 0).astype(np.float32))
        return self.counts[-1]

    def reset(self) -> None:
        """Forget what was counted: frames that follow do not continue those before."""
        self.counts.clear()
