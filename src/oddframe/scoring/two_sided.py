"""A running mean of scores that also looks ahead, for files: live, nobody knows what comes.

Frame n at t_n seconds is given the mean of the scores s_k of all frames k of its stretch with
t_k ≤ t_n + lookahead, each counting 2^(−|t_k − t_n| / half-life). Behind a jump of the clock a new
stretch begins, as for the causal mean (`smoothing`). Held are the scores of `lookahead` seconds and
of one batch. N frames in a batch, K frames held.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from oddframe.errors import BadInput
from oddframe.scoring.calibration import Calibration, calibrate
from oddframe.scoring.events import SLACK
from oddframe.scoring.pipeline import concatenate, passing, slice_scores
from oddframe.scoring.smoothing import SAME_THING, smooth
from oddframe.types import Bools, Floats, Scores
from oddframe.video.boxes import overlap
from oddframe.video.filmed_time import StreamClock

LONGEST_LOOKAHEAD = 60.0  # seconds
WEIGHTLESS = 40.0  # half-lives after which a score counts 2^−40: no digit of the mean is changed
CHUNK = 256  # frames that are smoothed together, so that their table of weights stays small


@dataclass
class Past:
    """Sums over the frames of a stretch up to the latest one that was given out."""

    seconds: float | None = None  # of that frame
    weight: float = 0.0  # how much all of them count together
    values: Floats | None = None  # (1 + components,)
    map: Floats | None = None  # (h, w)
    boxes: Floats | None = None  # (n, 5), the fifth the sum


class TwoSidedSmoother:
    """Smooths one stream: scores are held until what lies `lookahead` seconds behind them has
    come.
    """

    def __init__(self, half_life: float, lookahead: float) -> None:
        """Both in seconds. Raises ValueError unless both are above 0."""
        if not (0 < half_life < np.inf and 0 < lookahead < np.inf):
            raise ValueError(
                f"a half-life and a lookahead are above 0 seconds, got {half_life}, {lookahead}"
            )
        self.half_life = half_life
        self.reach = min(lookahead, WEIGHTLESS * half_life) + SLACK
        self.clock = StreamClock()
        self.held: Scores | None = None  # as they came, of one stretch
        self.past = Past()

    def push(self, scores: Scores) -> Iterator[tuple[Scores, Scores]]:
        """The scores that are now known, as they came and smoothed."""
        starts = [0]
        clock = self.clock
        for n, seconds in enumerate(scores.seconds.tolist()):
            if clock.jumps_to(seconds):
                starts.append(n)
            clock = clock.at(seconds)
        self.clock = clock
        for k, start in enumerate(starts):
            if k:  # behind a jump
                yield from self.finish()
            end = len(scores)
            if k + 1 < len(starts):
                end = starts[k + 1]
            yield from self.take(slice_scores(scores, start, end))

    def take(self, scores: Scores) -> Iterator[tuple[Scores, Scores]]:
        """The same for scores that continue the stretch."""
        if not len(scores):
            return
        if self.held is not None:
            scores = concatenate([self.held, scores])
        self.held = scores
        known = scores.seconds + self.reach < scores.seconds[-1]
        yield from self.release(int(known.sum()))

    def finish(self) -> Iterator[tuple[Scores, Scores]]:
        """The rest of a stretch: nothing more follows."""
        if self.held is not None:
            yield from self.release(len(self.held))
        self.held = None
        self.past = Past()

    def release(self, count: int) -> Iterator[tuple[Scores, Scores]]:
        """Give out the first frames of those held."""
        held = self.held
        if held is None or not count:
            return
        for start in range(0, count, CHUNK):
            stop = min(start + CHUNK, count)
            latest = float(held.seconds[stop - 1]) + self.reach
            end = int(np.searchsorted(held.seconds, latest, side="right"))
            window = slice_scores(held, start, end)
            yield slice_scores(held, start, stop), self.smoothed(window, stop - start)
        self.held = slice_scores(held, count, len(held))

    def smoothed(self, window: Scores, count: int) -> Scores:
        """The first `count` of these K frames smoothed; the others lie ahead of them."""
        ahead = self.weights_ahead(window.seconds, count)  # (N, K)
        fading = self.fading(window.seconds)  # (K,)
        totals = np.empty(count)
        for n in range(count):
            self.past.weight = fading[n] * self.past.weight + 1
            totals[n] = self.past.weight
        totals += ahead.sum(1)
        rows = np.array([window.value, *window.components.values()], np.float64).T
        means, self.past.values = mean_of(rows, self.past.values, ahead, fading, totals)
        heat = None
        boxes = None
        if window.map is not None:
            maps = np.asarray(window.map, np.float32)
            heat, self.past.map = mean_of(maps, self.past.map, ahead, fading, totals)
        if window.boxes is not None:
            boxes = self.smoothed_boxes(window, count, fading, totals)
        self.past.seconds = float(window.seconds[count - 1])
        return Scores(
            window.video,
            window.frame[:count],
            window.seconds[:count],
            means[:, 0],
            heat,
            boxes,
            dict(zip(window.components, means.T[1:], strict=True)),
        )

    def fading(self, seconds: Floats) -> Floats:
        """(K,) how much what was before each frame still counts; 0 at the start of a stretch."""
        before = seconds[0]
        if self.past.seconds is not None:
            before = self.past.seconds
        weights = 2.0 ** (-np.diff(seconds, prepend=before) / self.half_life)
        if self.past.seconds is None:
            weights[0] = 0.0
        return np.asarray(weights)

    def weights_ahead(self, seconds: Floats, count: int) -> Floats:
        """(N, K) how much each frame counts for each of the first N, where it lies ahead."""
        lag = seconds - seconds[:count, None]
        later = np.triu(lag <= self.reach, k=1)
        return np.where(later, 2.0 ** (-np.maximum(lag, 0) / self.half_life), 0.0)

    def smoothed_boxes(
        self, window: Scores, count: int, fading: Floats, totals: Floats
    ) -> tuple[Floats, ...]:
        """The boxes of the first N frames, each a mean with those of the same thing before and
        behind: it is followed from frame to frame, and where it is not its value is 0.
        """
        boxes = window.boxes or ()
        same = [same_thing(one, other) for one, other in pairwise(boxes)]
        ends = np.searchsorted(window.seconds, window.seconds[:count] + self.reach, side="right")
        found = []
        for n in range(count):
            sums = np.array(boxes[n], np.float64)
            if self.past.boxes is not None and fading[n]:
                before = same_thing(sums, self.past.boxes)
                sums[:, 4] += fading[n] * highest(before, self.past.boxes[:, 4])
            self.past.boxes = sums
            behind = np.zeros(len(boxes[min(int(ends[n]), len(boxes)) - 1]))
            for k in range(int(ends[n]) - 2, n - 1, -1):
                follows = np.asarray(boxes[k + 1][:, 4]) + behind
                behind = fading[k + 1] * highest(same[k], follows)
            mean = sums.copy()
            mean[:, 4] = (sums[:, 4] + behind) / totals[n]
            found.append(mean)
        return tuple(found)


def mean_of(
    series: Floats, past: Floats | None, ahead: Floats, fading: Floats, totals: Floats
) -> tuple[Floats, Floats]:
    """The means (N, …) of the first N of a series (K, …), and the sum over all up to the last of
    these.

    `past` is that sum before; `ahead` (N, K), `fading` (K,) and `totals` (N,) are weights.
    """
    flat = series.reshape(len(series), -1)
    means = ahead.astype(flat.dtype) @ flat
    for n in range(len(means)):
        now = series[n]
        if past is not None:
            now = (fading[n] * past + now).astype(series.dtype)
        past = now
        means[n] = (means[n] + now.ravel()) / totals[n]
    assert past is not None
    return means.reshape(len(means), *series.shape[1:]), past


def same_thing(boxes: Floats, others: Floats) -> Bools:
    """(n, m) whether boxes (n, 5) of one frame show what others (m, 5) of the next show."""
    if not len(boxes) or not len(others):
        return np.zeros((len(boxes), len(others)), bool)
    return np.asarray(overlap(boxes, others) >= SAME_THING)


def highest(same: Bools, values: Floats) -> Floats:
    """(n,) the highest of the values (m,) of the same thing, 0 where there is none."""
    return np.asarray(np.where(same, values, 0.0).max(axis=1, initial=0.0))


def smooth_both(
    stream: Iterable[Scores], half_life: float, lookahead: float = 0.0
) -> Iterator[tuple[Scores, Scores]]:
    """The scores of a stream as they came and smoothed, batch by batch; without a lookahead by the
    causal mean.
    """
    if not lookahead:
        raw: list[Scores] = []
        for smoothed in smooth(passing(stream, raw), half_life):
            yield raw.pop(), smoothed
        return
    smoother = TwoSidedSmoother(half_life, lookahead)
    for scores in stream:
        yield from smoother.push(scores)
    yield from smoother.finish()


def calibrate_again(calibration: Calibration, half_life: float, lookahead: float) -> Calibration:
    """The calibration of scores that are smoothed with a lookahead, from the same held-out video.

    Raises BadInput where the run did not keep the unsmoothed scores.
    """
    if not calibration.raw:
        raise BadInput(
            "the run does not hold the unsmoothed scores that a lookahead is calibrated on; "
            "fit again"
        )
    smoothed = []
    for one in calibration.raw:
        frame = np.arange(len(one.value))
        scores = Scores("normal video", frame, one.seconds, one.value)
        parts = [part for _, part in smooth_both([scores], half_life, lookahead)]
        smoothed.append(concatenate(parts))
    again = calibrate(smoothed, calibration.how)
    return replace(again, view=calibration.view, raw=calibration.raw)
