"""How far boxes cover each other. Boxes are (n, 4 or more), x1 y1 x2 y2, in any unit."""

from collections.abc import Sequence

import numpy as np

from oddframe.types import Floats


def shared_and_union(these: Floats, those: Floats) -> tuple[Floats, Floats]:
    """(n, m) areas that each two boxes share, and (n, m) areas that they cover together."""
    low = np.maximum(these[:, None, :2], those[None, :, :2])
    high = np.minimum(these[:, None, 2:4], those[None, :, 2:4])
    shared = (high - low).clip(0).prod(axis=2)
    union = box_areas(these)[:, None] + box_areas(those)[None] - shared
    return shared, union


def box_areas(boxes: Floats) -> Floats:
    """(n,) areas of boxes."""
    return np.asarray((boxes[:, 2:4] - boxes[:, :2]).prod(axis=1))


def overlap(these: Floats, those: Floats) -> Floats:
    """(n, m) intersection over union of each two boxes; 0 of boxes without area."""
    shared, union = shared_and_union(these, those)
    nothing = np.zeros_like(shared)
    return np.asarray(np.divide(shared, union, out=nothing, where=union > 0))


def box_of_cell(cell: int, shape: Sequence[int], reach: float) -> tuple[float, float, float, float]:
    """x1 y1 x2 y2 as fractions of the picture: what lies within so many cells of the middle of one,
    which is counted row by row on a grid of h × w.
    """
    h, w = shape
    row = cell // w + 0.5
    column = cell % w + 0.5
    return (
        max(0.0, (column - reach) / w),
        max(0.0, (row - reach) / h),
        min(1.0, (column + reach) / w),
        min(1.0, (row + reach) / h),
    )
