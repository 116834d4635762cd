"""One variation of a film: the same warp, turn, colours, dropped pixels and blur in every frame.

What the published system asks of albumentations' ReplayCompose, on OpenCV: each step happens with
its own probability, with parameters drawn once a film. H × W pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from oddframe.types import Bytes

Step = Callable[[Any], Any]
CELLS = 5  # of the grid that is distorted, a side
WARP, TURN, SHIFT, LIGHT = 0.4, 5.0, 50.0, 0.2  # share of a cell, degrees, grey levels, share
DROPPED = 0.02  # share of the pixels


def variation(random: np.random.Generator, size: tuple[int, int]) -> Callable[[Bytes], Bytes]:
    """A function from frame to frame, (H, W, 3) RGB; call it on every frame of one film."""
    makers: tuple[tuple[float, Callable[[np.random.Generator, tuple[int, int]], Step]], ...] = (
        (0.6, _warp),
        (0.6, _turn),
        (0.6, _shift),
        (0.6, _light),
        (0.6, _equalise),
        (0.5, lambda drawn, shape: _drop(drawn, shape, 0)),
        (0.5, lambda drawn, shape: _drop(drawn, shape, 255)),
        (0.5, _blur),
    )
    steps = [make(random, size) for chance, make in makers if random.random() < chance]

    def vary(frame: Bytes) -> Bytes:
        for step in steps:
            frame = step(frame)
        return np.ascontiguousarray(frame, np.uint8)

    return vary


def _warp(random: np.random.Generator, size: tuple[int, int]) -> Step:
    """Columns and rows of a grid as wide as drawn, the whole as large as before."""
    maps = []
    for side in size:
        widths = 1 + random.uniform(-WARP, WARP, CELLS)
        edges = np.concatenate([[0], np.cumsum(widths)]) / widths.sum() * (side - 1)
        even = np.linspace(0, side - 1, CELLS + 1)
        maps.append(np.interp(np.arange(side), even, edges).astype(np.float32))
    x, y = np.meshgrid(maps[1], maps[0])
    return lambda frame: cv2.remap(frame, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def _turn(random: np.random.Generator, size: tuple[int, int]) -> Step:
    height, width = size
    matrix = cv2.getRotationMatrix2D(
        (width / 2, height / 2), float(random.uniform(-TURN, TURN)), 1.0
    )
    return lambda frame: cv2.warpAffine(
        frame, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101
    )


def _shift(random: np.random.Generator, _size: tuple[int, int]) -> Step:
    by = random.uniform(-SHIFT, SHIFT, 3)
    return lambda frame: np.clip(frame + by, 0, 255).astype(np.uint8)


def _light(random: np.random.Generator, _size: tuple[int, int]) -> Step:
    contrast, brightness = 1 + random.uniform(-LIGHT, LIGHT), 255 * random.uniform(-LIGHT, LIGHT)
    return lambda frame: np.clip(frame * contrast + brightness, 0, 255).astype(np.uint8)


def _equalise(random: np.random.Generator, _size: tuple[int, int]) -> Step:
    clahe = cv2.createCLAHE(float(random.uniform(1, 4)), (8, 8))

    def step(frame: Any) -> Any:
        lab = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2LAB)
        lab[:, :, 0] = clahe.apply(np.ascontiguousarray(lab[:, :, 0]))
        return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)

    return step


def _drop(random: np.random.Generator, size: tuple[int, int], value: int) -> Step:
    dropped = random.random(size) < DROPPED

    def step(frame: Any) -> Any:
        out = frame.copy()
        out[dropped] = value
        return out

    return step


def _blur(random: np.random.Generator, _size: tuple[int, int]) -> Step:
    side = int(random.integers(2, 5))
    return lambda frame: cv2.blur(frame, (side, side))
