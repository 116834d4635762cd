"""Scores to rarity: −log10 of the share of normal frames that score as high.

Up to a level the share is counted; above it, a generalised Pareto tail goes on where the recording
ends. K distinct scores.
"""

import math
from dataclasses import dataclass

import numpy as np

from oddframe.types import Floats

TAIL_SHARE = 0.02  # of normal frames lie above the level from which the tail is modelled
# of the tail; a negative one would mean a highest possible score, which no recording can show
SHAPES = (0.0, 0.5)
STRAIGHT = 1e-6  # shape below which a tail falls off exponentially
CEILING = 12.0  # no finite recording supports more than one in 10^12


@dataclass(frozen=True)
class Tail:
    """Generalised Pareto tail of normal scores: P(S ≥ s) = share · (1 + shape · (s − level) /
    scale)^(−1 / shape).
    """

    level: float
    share: float
    shape: float
    scale: float


def rarity_of(
    values: Floats, curve: tuple[Floats, Floats], tail: Tail | None, ceiling: float = CEILING
) -> Floats:
    """Rarities of scores of any shape: counted along the curve, and along the tail above its
    level; at most the ceiling.
    """
    knots, rarities = curve
    body = np.interp(values, knots, rarities, left=0.0)
    if tail is None:
        return np.asarray(body)
    with np.errstate(over="ignore"):
        beyond = tail_rarity(tail, np.maximum(values, tail.level))
    rarities_of_all = np.where(values > tail.level, beyond, body)
    return np.asarray(np.minimum(rarities_of_all, ceiling))


def counted_curve(scores: Floats) -> tuple[Floats, Floats]:
    """(K + 1,) distinct scores, and the rarity of each, of ascending normal scores."""
    first = np.flatnonzero(np.append(True, scores[1:] > scores[:-1]))
    knots = scores[first]
    at_least = len(scores) - first  # frames that score as high or higher
    # as if one more normal frame had scored higher than all: nothing is rarer than the recording
    # can show
    higher = np.nextafter(knots[-1], np.inf, dtype=np.float32)
    shares = (np.append(at_least, 0) + 1) / (len(scores) + 1)
    return np.append(knots, higher).astype(np.float64), -np.log10(shares)


def fit_tail(scores: Floats, curve: tuple[Floats, Floats]) -> Tail | None:
    """Generalised Pareto by probability-weighted moments (Hosking & Wallis 1987), its shape held in
    SHAPES.
    """
    knots, rarities = curve
    at = min(int(np.searchsorted(rarities, -math.log10(TAIL_SHARE))), max(0, len(knots) - 11))
    level = float(knots[at])
    share = float(10 ** -rarities[at])
    excess = scores[scores > level].astype(np.float64) - level  # ascending
    n = len(excess)
    if n < 5:
        return None
    a0 = float(excess.mean())
    a1 = float((excess * (n - 1 - np.arange(n)) / (n - 1)).mean())
    shape = -math.inf  # excesses that are all alike fall off at once
    if a0 > 2 * a1:
        shape = 2 - a0 / (a0 - 2 * a1)
    return tail_of_mean(level, share, shape, a0)


def tail_of_mean(level: float, share: float, shape: float, mean: float) -> Tail:
    """The tail whose excesses over the level have this mean; its shape is held in SHAPES."""
    least, most = SHAPES
    shape = min(max(shape, least), most)
    return Tail(level, share, shape, mean * (1 - shape))


def reshaped(tail: Tail, seen: float, random: np.random.Generator) -> Tail:
    """The same mean excess, with a shape as far off as so many independent observations leave it
    open.
    """
    mean = tail.scale / (1 - tail.shape)
    shape = tail.shape + random.normal() / math.sqrt(seen)
    return tail_of_mean(tail.level, tail.share, shape, mean)


def tail_rarity(tail: Tail, score: Floats) -> Floats:
    """Rarities of scores above the tail's level."""
    over = (score - tail.level) / tail.scale
    fall = over
    if tail.shape >= STRAIGHT:
        fall = np.log1p(tail.shape * over) / tail.shape
    return np.asarray(-math.log10(tail.share) + fall / math.log(10))
