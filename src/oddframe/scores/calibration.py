"""One unit for all methods: rarity, −log10 of the share of normal frames that score as high. Thresholds are chosen as
false alarms per hour on normal video that the method did not fit; never by looking at test labels.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from oddframe.errors import BadInput, BadRun
from oddframe.files import aside
from oddframe.scores.events import find_events
from oddframe.types import Floats, Scores

TAIL_SHARE = 0.02  # of normal frames lie above the level from which the tail is modelled
GRID = np.round(np.arange(0.5, 8.01, 0.05), 2)  # rarities at which false alarms are counted
COUNTED = 3  # events that must have been seen for a rate to count as measured (their relative error is 1/√3)
CEILING = 12.0  # no finite recording supports more than one in 10^12


@dataclass(frozen=True)
class Tail:
    """Generalised Pareto tail of normal scores: P(S ≥ s) = share · (1 + shape · (s − level) / scale)^(−1 / shape)."""

    level: float
    share: float
    shape: float
    scale: float


@dataclass(frozen=True)
class Threshold:
    """Where an event begins, and what is known about the false alarms that this costs."""

    rarity: float
    asked: float  # false alarms per hour that were asked for
    expected: float  # false alarms per hour at this threshold, as far as the normal video can tell
    interval: tuple[float, float]  # 95 % of bootstrap resamples of the normal videos put the rate in here
    counted: bool  # True: false alarms as rare as this were counted. False: the tail was extended beyond the recording
    supported: float  # the lowest rate that the normal video could show by counting
    note: str


@dataclass(frozen=True)
class Calibration:
    """What normal video scores, by detectors that had not seen it."""

    scores: tuple[Floats, ...]  # one array a video: the smoothed scores of its frames, ascending
    seconds: tuple[float, ...]  # how long each is
    alarms: Floats  # (videos, len(GRID)) events in each at each rarity of GRID
    how: str  # "leave one video out" or "held-out share"

    @property
    def hours(self) -> float:
        return sum(self.seconds) / 3600

    def rarity(self, score: Floats) -> Floats:
        """−log10 p of scores of any shape: 0 for the most ordinary, 2 for one in a hundred normal frames, and so on."""
        knots, rarities = self.curve
        values = np.asarray(score, np.float64)
        body = np.interp(values, knots, rarities, left=0.0)
        tail = self.tail
        if tail is None:
            return np.asarray(np.where(values > knots[-1], np.maximum(body, rarities[-1]), body))
        with np.errstate(over="ignore"):
            beyond = _tail_rarity(tail, np.maximum(values, tail.level))
        return np.asarray(np.minimum(np.where(values > tail.level, beyond, body), CEILING))

    @cached_property
    def curve(self) -> tuple[Floats, Floats]:
        """(K,) ascending scores and the rarity of each, from the normal frames themselves."""
        return _curve(np.sort(np.concatenate(self.scores)))

    @cached_property
    def tail(self) -> Tail | None:
        """The model above the TAIL_SHARE of normal frames; None where normal scores do not vary there."""
        return _fit_tail(np.sort(np.concatenate(self.scores)), self.curve)

    def score_at(self, rarity: float) -> float:
        """The score that has this rarity: the inverse of `rarity` for one number."""
        knots, rarities = self.curve
        tail = self.tail
        if tail is None or rarity <= -math.log10(tail.share):
            return float(np.interp(rarity, rarities, knots))
        fall = (rarity + math.log10(tail.share)) * math.log(10)
        over = fall if tail.shape < 1e-6 else math.expm1(fall * tail.shape) / tail.shape
        return tail.level + over * tail.scale

    def rate(self, rarity: float) -> float:
        """False alarms per hour at a threshold: counted where enough were seen, else extended along the tail.

        The rarest rate that was counted gives the height, the frames' tail the slope: a unit is ten times rarer.
        """
        return self._rate(rarity, lambda anchor: rarity - anchor)

    def threshold(self, per_hour: float, seed: int = 0) -> Threshold:
        """The lowest rarity at which no more than `per_hour` false alarms an hour are expected. Raises BadInput."""
        if not per_hour > 0 or not math.isfinite(per_hour):
            raise BadInput(f"false alarms per hour is a number above 0, got {per_hour}")
        supported = COUNTED / self.hours
        rarity = next((float(level) for level in GRID if self.rate(float(level)) <= per_hour), None)
        if rarity is None:
            rarity = min(CEILING, float(GRID[-1]) + math.log10(self.rate(float(GRID[-1])) / per_hour))
        rates = self._resampled(rarity, seed)
        low, high = (float(np.percentile(rates, q)) for q in (2.5, 97.5))
        counted = per_hour >= supported
        recording = f"{_lasting(sum(self.seconds))} of normal video"
        note = (
            f"counted on {recording}"
            if counted
            else f"{recording} can show no rate below {_few(supported)} per hour; {per_hour:g} per hour is an "
            f"extension of its tail and may really be {_few(low)} to {_few(high)}"
        )
        return Threshold(rarity, per_hour, self.rate(rarity), (low, high), counted, supported, note)

    def _rate(self, rarity: float, fall: Callable[[float], float]) -> float:
        """`fall` gives the rarity between a level at which alarms were counted and the threshold asked about."""
        total = np.maximum.accumulate(self.alarms.sum(0)[::-1])[::-1]  # a higher threshold never means more alarms
        seen = np.flatnonzero(total >= COUNTED)
        anchor = int(seen[-1]) if len(seen) else 0
        if len(seen) and rarity <= GRID[anchor]:
            return float(total[int(np.searchsorted(GRID, rarity - 1e-9))] / self.hours)
        return float(max(total[anchor], 1.0) / self.hours * 10 ** -fall(float(GRID[anchor])))

    def _resampled(self, rarity: float, seed: int, times: int = 200) -> list[float]:
        """Rates at this threshold had other videos of the same kind been recorded (bootstrap over videos)."""
        random, rates = np.random.default_rng(seed), []
        for _ in range(times):
            chosen = random.integers(len(self.seconds), size=len(self.seconds))
            other = replace(
                self,
                scores=tuple(self.scores[k] for k in chosen),
                seconds=tuple(self.seconds[k] for k in chosen),
                alarms=self.alarms[chosen],
            )
            rates.append(other._rate(rarity, partial(_between, self, other, rarity)))
        return rates


def calibrate(held_out: Sequence[Scores], how: str) -> Calibration:
    """Learn the scale from smoothed scores, one Scores a normal video, of detectors that had not seen it.

    Raises BadInput when there is nothing to learn from.
    """
    held_out = [scores for scores in held_out if len(scores)]
    if not held_out:
        raise BadInput("no normal video is long enough to calibrate on; add videos, or longer ones")
    bare = Calibration(
        scores=tuple(np.sort(scores.value).astype(np.float32) for scores in held_out),
        seconds=tuple(_lasted(scores) for scores in held_out),
        alarms=np.zeros((len(held_out), len(GRID))),
        how=how,
    )
    rare = [replace(scores, value=bare.rarity(scores.value), map=None, boxes=None) for scores in held_out]
    alarms = np.array([[len(find_events(scores, float(level))) for level in GRID] for scores in rare], float)
    return replace(bare, alarms=alarms)


def save_calibration(calibration: Calibration, path: Path) -> None:
    """Write it as npz, whole or not at all."""
    with aside(path) as part, part.open("wb") as file:
        np.savez(
            file,
            scores=np.concatenate(calibration.scores),
            frames=np.array([len(scores) for scores in calibration.scores]),
            seconds=np.array(calibration.seconds),
            alarms=calibration.alarms,
            how=np.array(calibration.how),
        )


def load_calibration(path: Path) -> Calibration:
    """Read it back. Raises BadRun."""
    if not path.is_file():
        raise BadRun(f"{path.parent} is incomplete: {path.name} is missing; fit again")
    try:
        with np.load(path, allow_pickle=False) as held:
            return Calibration(
                scores=tuple(np.split(held["scores"], np.cumsum(held["frames"])[:-1])),
                seconds=tuple(float(s) for s in held["seconds"]),
                alarms=held["alarms"],
                how=str(held["how"]),
            )
    except Exception as error:  # zipfile, numpy and zlib each have their own words for damage
        raise BadRun(f"{path} is damaged ({error}); fit again or copy it anew") from error


def _between(own: Calibration, other: Calibration, rarity: float, anchor: float) -> float:
    """Rarity, by the other calibration, between the scores that stand at `anchor` and `rarity` by our own."""
    ends = np.array([own.score_at(anchor), own.score_at(rarity)])
    low, high = other.rarity(ends)
    return float(high - low)


def _curve(scores: Floats) -> tuple[Floats, Floats]:
    knots, first = np.unique(scores, return_index=True)
    at_least = len(scores) - first  # frames that score as high or higher
    # as if one more normal frame had scored higher than all: nothing is rarer than the recording can show
    return knots.astype(np.float64), -np.log10((at_least + 1) / (len(scores) + 1))


def _fit_tail(scores: Floats, curve: tuple[Floats, Floats]) -> Tail | None:
    """Generalised Pareto by probability-weighted moments (Hosking & Wallis 1987), its shape held in [0, 0.5].

    A negative shape would mean a highest possible score, which no recording can show.
    """
    knots, rarities = curve
    at = min(int(np.searchsorted(rarities, -math.log10(TAIL_SHARE))), max(0, len(knots) - 10))
    level, share = float(knots[at]), float(10 ** -rarities[at])
    excess = scores[scores > level].astype(np.float64) - level  # ascending
    n = len(excess)
    if n < 5:
        return None
    a0 = float(excess.mean())
    a1 = float((excess * (n - 1 - np.arange(n)) / (n - 1)).mean())
    shape = float(np.clip(2 - a0 / (a0 - 2 * a1), 0.0, 0.5)) if a0 > 2 * a1 else 0.5
    return Tail(level, share, shape, a0 * (1 - shape))


def _tail_rarity(tail: Tail, score: Floats) -> Floats:
    over = (score - tail.level) / tail.scale
    fall = over if tail.shape < 1e-6 else np.log1p(tail.shape * over) / tail.shape
    return np.asarray(-math.log10(tail.share) + fall / math.log(10))


def _lasted(scores: Scores) -> float:
    """Seconds that these frames cover: the last one lasts as long as the others do."""
    if len(scores) < 2:
        return 0.04
    return float(scores.seconds[-1] - scores.seconds[0]) * len(scores) / (len(scores) - 1)


def _few(number: float) -> str:
    """Two digits, without exponents that nobody reads."""
    return "0" if number < 0.01 else f"{number:.0f}" if number >= 10 else f"{number:.2g}"


def _lasting(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"
