"""One unit for all methods: rarity, −log10 of the share of normal frames that score as high.
Thresholds are chosen as false alarms per hour on normal video that the method did not fit; never by
looking at test labels.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any
from zipfile import ZipInfo

import numpy as np

from oddframe.errors import BadInput, BadRun
from oddframe.files import aside
from oddframe.scoring.events import RELEASE, find_events
from oddframe.types import Bytes, Floats, Ints, Scores
from oddframe.video.filmed_time import JUMP, filmed_seconds, usual_step

TAIL_SHARE = 0.02  # of normal frames lie above the level from which the tail is modelled
GRID = np.round(np.arange(0.5, 8.01, 0.05), 2)  # rarities at which false alarms are counted
# events that must have been seen for a rate to count as measured (their relative error is 1/√3)
COUNTED = 3
# of the tail; a negative one would mean a highest possible score, which no recording can show
SHAPES = (0.0, 0.5)
# seconds into which normal video is cut for resampling, so that one long film is not all or nothing
PIECE = 60.0
SMALL = 1 << 26  # bytes of an array with a number a piece: ten million minutes of video
HEADER = 4096  # bytes, at most, before the numbers of an .npy
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
class Calibration:
    """What normal video scores, by detectors that had not seen it."""

    # one array a piece (a minute at most): the smoothed scores of its frames, ascending
    scores: tuple[Floats, ...]
    seconds: tuple[float, ...]  # how long each is
    alarms: Floats  # (pieces, len(GRID)) events that begin in each, at each rarity of GRID
    view: Bytes | None = field(
        default=None, kw_only=True
    )  # (h, w) the background that most of it shows, if any
    how: str  # "leave one video out" or "held-out share"

    @property
    def hours(self) -> float:
        return sum(self.seconds) / 3600

    def rarity(self, score: Floats, ceiling: float = CEILING) -> Floats:
        """−log10 p of scores of any shape: 0 for the most ordinary, 2 for one in a hundred normal
        frames, and so on.

        Where scores are ranked, as the cells of a map are, the ceiling is infinite: under it all
        that is strange would be equally so.
        """
        with np.errstate(over="ignore"):
            rounded = np.asarray(
                score, np.float32
            )  # as those it is compared with: equal ones must stay equal
        return _rarity(rounded.astype(np.float64), self.curve, self.tail, ceiling)

    @cached_property
    def curve(self) -> tuple[Floats, Floats]:
        """(K,) ascending scores and the rarity of each, from the normal frames themselves."""
        return _curve(self._ascending)

    @cached_property
    def tail(self) -> Tail | None:
        """The model above the TAIL_SHARE of normal frames; None where normal scores do not vary
        there.
        """
        return _fit_tail(self._ascending, self.curve)

    @cached_property
    def _ascending(self) -> Floats:
        return np.sort(
            np.concatenate(self.scores), kind="stable"
        )  # which is quick on parts that are in order

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
        """False alarms per hour at a threshold: counted where enough were seen, else extended along
        the tail.

        The rarest rate that was counted gives the height, the frames' tail the slope: a unit is ten
        times rarer.
        """
        return self._rate(rarity, lambda anchor: rarity - anchor)

    def threshold(self, per_hour: float, seed: int = 0) -> Threshold:
        """The lowest rarity at which no more than `per_hour` false alarms an hour are expected.
        Raises BadInput.
        """
        if not per_hour > 0 or not math.isfinite(per_hour):
            raise BadInput(f"false alarms per hour is a number above 0, got {per_hour}")
        supported = COUNTED / self.hours
        rarity = next((float(level) for level in GRID if self.rate(float(level)) <= per_hour), None)
        if rarity is None:
            rarity = min(
                CEILING, float(GRID[-1]) + math.log10(self.rate(float(GRID[-1])) / per_hour)
            )
        rates = self._resampled(rarity, seed)
        low, high = (float(np.percentile(rates, q)) for q in (2.5, 97.5))
        counted = per_hour >= supported
        recording = f"{_lasting(sum(self.seconds))} of normal video"
        if counted:
            note = f"counted on {recording}"
        else:
            # a recording in which nothing so rare was counted cannot exclude that there is nothing
            low = 0.0
            note = (
                f"{recording} can show no rate below {_few(supported)} per hour; "
                f"{per_hour:g} per hour is an "
                f"extension of its tail and may really be up to {_few(high)}"
            )
        return Threshold(rarity, per_hour, self.rate(rarity), (low, high), counted, supported, note)

    def _rate(
        self, rarity: float, fall: Callable[[float], float], draw: Callable[[float], float] = float
    ) -> float:
        """`fall` gives the rarity between a level at which alarms were counted and the threshold
        asked about.

        `draw` makes the mean number of alarms out of the number counted.
        """
        total = np.maximum.accumulate(self.alarms.sum(0)[::-1])[
            ::-1
        ]  # a higher threshold never means more alarms
        seen = np.flatnonzero(total >= COUNTED)
        anchor = int(seen[-1]) if len(seen) else 0
        if len(seen) and rarity <= GRID[anchor]:
            below = max(0, int(np.searchsorted(GRID, rarity + 1e-9, side="right")) - 1)
            return draw(float(total[below])) / self.hours
        return draw(max(float(total[anchor]), 1.0)) / self.hours * 10 ** -fall(float(GRID[anchor]))

    def _resampled(self, rarity: float, seed: int, times: int = 200) -> list[float]:
        """Rates at this threshold had other video of the same kind been recorded.

        Three things vary: which pieces are recorded (bootstrap), how many alarms chance puts into
        them (Poisson), and the tail's shape, of which a few minutes tell less than their resamples
        differ.
        """
        random, rates = np.random.default_rng(seed), []
        for _ in range(times):
            chosen = random.integers(len(self.seconds), size=len(self.seconds))
            other = replace(
                self,
                scores=tuple(self.scores[k] for k in chosen),
                seconds=tuple(self.seconds[k] for k in chosen),
                alarms=self.alarms[chosen],
            )
            tail = other.tail and _reshaped(other.tail, other._beginnings(other.tail), random)

            def fall(anchor: float, other: Calibration = other, tail: Tail | None = tail) -> float:
                ends = np.array([self.score_at(anchor), self.score_at(rarity)])
                low, high = _rarity(ends, other.curve, tail)
                return float(high - low)

            rates.append(other._rate(rarity, fall, lambda count: float(random.gamma(count + 0.5))))
        return rates

    def _beginnings(self, tail: Tail) -> float:
        """How often the scores rose into the tail: frames in a row are one observation, not
        many.
        """
        level = int(np.searchsorted(GRID, -math.log10(tail.share)))
        return max(1.0, float(self.alarms[:, min(level, len(GRID) - 1)].sum()))


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
    cuts = [_cuts(scores) for scores in held_out]
    pieces: list[Scores] = []
    seconds: list[float] = []
    for scores, cut in zip(held_out, cuts, strict=True):
        for a, b in pairwise([*cut, len(scores)]):
            piece = _part(scores, int(a), int(b))
            pieces.append(piece)
            seconds.append(_piece_seconds(piece, scores))
    bare = Calibration(
        scores=tuple(np.sort(piece.value).astype(np.float32) for piece in pieces),
        seconds=tuple(seconds),
        alarms=np.zeros((len(pieces), len(GRID))),
        how=how,
    )
    rare = [
        replace(scores, value=bare.rarity(scores.value), map=None, boxes=None)
        for scores in held_out
    ]
    alarms = np.concatenate(
        [_alarms(scores, scores.seconds[cut]) for scores, cut in zip(rare, cuts, strict=True)]
    )
    return replace(bare, alarms=alarms)


def save_calibration(calibration: Calibration, path: Path) -> None:
    """Write it as npz, whole or not at all."""
    arrays = {
        "scores": np.concatenate(calibration.scores),
        "frames": np.array([len(scores) for scores in calibration.scores]),
        "seconds": np.array(calibration.seconds),
        "alarms": calibration.alarms,
        "how": np.array(calibration.how),
    }
    if calibration.view is not None:
        arrays["view"] = calibration.view
    with aside(path) as part, part.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def load_calibration(path: Path) -> Calibration:
    """Read it back. Raises BadRun."""
    if not path.is_file():
        raise BadRun(f"{path.parent} is incomplete: {path.name} is missing; fit again")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            small = ("frames.npy", "seconds.npy", "how.npy", "view.npy")
            refuse_large(stored.zip.infolist(), small, SMALL)
            frames, seconds = stored["frames"], stored["seconds"]
            rows = len(frames) * len(GRID)
            refuse_large(stored.zip.infolist(), ("alarms.npy",), rows * 8 + HEADER)
            frames_in_all = int(frames.sum())
            refuse_large(stored.zip.infolist(), ("scores.npy",), frames_in_all * 8 + HEADER)
            scores, alarms = stored["scores"], stored["alarms"]
            refuse_misfit(scores, frames, seconds, alarms)
            return Calibration(
                scores=tuple(np.split(scores, np.cumsum(frames)[:-1])),
                seconds=tuple(float(s) for s in seconds),
                alarms=alarms,
                how=str(stored["how"]),
                view=view_in(stored),
            )
    except Exception as error:  # zipfile, numpy and zlib each have their own words for damage
        raise BadRun(f"{path} is damaged ({error}); fit again or copy it anew") from error


def view_in(stored: Any) -> Bytes | None:
    """The background in a stored calibration. Raises ValueError for what is no picture."""
    if "view" not in stored.files:
        return None
    view = stored["view"]
    if view.ndim != 2 or view.dtype != np.uint8 or not 0 < view.size <= SMALL:
        raise ValueError("its view is no picture")
    return np.asarray(view, np.uint8)


def refuse_large(members: Sequence[ZipInfo], names: Sequence[str], most: int) -> None:
    """Raises ValueError where one of these members would unpack to more than so many bytes."""
    for member in members:
        if member.filename in names and member.file_size > most:
            raise ValueError(f"{member.filename} would unpack to {member.file_size} bytes")


def refuse_misfit(scores: Floats, frames: Ints, seconds: Floats, alarms: Floats) -> None:
    """Raises ValueError for arrays that no calibration has: of other shapes, not finite, or below
    zero.
    """
    fit = alarms.shape == (len(frames), len(GRID)) and seconds.shape == frames.shape
    if not fit or scores.shape != (int(frames.sum()),) or not len(scores):
        raise ValueError("its parts do not fit each other")
    for array in (scores, seconds, alarms):
        if not np.isfinite(array).all():
            raise ValueError("some of its numbers are not finite")
    if frames.min() < 0 or seconds.min() <= 0 or alarms.min() < 0:
        raise ValueError("some of its counts or lengths are not above zero")


def _cuts(scores: Scores) -> Ints:
    """Where pieces of at most PIECE filmed seconds, of equally many frames, begin in a video's
    scores.
    """
    count = math.ceil(filmed_seconds(scores.seconds) / PIECE - 0.01)
    count = max(1, min(count, len(scores)))  # a leap of the clock makes no more pieces than frames
    return np.unique(np.arange(count) * len(scores) // count)


def _part(scores: Scores, start: int, end: int) -> Scores:
    part = slice(start, end)
    return Scores(scores.video, scores.frame[part], scores.seconds[part], scores.value[part])


def _alarms(scores: Scores, begins: Floats) -> Floats:
    """(pieces, len(GRID)): events that begin in each piece of a video, which may go on into the
    next.
    """
    found = np.zeros((len(begins), len(GRID)))
    for k, level in enumerate(GRID):
        starts = [
            event.start
            for event in find_events(_around(scores, RELEASE * float(level)), float(level))
        ]
        piece = np.searchsorted(begins, starts, side="right") - 1
        found[:, k] = np.bincount(piece, minlength=len(begins))
    return found


def _around(scores: Scores, level: float) -> Scores:
    """The frames that reach a level, with their neighbours: no event depends on the others, and
    they are many.
    """
    loud = scores.value >= level
    near = loud.copy()
    near[1:] |= loud[:-1]
    near[:-1] |= loud[1:]
    return Scores(scores.video, scores.frame[near], scores.seconds[near], scores.value[near])


def _rarity(
    values: Floats, curve: tuple[Floats, Floats], tail: Tail | None, ceiling: float = CEILING
) -> Floats:
    knots, rarities = curve
    body = np.interp(values, knots, rarities, left=0.0)
    if tail is None:
        return np.asarray(body)
    with np.errstate(over="ignore"):
        beyond = _tail_rarity(tail, np.maximum(values, tail.level))
    return np.asarray(np.minimum(np.where(values > tail.level, beyond, body), ceiling))


def _curve(scores: Floats) -> tuple[Floats, Floats]:
    first = np.flatnonzero(np.append(True, scores[1:] > scores[:-1]))
    knots = scores[first]
    at_least = len(scores) - first  # frames that score as high or higher
    # as if one more normal frame had scored higher than all: nothing is rarer than the recording
    # can show
    higher = np.nextafter(knots[-1], np.inf, dtype=np.float32)
    return np.append(knots, higher).astype(np.float64), -np.log10(
        (np.append(at_least, 0) + 1) / (len(scores) + 1)
    )


def _fit_tail(scores: Floats, curve: tuple[Floats, Floats]) -> Tail | None:
    """Generalised Pareto by probability-weighted moments (Hosking & Wallis 1987), its shape held in
    SHAPES.
    """
    knots, rarities = curve
    at = min(int(np.searchsorted(rarities, -math.log10(TAIL_SHARE))), max(0, len(knots) - 11))
    level, share = float(knots[at]), float(10 ** -rarities[at])
    excess = scores[scores > level].astype(np.float64) - level  # ascending
    n = len(excess)
    if n < 5:
        return None
    a0 = float(excess.mean())
    a1 = float((excess * (n - 1 - np.arange(n)) / (n - 1)).mean())
    shape = (
        2 - a0 / (a0 - 2 * a1) if a0 > 2 * a1 else -math.inf
    )  # excesses that are all alike fall off at once
    return _tail(level, share, shape, a0)


def _tail(level: float, share: float, shape: float, mean: float) -> Tail:
    shape = min(max(shape, SHAPES[0]), SHAPES[1])
    return Tail(level, share, shape, mean * (1 - shape))


def _reshaped(tail: Tail, seen: float, random: np.random.Generator) -> Tail:
    """The same mean excess, with a shape as far off as so many independent observations leave it
    open.
    """
    mean = tail.scale / (1 - tail.shape)
    return _tail(tail.level, tail.share, tail.shape + random.normal() / math.sqrt(seen), mean)


def _tail_rarity(tail: Tail, score: Floats) -> Floats:
    over = (score - tail.level) / tail.scale
    fall = over if tail.shape < 1e-6 else np.log1p(tail.shape * over) / tail.shape
    return np.asarray(-math.log10(tail.share) + fall / math.log(10))


def _piece_seconds(piece: Scores, video: Scores) -> float:
    """Filmed seconds of a piece, by the step of its video where it is a frame on either side of a
    leap.
    """
    step = usual_step(video.seconds)
    if len(piece) < 2 or usual_step(piece.seconds) > JUMP * step:
        return step * len(piece)
    return filmed_seconds(piece.seconds)


def _few(number: float) -> str:
    """Two digits, without exponents that nobody reads."""
    return "0" if number < 0.01 else f"{number:.0f}" if number >= 10 else f"{number:.2g}"


def _lasting(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"
