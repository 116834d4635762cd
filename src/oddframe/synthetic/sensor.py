"""What a camera does to a picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from oddframe.types import Bytes, Floats


class Sensor:
    """What the camera does: a soft lens, exposure, noise that is new in every frame and a pattern
    that is not.
    """

    ROOM = 32  # the noise of a frame is cut somewhere out of a field that is so much larger

    def __init__(self, pattern: Floats, random: np.random.Generator) -> None:
        height, width = pattern.shape
        self.random = random
        count = 4
        if height * width >= 1 << 20:
            count = 1
        shape = (height + self.ROOM, width + self.ROOM)
        self.fields = [noise_field(shape, random) for _ in range(count)]
        rounded = np.rint(pattern).astype(np.int16)
        self.pattern = cv2.merge([rounded] * 3)

    def __call__(self, picture: Bytes, light: float) -> Bytes:
        """The picture (H, W, 3) as it is filmed in so much light."""
        height, width = picture.shape[:2]
        curve = np.clip(np.arange(256) * light, 0, 255).astype(np.uint8)
        soft = cv2.GaussianBlur(picture, (3, 3), 0.55)
        exposed = cv2.LUT(soft, curve)
        choices = (len(self.fields), self.ROOM, self.ROOM)
        which, top, left = self.random.integers(choices).tolist()
        field = self.fields[which][top : top + height, left : left + width]
        noise = cv2.add(field, self.pattern)
        return np.asarray(cv2.add(exposed, noise, dtype=cv2.CV_8U), np.uint8)


def noise_field(shape: tuple[int, int], random: np.random.Generator) -> NDArray[np.int16]:
    """(H, W, 3) grey levels of noise: of each pixel, and softer ones of its colours."""
    grey = random.standard_normal((*shape, 1), np.float32) * 2.4
    colour = random.standard_normal((*shape, 3), np.float32) * 2.6
    soft = cv2.GaussianBlur(colour, (3, 3), 0.6)
    rounded: NDArray[np.int16] = np.rint(grey + soft).astype(np.int16)
    return rounded
