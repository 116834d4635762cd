"""One unit for all methods: rarity, −log10 of the share of normal frames that score as high.
Thresholds are chosen as false alarms per hour on normal video that the method did not fit; never by
looking at test labels.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from oddframe.errors import BadInput
from oddframe.scoring.events import RELEASE, find_events
from oddframe.scoring.rarity import (
    CEILING,
    STRAIGHT,
    Tail,
    counted_curve,
    fit_tail,
    rarity_of,
    reshaped,
)
from oddframe.types import Bytes, Floats, Ints, Scores
from oddframe.video.filmed_time import JUMP, filmed_seconds, usual_step

GRID = np.round(np.arange(0.5, 8.01, 0.05), 2)  # rarities at which false alarms are counted
# events that must have been seen for a rate to count as measured (their relative error is 1/√3)
COUNTED = 3
# seconds into which normal video is cut for resampling, so that one long film is not all or nothing
PIECE = 60.0


@dataclass(frozen=True)
class Threshold:
    """Where an event begins, and what is known about the false alarms that this costs."""

    rarity: float
    asked: float  # false alarms per hour that were asked for
    expected: float  # false alarms per hour at this threshold, as far as the normal video can tell
    # 95 % of resamples of the normal video put the rate in here; from 0 if not counted
    interval: tuple[float, float]
    # True: false alarms as rare as this were counted; False: the tail was extended
    counted: bool
    supported: float  # the lowest rate that the normal video could show by counting
    note: str


@dataclass(frozen=True)
class RawSegment:
    """Scores of N frames of normal video before smoothing, to calibrate again for another one."""

    seconds: Floats  # (N,)
    value: Floats  # (N,) float32


@dataclass(frozen=True)
class Calibration:
    """What normal video scores, by detectors that had not seen it."""

    # one array a piece (a minute at most): the smoothed scores of its frames, ascending
    scores: tuple[Floats, ...]
    seconds: tuple[float, ...]  # how long each is
    alarms: Floats  # (pieces, len(GRID)) events that begin in each, at each rarity of GRID
    # (h, w) the background that most of it shows, if any
    view: Bytes | None = field(default=None, kw_only=True)
    # of each held-out segment; empty where they were not kept
    raw: tuple[RawSegment, ...] = field(default=(), kw_only=True)
    how: str  # "leave one video out" or "held-out share"

    @property
    def hours(self) -> float:
        """How much normal video it knows."""
        return sum(self.seconds) / 3600

    def rarity(self, score: Floats, ceiling: float = CEILING) -> Floats:
        """−log10 p of scores of any shape: 0 for the most ordinary, 2 for one in a hundred normal
        frames, and so on.

        Where scores are ranked, as the cells of a map are, the ceiling is infinite: under it all
        that is strange would be equally so.
        """
        with np.errstate(over="ignore"):
            # as those it is compared with: equal ones must stay equal
            rounded = np.asarray(score, np.float32)
        return rarity_of(rounded.astype(np.float64), self.curve, self.tail, ceiling)

    @cached_property
    def curve(self) -> tuple[Floats, Floats]:
        """(K,) ascending scores and the rarity of each, from the normal frames themselves."""
        return counted_curve(self.ascending)

    @cached_property
    def tail(self) -> Tail | None:
        """The model above the TAIL_SHARE of normal frames; None where normal scores do not vary
        there.
        """
        return fit_tail(self.ascending, self.curve)

    @cached_property
    def ascending(self) -> Floats:
        """All normal scores."""
        # a stable sort is quick on parts that are in order
        return np.sort(np.concatenate(self.scores), kind="stable")

    def score_at(self, rarity: float) -> float:
        """The score that has this rarity: the inverse of `rarity` for one number."""
        knots, rarities = self.curve
        tail = self.tail
        if tail is None or rarity <= -math.log10(tail.share):
            return float(np.interp(rarity, rarities, knots))
        fall = (rarity + math.log10(tail.share)) * math.log(10)
        over = fall
        if tail.shape >= STRAIGHT:
            over = math.expm1(fall * tail.shape) / tail.shape
        return tail.level + over * tail.scale

    def rate(self, rarity: float) -> float:
        """False alarms per hour at a threshold: counted where enough were seen, else extended along
        the tail.

        The rarest rate that was counted gives the height, the frames' tail the slope: a unit is ten
        times rarer.
        """
        return self.rate_by(rarity, lambda anchor: rarity - anchor)

    def threshold(self, per_hour: float, seed: int = 0) -> Threshold:
        """The lowest rarity at which no more than `per_hour` false alarms an hour are expected.
        Raises BadInput.
        """
        if not per_hour > 0 or not math.isfinite(per_hour):
            raise BadInput(f"false alarms per hour is a number above 0, got {per_hour}")
        supported = COUNTED / self.hours
        rarity = self.lowest_rarity(per_hour)
        rates = self.resampled_rates(rarity, seed)
        low, high = np.percentile(rates, [2.5, 97.5]).tolist()
        counted = per_hour >= supported
        recording = f"{in_words(sum(self.seconds))} of normal video"
        note = f"counted on {recording}"
        if not counted:
            # a recording in which nothing so rare was counted cannot exclude that there is nothing
            low = 0.0
            note = (
                f"{recording} can show no rate below {two_digits(supported)} per hour; "
                f"{per_hour:g} per hour is an extension of its tail and may really be up to "
                f"{two_digits(high)}"
            )
        return Threshold(rarity, per_hour, self.rate(rarity), (low, high), counted, supported, note)

    def lowest_rarity(self, per_hour: float) -> float:
        """The first rarity of GRID with no more false alarms an hour; beyond GRID, along the
        tail.
        """
        level = rate = 0.0
        for level in GRID.tolist():
            rate = self.rate(level)
            if rate <= per_hour:
                return float(level)
        return min(CEILING, float(level) + math.log10(rate / per_hour))

    def rate_by(
        self, rarity: float, fall: Callable[[float], float], draw: Callable[[float], float] = float
    ) -> float:
        """`fall` gives the rarity between a level at which alarms were counted and the threshold
        asked about.

        `draw` makes the mean number of alarms out of the number counted.
        """
        # a higher threshold never means more alarms
        total = np.maximum.accumulate(self.alarms.sum(0)[::-1])[::-1]
        seen = np.flatnonzero(total >= COUNTED)
        anchor = 0
        if len(seen):
            anchor = int(seen[-1])
        if len(seen) and rarity <= GRID[anchor]:
            below = max(0, int(np.searchsorted(GRID, rarity + 1e-9, side="right")) - 1)
            return draw(float(total[below])) / self.hours
        rate = draw(max(float(total[anchor]), 1.0)) / self.hours
        return rate * 10 ** -fall(float(GRID[anchor]))

    def resampled_rates(self, rarity: float, seed: int, times: int = 200) -> list[float]:
        """Rates at this threshold had other video of the same kind been recorded.

        Three things vary: which pieces are recorded (bootstrap), how many alarms chance puts into
        them (Poisson), and the tail's shape, of which a few minutes tell less than their resamples
        differ.
        """
        random = np.random.default_rng(seed)
        rates = []
        for _ in range(times):
            chosen = random.integers(len(self.seconds), size=len(self.seconds))
            other = self.of_pieces(chosen)
            tail = other.tail and reshaped(other.tail, other.rises(other.tail), random)

            def fall(anchor: float, other: Calibration = other, tail: Tail | None = tail) -> float:
                ends = np.array([self.score_at(anchor), self.score_at(rarity)])
                low, high = rarity_of(ends, other.curve, tail)
                return float(high - low)

            rates.append(
                other.rate_by(rarity, fall, lambda count: float(random.gamma(count + 0.5)))
            )
        return rates

    def of_pieces(self, chosen: Ints) -> "Calibration":
        """The calibration on some of its pieces, which may come more than once."""
        return replace(
            self,
            scores=tuple(self.scores[k] for k in chosen),
            seconds=tuple(self.seconds[k] for k in chosen),
            alarms=self.alarms[chosen],
        )

    def rises(self, tail: Tail) -> float:
        """How often the scores rose into the tail: frames in a row are one observation, not
        many.
        """
        level = int(np.searchsorted(GRID, -math.log10(tail.share)))
        level = min(level, len(GRID) - 1)
        rises = self.alarms[:, level].sum()
        return max(1.0, float(rises))


def calibrate(held_out: Sequence[Scores], how: str) -> Calibration:
    """Learn the scale from smoothed scores, one Scores a normal video, of detectors that had not
    seen it.

    Raises BadInput when there is nothing to learn from.
    """
    held_out = [scores for scores in held_out if len(scores)]
    if not held_out:
        raise BadInput("no normal video is long enough to calibrate on; add videos, or longer ones")
    for scores in held_out:
        if not np.isfinite(scores.value).all():
            raise BadInput(
                f"{scores.video}: some scores of this normal video are not finite; fit again"
            )
    ascending: list[Floats] = []
    seconds: list[float] = []
    for scores in held_out:
        for start, end in pairwise([*piece_starts(scores).tolist(), len(scores)]):
            piece = part_of_scores(scores, start, end)
            ascending.append(np.sort(piece.value).astype(np.float32))
            seconds.append(piece_seconds(piece, scores))
    nothing = np.zeros((len(seconds), len(GRID)))
    bare = Calibration(tuple(ascending), tuple(seconds), nothing, how)
    alarms = []
    for scores in held_out:
        rare = replace(scores, value=bare.rarity(scores.value), map=None, boxes=None)
        alarms.append(count_alarms(rare, scores.seconds[piece_starts(scores)]))
    return replace(bare, alarms=np.concatenate(alarms))


def raw_segments(held_out: Sequence[Scores]) -> tuple[RawSegment, ...]:
    """Unsmoothed scores as a run keeps them, of the segments that have any."""
    kept = []
    for scores in held_out:
        if len(scores):
            seconds = np.asarray(scores.seconds, np.float64)
            kept.append(RawSegment(seconds, np.asarray(scores.value, np.float32)))
    return tuple(kept)


def piece_starts(scores: Scores) -> Ints:
    """Where pieces of at most PIECE filmed seconds, of equally many frames, begin in a video's
    scores.
    """
    count = math.ceil(filmed_seconds(scores.seconds) / PIECE - 0.01)
    count = max(1, min(count, len(scores)))  # a leap of the clock makes no more pieces than frames
    return np.unique(np.arange(count) * len(scores) // count)


def part_of_scores(scores: Scores, start: int, end: int) -> Scores:
    """The scores alone of frames [start, end)."""
    part = slice(start, end)
    return Scores(scores.video, scores.frame[part], scores.seconds[part], scores.value[part])


def count_alarms(scores: Scores, begins: Floats) -> Floats:
    """(pieces, len(GRID)): events that begin in each piece of a video, which may go on into the
    next.
    """
    found = np.zeros((len(begins), len(GRID)))
    for k, level in enumerate(GRID.tolist()):
        events = find_events(loud_frames(scores, RELEASE * level), level)
        starts = [event.start for event in events]
        piece = np.searchsorted(begins, starts, side="right") - 1
        found[:, k] = np.bincount(piece, minlength=len(begins))
    return found


def loud_frames(scores: Scores, level: float) -> Scores:
    """The frames that reach a level, with their neighbours: no event depends on the others, and
    they are many.
    """
    loud = scores.value >= level
    near = loud.copy()
    near[1:] |= loud[:-1]
    near[:-1] |= loud[1:]
    return Scores(scores.video, scores.frame[near], scores.seconds[near], scores.value[near])


def piece_seconds(piece: Scores, video: Scores) -> float:
    """Filmed seconds of a piece, by the step of its video where it is a frame on either side of a
    leap.
    """
    step = usual_step(video.seconds)
    if len(piece) < 2 or usual_step(piece.seconds) > JUMP * step:
        return step * len(piece)
    return filmed_seconds(piece.seconds)


def two_digits(number: float) -> str:
    """Two digits, without exponents that nobody reads."""
    if number < 0.01:
        return "0"
    if number < 10:
        return f"{number:.2g}"
    return f"{number:.0f}"


def in_words(seconds: float) -> str:
    """A length in hours, or in minutes where it is under one."""
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"
