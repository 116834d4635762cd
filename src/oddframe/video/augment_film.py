"""One variation of a film: the same warp, turn, colours, dropped pixels and soften in every frame.

What the published system asks of albumentations' ReplayCompose, on OpenCV: each step happens with
its own probability, with parameters drawn once a film. H × W pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from oddframe.types import Bytes

ChangeFrame = Callable[[Any], Any]
CELLS = 5  # of the grid that is distorted, a side
WARP, TURN, SHIFT, LIGHT = 0.4, 5.0, 50.0, 0.2  # share of a cell, degrees, grey levels, share
DROPPED = 0.02  # share of the pixels


def variation(random: np.random.Generator, size: tuple[int, int]) -> Callable[[Bytes], Bytes]:
    """A function from frame to frame, (H, W, 3) RGB; call it on every frame of one film."""
    makers: tuple[
        tuple[float, Callable[[np.random.Generator, tuple[int, int]], ChangeFrame]], ...
    ] = (
        (0.6, warp),
        (0.6, turn),
        (0.6, shift),
        (0.6, change_light),
        (0.6, equalise),
        (0.5, lambda drawn, shape: drop_pixels(drawn, shape, 0)),
        (0.5, lambda drawn, shape: drop_pixels(drawn, shape, 255)),
        (0.5, soften),
    )
    steps = []
    for chance, make in makers:
        if random.random() < chance:
            steps.append(make(random, size))

    def vary(frame: Bytes) -> Bytes:
        for step in steps:
            frame = step(frame)
        return np.ascontiguousarray(frame, np.uint8)

    return vary


def warp(random: np.random.Generator, size: tuple[int, int]) -> ChangeFrame:
    """Columns and rows of a grid as wide as drawn, the whole as large as before."""
    maps = []
    for side in size:
        last = side - 1
        widths = 1 + random.uniform(-WARP, WARP, CELLS)
        ends = np.concatenate([[0], np.cumsum(widths)])
        edges = ends / widths.sum() * last
        even = np.linspace(0, last, CELLS + 1)
        places = np.interp(np.arange(side), even, edges)
        maps.append(places.astype(np.float32))
    x, y = np.meshgrid(maps[1], maps[0])
    return lambda frame: cv2.remap(frame, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def turn(random: np.random.Generator, size: tuple[int, int]) -> ChangeFrame:
    """The picture turned around its middle."""
    height, width = size
    middle = (width / 2, height / 2)
    degrees = float(random.uniform(-TURN, TURN))
    matrix = cv2.getRotationMatrix2D(middle, degrees, 1.0)
    return lambda frame: cv2.warpAffine(
        frame, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101
    )


def shift(random: np.random.Generator, _size: tuple[int, int]) -> ChangeFrame:
    """Each colour brighter or darker by some grey levels."""
    by = random.uniform(-SHIFT, SHIFT, 3)
    return lambda frame: np.clip(frame + by, 0, 255).astype(np.uint8)


def change_light(random: np.random.Generator, _size: tuple[int, int]) -> ChangeFrame:
    """Another contrast and brightness."""
    contrast = 1 + random.uniform(-LIGHT, LIGHT)
    brightness = 255 * random.uniform(-LIGHT, LIGHT)
    return lambda frame: np.clip(frame * contrast + brightness, 0, 255).astype(np.uint8)


def equalise(random: np.random.Generator, _size: tuple[int, int]) -> ChangeFrame:
    """Histograms equalised within squares, of the lightness alone."""
    clahe = cv2.createCLAHE(float(random.uniform(1, 4)), (8, 8))

    def step(frame: Any) -> Any:
        lab = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2LAB)
        lab[:, :, 0] = clahe.apply(np.ascontiguousarray(lab[:, :, 0]))
        return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)

    return step


def drop_pixels(random: np.random.Generator, size: tuple[int, int], value: int) -> ChangeFrame:
    """Some pixels of one value, the same in every frame."""
    dropped = random.random(size) < DROPPED

    def step(frame: Any) -> Any:
        out = frame.copy()
        out[dropped] = value
        return out

    return step


def soften(random: np.random.Generator, _size: tuple[int, int]) -> ChangeFrame:
    """A soften over 2 to 4 pixels."""
    side = int(random.integers(2, 5))
    return lambda frame: cv2.blur(frame, (side, side))
