"""One scored video with what was decided about it, and the words in which pictures say it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10
from pathlib import Path
from zlib import crc32

import numpy as np

from oddframe.scoring.events import USUAL_STEP, segments
from oddframe.types import Event, Floats, Scores, Truth, Video

LONGEST_STEM = 180  # bytes: of the 255 that a name may have, the rest is for what follows
TOP = 6.0  # rarity up to which axes reach, unless the threshold needs more


@dataclass(frozen=True)
class Timeline:
    """One scored video, decided. Values, map and threshold are rarities (−log10 p); scores may be
    fewer than frames.
    """

    video: Video
    scores: Scores  # smoothed as decided upon; `map` may be a file in memory (np.memmap)
    events: Sequence[Event]
    threshold: float
    truth: Truth | None = None
    overlay: Path | None = None  # relative to the report
    # normal frames that rarities were learned from: what is rarer than one of them is estimated
    seen: int | None = None

    @property
    def rarity(self) -> Floats:
        """(N,) finite float64: NaN is 0, and what is beyond measure stands a little above the
        rest.
        """
        return plain(self.scores.value)

    @property
    def highest(self) -> float:
        """The highest rarity worth a place on an axis: one in a million is as good as never, and
        hides the rest.
        """
        level = 0.0
        if isfinite(self.threshold):
            level = self.threshold
        highest = min(float(self.rarity.max(initial=0.0)), max(TOP, level + 2))
        return max(highest, level, 1.0)

    @property
    def step(self) -> float:
        """Seconds that one score stands for."""
        gaps = np.diff(self.scores.seconds)
        if len(gaps) and np.median(gaps) > 0:
            return float(np.median(gaps))
        if self.video.fps:
            return 1 / self.video.fps
        return USUAL_STEP

    @property
    def start(self) -> float:
        """Seconds, in the source, at which the overlay begins."""
        if self.video.span is None:
            return 0.0
        return self.video.span[0]

    @property
    def end(self) -> float:
        """Seconds, in the source, after the last score."""
        if not len(self.scores):
            return self.start
        return float(self.scores.seconds[-1]) + self.step

    @property
    def length(self) -> float:
        """Seconds scored."""
        return max(self.end - self.start, 0.0)

    def at(self, frame: int) -> int | None:
        """Which score a frame of the source shows: the last one up to it, or else the first; None
        if there is none.
        """
        if not len(self.scores):
            return None
        return max(int(np.searchsorted(self.scores.frame, frame, side="right")) - 1, 0)

    def seconds_of(self, frame: Floats) -> Floats:
        """Times of (fractional) frame indices, going by the scores' own; straight on beyond their
        ends.
        """
        known = np.asarray(self.scores.frame, float)
        seconds = np.asarray(self.scores.seconds, float)
        if not len(known):
            return np.asarray(frame * self.step)
        if len(known) == 1:
            return np.asarray(seconds[0] + (frame - known[0]) * self.step)
        first = known[0]
        last = known[-1]
        step = (seconds[-1] - seconds[0]) / max(last - first, 1)
        before = np.minimum(frame - first, 0)
        after = np.maximum(frame - last, 0)
        within = np.interp(frame, known, seconds)
        return np.asarray(within + (before + after) * step)

    def odd_seconds(self) -> list[tuple[float, float]]:
        """Where the truth says odd, as [start, end) in seconds; empty without truth."""
        if self.truth is None:
            return []
        edges = segments(self.truth.frame).astype(float)
        seconds = self.seconds_of(edges.ravel()).reshape(-1, 2)
        return [(float(start), float(end)) for start, end in seconds]


def plain(values: Floats) -> Floats:
    """Rarities that can be drawn: NaN is 0, ∞ is one above the highest finite value."""
    values = np.asarray(values, float)
    finite = values[np.isfinite(values)]
    return np.nan_to_num(values, nan=0.0, posinf=float(finite.max(initial=0.0)) + 1, neginf=0.0)


def thin(seconds: Floats, value: Floats, most: int) -> tuple[Floats, Floats]:
    """At most `most` points, each the highest of its bucket at the time where it stands: no peak is
    lost.
    """
    if len(value) <= most:
        return seconds, value
    starts = np.linspace(0, len(value), most, endpoint=False).astype(int)
    sizes = np.diff(starts, append=len(value))
    bucket = np.repeat(np.arange(most), sizes)
    order = np.lexsort((-value, bucket))  # by bucket, the highest first
    begins = np.diff(bucket[order], prepend=-1) > 0
    kept = order[begins]
    return seconds[kept], value[kept]


def file_stem(name: str) -> str:
    """A video's name as the start of a file's, on any system; long ones end in a checksum.

    >>> file_stem("east/gate <1>.mp4")
    'east_gate_1_.mp4'
    """
    stem = re.sub(r"[^\w.-]+", "_", name).lstrip(".") or "video"
    data = stem.encode()
    if len(data) <= LONGEST_STEM:
        return stem
    return f"{data[: LONGEST_STEM - 9].decode(errors='ignore')}-{crc32(data):08x}"


def clock(seconds: float) -> str:
    """A time as it stands on a player.

    >>> clock(75.4), clock(3675)
    ('01:15', '1:01:15')
    """
    whole = floor(max(seconds, 0) + 1e-6)
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{whole % 60:02d}"
    return f"{minutes:02d}:{whole % 60:02d}"


def duration(seconds: float) -> str:
    """A length of time in words.

    >>> duration(3725), duration(95), duration(9.04)
    ('1 h 02 min', '1 min 35 s', '9 s')
    """
    whole = round(seconds)
    if whole >= 3600:
        minutes = round(seconds / 60)
        return f"{minutes // 60} h {minutes % 60:02d} min"
    if whole >= 60:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole >= 3:
        return f"{whole} s"
    return f"{seconds:.1f} s"


def rareness(rarity: float, seen: int | None = None) -> str:
    """A rarity in words that a stranger understands and that claim no more than so many normal
    frames could show.

    >>> rareness(3.48), rareness(0.1), rareness(4.9, seen=1196)
    ('1 in 3,000 normal frames', 'like most normal frames', 'rarer than all 1,196 normal frames')
    """
    if not rarity > log10(2):
        return "like most normal frames"
    if seen is not None and 10**rarity > seen:
        return f"rarer than all {seen:,} normal frames"
    return f"{odds(rarity)} normal frames"


def odds(rarity: float) -> str:
    """A rarity in words, to two digits at most.

    >>> odds(3.48), odds(1.1), odds(0.1), odds(6.3), odds(12)
    ('1 in 3,000', '1 in 13', 'most', '1 in 2 million', 'fewer than 1 in a billion')
    """
    if not rarity > log10(2):
        return "most"
    if rarity > 9 or not isfinite(rarity):
        return "fewer than 1 in a billion"
    number = 10**rarity
    power = floor(log10(number))
    if number < 100:
        power -= 1  # two digits up to a hundred, one beyond
    unit = 10 ** max(power, 0)
    number = round(number / unit) * unit
    if number >= 1_000_000_000:
        return "1 in a billion"
    if number >= 1_000_000:
        return f"1 in {number // 1_000_000:,} million"
    return f"1 in {number:,}"


def place(box: tuple[float, float, float, float]) -> str:
    """Where in the picture a box has its middle.

    >>> place((0.0, 0.0, 0.2, 0.2)), place((0.4, 0.4, 0.6, 0.6)), place((0.4, 0.8, 0.5, 1.0))
    ('upper left', 'centre', 'lower centre')
    """
    x1, y1, x2, y2 = box
    across = ("left", "centre", "right")[_third((x1 + x2) / 2)]
    down = ("upper ", "", "lower ")[_third((y1 + y2) / 2)]
    return f"{down}{across}"


def _third(part: float) -> int:
    return min(max(ceil(part * 3), 1), 3) - 1
