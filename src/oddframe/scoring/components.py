"""Connected components of score maps and masks: boxes, and the place of a peak.

h × w cells of a map or pixels of a mask, which cover the whole picture; boxes are x1 y1 x2 y2 as
fractions of it.
"""

import cv2
import numpy as np

from oddframe.types import Bools, Floats, Ints


def connected_components(map: Floats, threshold: float) -> Floats:
    """The connected parts (8 neighbours) of a map that are ≥ threshold: (n, 5) boxes, and the
    highest value in each.
    """
    labels, boxes = components_of(map >= threshold)
    high = np.full(len(boxes) + 1, -np.inf)
    np.maximum.at(high, labels.ravel(), np.asarray(map, float).ravel())
    return np.column_stack([boxes, high[1:]])


def regions_of_mask(mask: Bools) -> Floats:
    """The connected parts (8 neighbours) of a mask, (n, 4) boxes."""
    return components_of(np.asarray(mask) > 0)[1]


def place_of_peak(map: Floats, threshold: float) -> tuple[float, float, float, float]:
    """The box of the region that holds the map's highest cell.

    It reaches down to the threshold, or, where the whole map is below, halfway from the median to
    the peak: an event opened by a smoothed score still has a place.
    """
    peak = map.max()
    level = threshold
    if peak < threshold:
        level = (np.median(map) + peak) / 2
    labels, boxes = components_of(map >= level)
    label = labels.ravel()[map.argmax()]
    x1, y1, x2, y2 = boxes[label - 1].tolist()
    return x1, y1, x2, y2


def components_of(mask: Bools) -> tuple[Ints, Floats]:
    """Labels (h, w), 0 where the mask is False, and the boxes (n, 4) of labels 1 … n."""
    labels, sides = label_components(mask)
    return labels, as_fractions(sides, mask.shape)


def label_components(mask: Bools) -> tuple[Ints, Ints]:
    """Labels (h, w), and left, top, width, height (n, 4) of each connected part, in cells."""
    pixels = np.ascontiguousarray(mask).view(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(pixels, connectivity=8)
    return np.asarray(labels, np.int32), np.array(stats[1:, :4], np.int64)


def as_fractions(sides: Ints, shape: tuple[int, ...]) -> Floats:
    """Boxes (n, 4) as fractions of the picture, from left, top, width and height in cells of a map
    of this shape.
    """
    left, top, wide, high = sides.T
    right = left + wide
    bottom = top + high
    h, w = shape
    return np.column_stack([left / w, top / h, right / w, bottom / h])
