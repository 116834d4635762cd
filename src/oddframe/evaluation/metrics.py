"""The numbers. Each function takes plain arrays of what is true and what was said; higher scores
are stranger.

V videos, F frames of all of them, E events and S true segments of one video; h × w cells of a map.
A number that is not defined (one class only, nothing to count) is None; whoever asks knows why.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from oddframe.types import Bools, Floats, Ints


def roc(odd: Bools, score: Floats) -> tuple[Floats, Floats]:
    """False and true positive rates from (0, 0) to (1, 1), one point for each distinct score. Needs
    both classes.
    """
    hits, alarms = counts_above(odd, score)
    false = alarms - hits
    return np.append(0.0, false / false[-1]), np.append(0.0, hits / hits[-1])


def auc(odd: Bools, score: Floats) -> float | None:
    """ROC AUC: the chance that an odd frame scores higher than a normal one, a tie counting
    half.
    """
    if not both_classes(odd):
        return None
    x, y = roc(odd, score)
    return float(np.trapezoid(y, x))


def average_precision(odd: Bools, score: Floats) -> float | None:
    """Precision at each distinct score, weighted by the recall gained there (scikit-learn's
    definition).
    """
    if not odd.any():
        return None
    hits, alarms = counts_above(odd, score)
    precision = hits / alarms
    gained = np.diff(hits, prepend=0.0)
    return float((precision * gained).sum() / hits[-1])


def equal_error_rate(odd: Bools, score: Floats) -> float | None:
    """The rate at which as large a share of normal frames is called odd as of odd frames normal, on
    the ROC's lines.
    """
    if not both_classes(odd):
        return None
    x, y = roc(odd, score)
    surplus = x + y - 1  # false positives minus misses: rises from −1 to 1
    after = int(np.searchsorted(surplus, 0.0))
    before = after - 1
    share = -surplus[before] / (surplus[after] - surplus[before])
    return float(x[before] + share * (x[after] - x[before]))


def interval(
    odd: Sequence[Bools], score: Sequence[Floats], seed: int = 0, draws: int = 2000
) -> list[float] | None:
    """The 95 % bootstrap interval of the micro AUC: whole videos drawn with replacement, for frames
    of one are alike.

    Draws of one class only are drawn again. None for fewer than two videos.
    """
    V = len(odd)
    if V < 2 or not both_classes(np.concatenate(odd)):
        return None
    won = won_pairs(odd, score)
    odds = np.array([flags.sum() for flags in odd], float)
    normals = np.array(list(map(len, odd))) - odds
    random = np.random.default_rng(seed)
    aucs = np.zeros(0)
    while len(aucs) < draws:
        times = random.multinomial(V, np.full(V, 1 / V), size=draws).astype(float)  # (draws, V)
        pairs = (times @ odds) * (times @ normals)
        right = ((times @ won) * times).sum(1)
        fit = pairs > 0
        aucs = np.append(aucs, right[fit] / pairs[fit])
    low, high = np.percentile(aucs[:draws], [2.5, 97.5])
    return [float(low), float(high)]


def as_published(
    odd: Sequence[Bools], raw: Sequence[Floats], smoothing: float = 0.0
) -> tuple[float | None, float | None]:
    """Micro and macro AUC as papers count them: each video's scores stretched to [0, 1] by its own
    lowest and highest.

    `smoothing` is the width (sigma, frames) of a Gaussian centred on each frame, which reads the
    future; 0 is none. Macro is over all videos, each padded with a fake normal frame of score 0 and
    a fake odd one of the highest score.
    """
    stretched = [min_max(smooth_by_gaussian(scores, smoothing)) for scores in raw]
    return stretched_aucs(odd, stretched)


def stretched_aucs(odd: Sequence[Bools], stretched: Sequence[Floats]) -> tuple[float | None, float]:
    """Micro and macro AUC, as papers count them, of scores in [0, 1]."""
    padded = []
    for flags, scores in zip(odd, stretched, strict=True):
        padded.append(padded_auc(flags, scores))
    micro = auc(np.concatenate(odd), np.concatenate(stretched))
    return micro, float(np.mean(padded))


def padded_auc(odd: Bools, score: Floats) -> float:
    """AUC of one video with a fake normal frame of score 0 and a fake odd one of the highest
    score.
    """
    highest = score.max(initial=0.0)
    flags = np.concatenate([odd, [False, True]])
    scores = np.concatenate([score, [0.0, highest]])
    x, y = roc(flags, scores)
    return float(np.trapezoid(y, x))


def min_max(scores: Floats) -> Floats:
    """To [0, 1] by the lowest and the highest; zeros where they are one."""
    if not len(scores):
        return np.zeros(0)
    low = scores.min()
    high = scores.max()
    if high <= low:
        return np.zeros(len(scores))
    return np.asarray((scores - low) / (high - low), float)


def smooth_by_gaussian(scores: Floats, sigma: float) -> Floats:
    """A Gaussian of this width (frames), centred on each frame; the ends are held."""
    plain = np.asarray(scores, float)
    if sigma <= 0:
        return plain
    from scipy.ndimage import gaussian_filter1d

    return np.asarray(gaussian_filter1d(plain, sigma, mode="nearest"))


@dataclass(frozen=True)
class Match:
    """Which of a video's events overlap a true segment, and how late each segment was noticed."""

    right: Bools  # (E,)
    # (S,) seconds from the segment's start to the first event in it; NaN where it was missed
    delay: Floats


