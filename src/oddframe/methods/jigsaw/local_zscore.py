"""How strange a thing is beside normal things like it: those nearest in place and size.

Small and far things, and those that others stand before, are hard to put together in normal video too.
K normal things, n new ones.
"""

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from oddframe.types import Floats

NEAR = 0.04  # share of the normal things with which a new one is compared
FEWEST = 50  # of them at least
TOGETHER = 1000  # new things at once, so that memory is bounded
LOOSE = 0.3  # added to the spread of how strange normal things are


def box_features(boxes: Floats, shape: Sequence[int]) -> Floats:
    """(n, 4) of boxes (n, 4) in a picture of H × W: where a thing stands and how large it is, in comparable units.

    A third of the width, a sixth of the height, and a factor of 1.65 in a side (in pixels) count alike.
    """
    H, W = shape
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1)
    middle, feet = (boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]
    return np.column_stack([3 * middle / W, 6 * feet / H, 2 * np.log(sides)]).astype(np.float64)


def local_zscore(strange: Floats, place: Floats | None, known: Floats, spot: Floats) -> Floats:
    """(n, heads): by how many spreads things are stranger than the normal things nearest; 0 where they are not.

    strange (n, heads) at spots `place` (n, 4); known (K, heads) at `spot` (K, 4).
    Without a place, as of whole frames, it is compared with all.
    """
    if place is None:
        mean, spread = known.mean(0), known.std(0)
    else:
        tree, k = cKDTree(spot), min(len(spot), max(FEWEST, round(NEAR * len(spot))))
        mean, spread = np.empty(strange.shape), np.empty(strange.shape)
        for start in range(0, len(place), TOGETHER):
            rows = slice(start, start + TOGETHER)
            like = known[tree.query(place[rows], np.arange(1, k + 1))[1]]  # (n, k, heads)
            mean[rows], spread[rows] = like.mean(1), like.std(1)
    return np.asarray(np.maximum((strange - mean) / (spread + LOOSE), 0))
