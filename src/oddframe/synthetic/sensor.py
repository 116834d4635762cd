"""What a camera does to a picture."""

from __future__ import annotations

import cv2
import numpy as np

from oddframe.types import Bytes, Floats


class Sensor:
    """What the camera does: a soft lens, exposure, noise that is new in every frame and a pattern
    that is not.
    """

    ROOM = 32  # the noise of a frame is cut somewhere out of a field that is so much larger

    def __init__(self, pattern: Floats, random: np.random.Generator) -> None:
        height, width = pattern.shape
        self.random = random
        fields = 4 if height * width < 1 << 20 else 1
        self.fields = []
        for _ in range(fields):
            shape = (height + self.ROOM, width + self.ROOM)
            grey = random.standard_normal((*shape, 1), np.float32) * 2.4
            colour = cv2.GaussianBlur(
                random.standard_normal((*shape, 3), np.float32) * 2.6, (3, 3), 0.6
            )
            self.fields.append(np.rint(grey + colour).astype(np.int16))
        self.pattern = cv2.merge([np.rint(pattern).astype(np.int16)] * 3)

    def __call__(self, picture: Bytes, light: float) -> Bytes:
        height, width = picture.shape[:2]
        curve = np.clip(np.arange(256) * light, 0, 255).astype(np.uint8)
        soft = cv2.LUT(cv2.GaussianBlur(picture, (3, 3), 0.55), curve)
        which, top, left = self.random.integers((len(self.fields), self.ROOM, self.ROOM)).tolist()
        noise = cv2.add(self.fields[which][top : top + height, left : left + width], self.pattern)
        return np.asarray(cv2.add(soft, noise, dtype=cv2.CV_8U), np.uint8)
