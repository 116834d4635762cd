"""From what the memories say to one score: each answer becomes a rarity among this scene's own
normal frames, and a memory that cannot tell a fault from normal video falls silent.

N normal frames that the memories had not seen, 3 memories.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oddframe.types import Bools, Floats

KNOTS = 256  # of a curve: quantiles of normal frames
TAIL = 0.9  # quantile above which a frame's rarity goes on along an exponential
# of what exceeds that quantile, in units of an answer: where nothing ever did, the first thing that
# does is rare, but not at once as rare as can be
LEAST_MEAN = 0.05
CEILING = 12.0  # no finite recording supports more than one in 10^12
LEAST_SAY = 0.55  # area under the curve, faults against normal, from which a memory is heard


@dataclass(frozen=True)
class Curve:
    """How high the answers of one memory are among normal frames."""

    knots: Floats  # (KNOTS,) ascending quantiles of the highest answer in a frame
    mean_excess: float  # of the answers above the TAIL quantile

    def rarity(self, answers: Floats) -> Floats:
        """−log10 of the share of normal frames whose highest answer is as high; any shape.

        0 for an answer that no normal frame falls below, so that an empty cell is never rare.
        """
        count = len(self.knots)
        share = 1 - np.arange(count) / count
        rarity = np.log10(1 / np.maximum(share, 1 - TAIL))
        between = np.interp(answers, self.knots, rarity, left=0.0)
        # many normal frames may have the same answer, such as 0: it is as rare as the first of them
        first = np.minimum(np.searchsorted(self.knots, answers, "left"), count - 1)
        body = np.where(self.knots[first] == answers, rarity[first], between)
        level = self.knots[int(TAIL * count)]
        beyond = np.maximum(answers - level, 0) / (self.mean_excess * np.log(10))
        tail = -np.log10(1 - TAIL) + beyond
        rarities = np.where(answers > level, tail, body)
        return np.asarray(np.minimum(rarities, CEILING), np.float32)


def learn_curve(highest: Floats, least_mean: float = LEAST_MEAN) -> Curve:
    """The curve of the highest answers (N,) in normal frames; beyond them it falls no faster than
    with this mean excess.
    """
    knots = np.quantile(highest, np.arange(KNOTS) / KNOTS)
    level = knots[int(TAIL * KNOTS)]
    excess = highest[highest > level] - level
    mean = least_mean
    if len(excess):
        mean = max(least_mean, float(excess.mean()))
    return Curve(knots.astype(np.float32), mean)


def say_of(normal: Floats, faulty: Floats) -> float:
    """How well answers tell faults (M,) from normal frames (N,): the area under the ROC curve."""
    ascending = np.sort(normal)
    below = np.searchsorted(ascending, faulty, "left")
    not_above = np.searchsorted(ascending, faulty, "right")
    return float((below + not_above).mean() / (2 * len(normal)))


def is_heard(say: Floats) -> Bools:
    """(3,) which memories speak in this scene."""
    return np.asarray(say >= LEAST_SAY)
