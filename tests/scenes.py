"""Scenes of which everything is known: textured blocks that walk, rush or stand before a textured wall.

Frames are (T, H, W) uint8 luma; times are frames at 10 a second.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from oddframe.types import Bytes, Frame, Video
from oddframe.video.writer import video_writer

SIZE = (120, 160)  # H × W


@dataclass(frozen=True)
class Block:
    """A thing of `size` (height, width) whose upper left corner starts at (x, y) and goes `speed` pixels a frame."""

    x: float
    y: float
    speed: float
    size: tuple[int, int] = (16, 8)
    start: int = 0
    end: int = 1 << 30
    bright: int = 210
    wraps: bool = True

    def corner(self, t: int, width: int) -> tuple[float, float] | None:
        """(x, y) in frame t, None where it is not there."""
        if not self.start <= t < self.end:
            return None
        x = self.x + self.speed * (t - self.start)
        if self.wraps:
            x = (x + self.size[1]) % (width + self.size[1]) - self.size[1]
        return x, self.y


def scene(
    blocks: Sequence[Block],
    frames: int,
    *,
    seed: int = 0,
    noise: float = 2.0,
    size: tuple[int, int] = SIZE,
) -> Bytes:
    """A wall that is the same in all scenes of a size, blocks before it, and noise that is not."""
    H, W = size
    wall = cv2.GaussianBlur(
        np.random.default_rng(99).normal(110, 60, size).astype(np.float32), (0, 0), 2.5
    )
    random = np.random.default_rng(seed)
    out = np.empty((frames, H, W), np.uint8)
    for t in range(frames):
        picture = wall.copy()
        for block in blocks:
            if (corner := block.corner(t, W)) is not None:
                (x, y), (h, w) = corner, block.size
                weave = block.bright + 30 * np.sin(np.arange(h)[:, None] * 0.9 + np.arange(w) * 0.7)
                there = np.array([[1.0, 0.0, x], [0.0, 1.0, y]])  # parts of a pixel count
                cover = cv2.warpAffine(np.ones((h, w), np.float32), there, (W, H))
                picture += cv2.warpAffine(weave.astype(np.float32), there, (W, H)) - cover * picture
        out[t] = np.clip(picture + random.normal(0, noise, size), 0, 255).astype(np.uint8)
    return out


def walkers(
    seed: int, count: int = 5, *, pace: float = 1.5, size: tuple[int, int] = (16, 8)
) -> list[Block]:
    """Blocks in rows of their own in the lower two thirds of the picture, at about the same pace, either way."""
    random = np.random.default_rng([7, seed])
    rows = 42 + (SIZE[0] - 42 - size[0]) * np.arange(count) / max(1, count - 1)
    return [
        Block(
            random.uniform(0, SIZE[1]),
            float(row),
            pace * random.uniform(0.85, 1.15) * random.choice([-1, 1]),
            size,
            bright=int(random.integers(170, 225)),
        )
        for row in rows
    ]


def filmed(path: Path, pictures: Bytes, fps: float = 10.0) -> Video:
    """The same as a file, with next to no loss."""
    with video_writer(path, fps, pictures.shape[1:], crf=8) as writer:
        for picture in pictures:
            writer.write(np.repeat(picture[..., None], 3, axis=2))
    return Video(path.stem, path)


def as_frames(pictures: Bytes, fps: float = 10.0) -> list[Frame]:
    return [Frame(t, t / fps, picture[..., None]) for t, picture in enumerate(pictures)]
