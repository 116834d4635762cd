"""Scores as local z-scores: how far above those of the normal things nearest in place and size.

Puzzles of small, far and partly hidden things are hard in normal video too, so a score says little
until it is compared with those of normal things like it.
K normal things, n new ones.
"""

from collections.abc import Sequence

import numpy as np
from scipy.spatial import cKDTree

from oddframe.types import Floats, Ints

NEIGHBOUR_SHARE = 0.04  # of the normal things: with so many a new one is compared
MIN_NEIGHBOURS = 50  # of them at least
THINGS_AT_ONCE = 1000  # new things at once, so that memory is bounded
REGULARIZATION = 0.3  # added to the standard deviation of normal scores
HIGH = 0.95  # quantile of the normal clips' highest z-scores that is one unit
SMALLEST_UNIT = 1e-3  # no unit is smaller


def box_features(boxes: Floats, shape: Sequence[int]) -> Floats:
    """(n, 4): where things of boxes (n, 4) stand in a picture of H × W, and how large they are.

    In comparable units: a third of the width, a sixth of the height, and a factor of 1.65 in a side
    (in pixels) count alike. Whole frames, boxes (n, 0), have no features (n, 0).
    """
    if not boxes.shape[1]:
        return np.zeros((len(boxes), 0))
    H, W = shape
    left, _, right, lower = boxes.T
    middle = (left + right) / 2
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1)
    columns = [
        3 * middle / W,
        6 * lower / H,
        2 * np.log(sides),
    ]
    return np.column_stack(columns).astype(np.float64)


def local_zscore(
    scores: Floats,
    features: Floats,
    normal_scores: Floats,
    normal_features: Floats,
) -> Floats:
    """(n, heads): (score − mean) / (σ + 0.3) of the nearest normal things; 0 where that is below 0.

    scores (n, heads) of things with features (n, 4); normal scores (K, heads), features (K, 4).
    Things without features (n, 0), which are whole frames, are compared with all.
    """
    if not features.shape[1]:
        mean, spread = normal_scores.mean(0), normal_scores.std(0)
    else:
        tree, K = cKDTree(normal_features), len(normal_features)
        count = max(MIN_NEIGHBOURS, round(NEIGHBOUR_SHARE * K))
        ranks = np.arange(1, min(K, count) + 1)
        mean, spread = np.empty(scores.shape), np.empty(scores.shape)
        for start in range(0, len(features), THINGS_AT_ONCE):
            rows = slice(start, start + THINGS_AT_ONCE)
            _, nearest = tree.query(features[rows], ranks)
            neighbours = normal_scores[nearest]  # (n, k, heads)
            mean[rows] = neighbours.mean(1)
            spread[rows] = neighbours.std(1)
    zscores = (scores - mean) / (spread + REGULARIZATION)
    return np.asarray(np.maximum(zscores, 0))


def reference_level(zscores: Sequence[Floats], clips: Sequence[Ints]) -> Floats:
    """(heads,): the z-score that one normal clip in twenty exceeds, which is the unit of a head.

    For each network z-scores (K, heads) of normal things, and the clip (K,) of each thing.
    """
    peaks: list[Floats] = []
    for values, of_clip in zip(zscores, clips, strict=True):
        for clip in np.unique(of_clip):
            own = values[of_clip == clip]
            peaks.append(own.max(0))
    level = np.quantile(np.stack(peaks), HIGH, axis=0)
    return np.asarray(np.maximum(level, SMALLEST_UNIT))
