"""The error map: how badly each window of a frame is copied.

H × W pixels, h × w cells.
"""

import cv2
import numpy as np

from oddframe.types import Floats

ERROR_WINDOW = 16  # pixels of the side of the window in which errors are summed, as published
ERROR_CELL = 4  # pixels of a cell of the map, which holds the highest window error around it


def window_errors(error: Floats) -> Floats:
    """(h, w) root mean squared error of windows of 16 × 16 from the squared errors (H, W) of a
    frame.

    All positions are computed (a running sum makes that cheap); a cell of 4 × 4 pixels holds the
    highest error of the windows centred in it. Windows that reach over the border are filled up by
    mirroring.
    """
    sides = (ERROR_WINDOW, ERROR_WINDOW)
    mean = cv2.boxFilter(error.astype(np.float32), -1, sides, borderType=cv2.BORDER_REFLECT)
    highest = cv2.dilate(mean, np.ones((ERROR_CELL, ERROR_CELL), np.uint8))
    middle = ERROR_CELL // 2
    cells = highest[middle::ERROR_CELL, middle::ERROR_CELL]
    return np.asarray(np.sqrt(np.maximum(cells, 0)))