def match_events(events: Floats, segments: Floats) -> Match:
    """Hold events against true segments, (E, 2) and (S, 2) seconds [start, end).

    An event that began before the segment and lasts into it noticed it without delay.
    """
    begins, ends = np.reshape(events, (-1, 2)).T[:, :, None]  # (E, 1)
    starts, stops = np.reshape(segments, (-1, 2)).T[:, None, :]  # (1, S)
    meet = (begins < stops) & (ends > starts)  # (E, S)
    late = (begins - starts).clip(0)
    first = np.where(meet, late, np.inf).min(0, initial=np.inf)
    delay = np.where(np.isfinite(first), first, np.nan)
    return Match(np.asarray(meet.any(1)), delay)


def precision_recall_f1(
    matches: Sequence[Match],
) -> tuple[float | None, float | None, float | None]:
    """Share of events that are right, share of segments noticed, and their harmonic mean, over all
    videos.

    Without events precision is undefined and F1 is 0; without segments recall and F1 are undefined.
    """
    right = np.concatenate([match.right for match in matches])
    noticed = np.isfinite(all_delays(matches))
    precision = None
    if len(right):
        precision = float(right.mean())
    if not len(noticed):
        return precision, None, None
    recall = float(noticed.mean())
    f1 = 0.0
    if precision and recall:
        f1 = 2 * precision * recall / (precision + recall)
    return precision, recall, f1


def all_delays(matches: Sequence[Match]) -> Floats:
    """The delays of the segments of all videos, one after another."""
    return np.concatenate([match.delay for match in matches])


def shared_seconds(events: Floats, segments: Floats) -> float:
    """Seconds of the events (E, 2) that lie within segments (S, 2), which do not overlap each
    other.
    """
    begins, ends = events.T[:, :, None]  # (E, 1)
    starts, stops = segments.T[:, None, :]  # (1, S)
    low = np.maximum(begins, starts)
    high = np.minimum(ends, stops)
    return float((high - low).clip(0).sum())


def median_delay(matches: Sequence[Match]) -> float | None:
    """Seconds from a segment's start to its first alarm, median over the segments noticed."""
    delays = all_delays(matches)
    if not np.isfinite(delays).any():
        return None
    return float(np.nanmedian(delays))


class PixelCounts:
    """Pixel AUC over any number of maps in bounded memory: a histogram of odd and normal pixels
    over the scores.

    A pixel takes the value of the map's cell that its centre lies in (nearest, nothing
    interpolated). Bins lie between `edges`; pixels in one bin count as ties, so the AUC is exact
    when every distinct score is an edge. Every picture weighs the same, whatever the size of its
    mask.
    """

    def __init__(self, edges: Floats) -> None:
        self.edges = np.unique(edges)
        self.odd, self.all = np.zeros((2, len(self.edges) + 1))

    def add(self, map: Floats, mask: Bools | None, times: int = 1) -> None:
        """One picture; without a mask it is normal all over. `times` adds it as often."""
        h, w = map.shape
        bins = np.searchsorted(self.edges, map.ravel(), side="right")
        odd: Floats = np.zeros((h, w))
        every: Floats = np.full((h, w), 1 / map.size)
        if mask is not None:
            odd, every = shares(mask, h, w)
        self.all += times * np.bincount(bins, every.ravel(), minlength=len(self.all))
        if np.any(odd):
            self.odd += times * np.bincount(bins, odd.ravel(), minlength=len(self.all))

    def auc(self) -> float | None:
        """The area; None where all pixels are of one class."""
        normal = (self.all - self.odd).clip(0)
        pairs = self.odd.sum() * normal.sum()
        if not pairs > 0:
            return None
        below = np.cumsum(normal) - normal / 2
        return float((self.odd * below).sum() / pairs)


def shares(mask: Bools, h: int, w: int) -> tuple[Floats, Floats]:
    """What share of the picture is odd and lies in each of h × w cells, and what share lies in each
    cell at all.

    A pixel belongs to the cell that its centre lies in; where the mask is coarser than the map, a
    cell takes the pixel that its own centre lies in.
    """
    odd = np.asarray(np.asarray(mask) > 0)
    sides = []
    for axis, cells in enumerate((h, w)):
        pixels = odd.shape[axis]
        sizes = np.ones(cells)
        if pixels >= cells:
            cell = centres(pixels, cells)
            first = np.searchsorted(cell, np.arange(cells))
            odd = np.add.reduceat(odd, first, axis=axis, dtype=float)
            sizes = np.bincount(cell, minlength=cells).astype(float)
        else:
            odd = odd.take(centres(cells, pixels), axis=axis)
        sides.append(sizes)
    every = np.outer(*sides)
    return odd / every.sum(), every / every.sum()


