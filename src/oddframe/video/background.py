"""A camera's background: what a picture looks like without the things that move, and what is unlike
it.

M frames of H × W pixels, or of h × w where each pixel is a cell of a grid.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from oddframe.types import Bools, Bytes, Floats, Ints

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


def median_picture(frames: Floats | Bytes | Sequence[Bytes]) -> Floats:
    """(h, w) from (M, h, w): what is there most of the time."""
    return np.asarray(np.median(frames, axis=0))


def noise_of(frames: Floats | Ints, background: Floats | Bytes) -> Floats:
    """(h, w) standard deviation of each pixel around the background, whatever moves through it at
    times.
    """
    deviation = np.abs(frames - background)
    return np.asarray(NORMAL_SPREAD * np.median(deviation, axis=0))


def softened(frame: Bytes, side: int) -> Bytes:
    """A frame (H, W) without its finest noise: blurred over `side` pixels, an odd number."""
    return np.asarray(cv2.GaussianBlur(frame, (side, side), 0), np.uint8)


@dataclass(frozen=True)
class Part:
    """A connected part of a mask (H, W): its box in pixels and its own pixels."""

    x: int
    y: int
    w: int
    h: int
    area: int  # pixels
    pixels: Bools  # (h, w) which pixels of its box belong to it

    def is_within(self, shape: Sequence[int], margin: int) -> bool:
        """Whether more than `margin` pixels lie between its box and each edge of H × W pixels."""
        H, W = shape
        right = self.x + self.w
        lower = self.y + self.h
        begins_inside = self.x > margin and self.y > margin
        return begins_inside and right < W - margin and lower < H - margin

    def cut(self, picture: NDArray[Any]) -> NDArray[Any]:
        """The box of the part (h, w, …) out of a picture (H, W, …)."""
        return picture[self.y : self.y + self.h, self.x : self.x + self.w]


def connected_parts(mask: Bytes) -> Iterator[Part]:
    """The connected parts of a mask (H, W), 0 or 1; pixels that touch at a corner are connected."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    for number, (x, y, w, h, area) in enumerate(stats.tolist()):
        if number > 0:  # 0 is what is not in the mask
            box = labels[y : y + h, x : x + w]
            yield Part(x, y, w, h, area, np.asarray(box == number))


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
