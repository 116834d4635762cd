"""Which windows of normal video FlowGrid remembers.

D windows drawn, A candidates of seven numbers each.
"""

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from oddframe.methods.flowgrid.features import MotionFeatures
from oddframe.types import Floats, Ints

CANDIDATES = 20_000  # windows of normal video, drawn at random, from which the bank is chosen


def gather_windows(features: Sequence[MotionFeatures], drawn: Ints) -> tuple[Floats, Ints, Ints]:
    """Numbers (D, 6), cells (D,) and origins (D, 3) of windows at ascending positions over all
    videos.
    """
    vectors = []
    cells = []
    origins = []
    start = 0
    for k, one in enumerate(features):
        end = start + len(one.cell)
        mine = drawn[(drawn >= start) & (drawn < end)] - start
        start = end
        position = np.searchsorted(one.first, mine, side="right") - 1
        frame = one.frame[position]
        cell = one.cell[mine]
        video = np.full(len(mine), k)
        vectors.append(one.vector[mine].astype(np.float32))
        cells.append(cell.astype(int))
        origins.append(np.stack([video, frame, cell], axis=1))
    return np.concatenate(vectors), np.concatenate(cells), np.concatenate(origins)


def choose_bank(points: Floats, size: int, rare_share: float, random: np.random.Generator) -> Ints:
    """Indices of a sample of points (A, 7).

    Drawn at random, as dense as normal is, but for a share far from all chosen before.
    """
    far = min(round(size * rare_share), size - 1)
    kept = list(random.choice(len(points), size - far, replace=False))
    nearest, _ = cKDTree(points[kept]).query(points)
    squared = nearest**2
    for _ in range(far):
        farthest = int(squared.argmax())
        kept.append(farthest)
        differences = points - points[farthest]
        squared = np.minimum(squared, (differences**2).sum(1))
    return np.sort(np.asarray(kept))