def centres(fine: int, coarse: int) -> Ints:
    """(fine,) which of so many coarse cells of a side the centre of each fine one lies in."""
    halves = 2 * np.arange(fine) + 1  # of a fine cell, up to each centre
    return np.asarray(halves * coarse // (2 * fine))


def peak_in_mask(map: Floats, mask: Bools) -> bool:
    """Whether the map's highest cell touches the mask."""
    (top, bottom), (left, right) = peak_cell(map)
    H, W = mask.shape
    rows = pixels_between(top, bottom, H)
    columns = pixels_between(left, right, W)
    return bool(np.asarray(mask[rows, columns]).any())


def pixels_between(start: float, end: float, pixels: int) -> slice:
    """The pixels of a side that lie, even in part, between two fractions of it."""
    first = int(np.floor(start * pixels + 1e-9))
    beyond = int(np.ceil(end * pixels - 1e-9))
    return slice(first, beyond)


def peak_in_boxes(map: Floats, boxes: Floats) -> bool:
    """Whether the map's highest cell touches one of the boxes (n, 4)."""
    (top, bottom), (left, right) = peak_cell(map)
    x1, y1, x2, y2 = boxes.T
    across = (x1 < right) & (x2 > left)
    down = (y1 < bottom) & (y2 > top)
    return bool((across & down).any())


def thin_curve(x: Floats, y: Floats, most: int = 500) -> tuple[list[float], list[float]]:
    """At most so many points of a rising curve, evenly along its way; the first and last are
    kept.
    """
    if len(x) > most:
        across = np.abs(np.diff(x, prepend=x[0]))
        up = np.abs(np.diff(y, prepend=y[0]))
        way = np.cumsum(across + up)
        evenly = np.linspace(0, way[-1], most - 1)
        kept = np.searchsorted(way, evenly)
        kept = np.unique(np.append(kept, [0, len(x) - 1]))
        x = x[kept]
        y = y[kept]
    return np.asarray(x, float).tolist(), np.asarray(y, float).tolist()


def both_classes(odd: Bools) -> bool:
    """Whether some frames are odd and some are normal."""
    return bool(odd.any() and not odd.all())


def counts_above(odd: Bools, score: Floats) -> tuple[Floats, Floats]:
    """Odd frames, and all frames, at or above each distinct score, from the highest down."""
    order = np.argsort(-score, kind="stable")
    changes = np.flatnonzero(np.diff(score[order]))
    last = np.append(changes, len(order) - 1)  # of the frames with one score
    return np.cumsum(odd[order], dtype=float)[last], last + 1.0


def won_pairs(odd: Sequence[Bools], score: Sequence[Floats]) -> Floats:
    """(V, V): pairs of an odd frame of video i and a normal one of video j that are in the right
    order, ties half.

    Any choice of videos has its micro AUC from this table, without sorting again.
    """
    odds = []
    normals = []
    for flags, scores in zip(odd, score, strict=True):
        odds.append(np.sort(scores[flags]))
        normals.append(np.sort(scores[~flags]))
    won = np.zeros((len(odds), len(normals)))
    for i, high in enumerate(odds):
        for j, low in enumerate(normals):
            below = np.searchsorted(low, high, "left").sum()
            up_to = np.searchsorted(low, high, "right").sum()
            won[i, j] = (below + up_to) / 2
    return won


def peak_cell(map: Floats) -> tuple[tuple[float, float], tuple[float, float]]:
    """(top, bottom), (left, right) of the highest cell, fractions of the picture."""
    h, w = map.shape
    row, column = divmod(int(map.argmax()), w)
    rows = (row / h, (row + 1) / h)
    columns = (column / w, (column + 1) / w)
    return rows, columns


def levels_of(values: Floats, peaks: Floats, most: int = 128) -> Floats:
    """Thresholds for a sweep, falling: where few pictures have anything above, and on down to the
    lowest value.

    Half are quantiles of the pictures' highest values, half quantiles of all values at tails that
    double. When there are no more distinct values than levels, they are all of them.
    """
    distinct = np.unique(np.concatenate([values, peaks]))
    if len(distinct) > most:
        tails = np.geomspace(0.5 / len(values), 1, most // 2)
        evenly = np.linspace(0, 1, most - most // 2)
        of_peaks = np.quantile(peaks, evenly, method="nearest")
        of_values = np.quantile(values, 1 - tails, method="nearest")
        distinct = np.unique(np.concatenate([of_peaks, of_values]))
    return distinct[::-1].copy()
