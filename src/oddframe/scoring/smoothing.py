"""A causal running mean of scores, with a half-life in seconds: what a score was decays as time
passes.

N frames; a score's past counts 2^(−Δt / half-life) where Δt seconds lie between two frames, so that
neither the frame rate nor a dropped frame changes for how long it counts. Behind a jump of the
clock the mean begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from oddframe.types import Floats, Scores
from oddframe.video.boxes import overlap
from oddframe.video.filmed_time import StreamClock

# intersection over union from which on two boxes of following frames are one thing
SAME_THING = 0.3


@dataclass(frozen=True)
class Smoother:
    """The mean so far of one stream. `push` gives the next; nothing else changes."""

    half_life: float  # seconds after which a score counts half; 0 switches smoothing off
    clock: StreamClock = field(default_factory=StreamClock)
    values: Floats | None = None  # (1 + components,) of the latest frame
    map: Floats | None = None  # (h, w)
    boxes: Floats | None = None  # (n, 5)

    def __post_init__(self) -> None:
        if not 0 <= self.half_life < np.inf:
            raise ValueError(f"a half-life is 0 seconds or more, got {self.half_life}")

    def push(self, scores: Scores) -> tuple[Smoother, Scores]:
        """The smoother after these frames, and their scores smoothed: value, components, map and
        boxes alike.
        """
        # (1 + components, N)
        rows = np.array([scores.value, *scores.components.values()], np.float64)
        components = dict(zip(scores.components, rows[1:], strict=True))
        if not self.half_life:
            return self, replace(scores, value=rows[0], components=components)
        weights = []
        clock = self.clock
        for seconds in scores.seconds.tolist():
            weights.append(self.weight(clock, seconds))
            clock = clock.at(seconds)
        after = replace(self, clock=clock, values=run_mean(rows.T, self.values, weights))
        smoothed = replace(scores, value=rows[0], components=components)
        if scores.map is not None:
            heat = np.array(scores.map, np.float32)
            after = replace(after, map=run_mean(heat, self.map, weights))
            smoothed = replace(smoothed, map=heat)
        if scores.boxes is not None:
            boxes = []
            past = self.boxes
            for these, weight in zip(scores.boxes, weights, strict=True):
                smoothed_boxes = these
                if past is not None and weight:
                    smoothed_boxes = smooth_boxes(these, past, weight)
                boxes.append(smoothed_boxes)
                past = smoothed_boxes
            after = replace(after, boxes=past)
            smoothed = replace(smoothed, boxes=tuple(boxes))
        return after, smoothed

    def weight(self, clock: StreamClock, seconds: float) -> float:
        """How much the past counts for a frame of this time, from 0 to 1; 0 at the start and behind
        a jump.
        """
        if clock.last is None or clock.jumps_to(seconds):
            return 0.0
        return float(2.0 ** (-(seconds - clock.last) / self.half_life))


def run_mean(series: Floats, past: Floats | None, weights: Sequence[float]) -> Floats | None:
    """Smooth a series (N, …) in place: each entry becomes a mean with the one before it, which
    counts by its weight. Returns the latest, for the next batch.
    """
    for entry, weight in zip(series, weights, strict=True):
        if past is not None and weight:
            entry[...] = weight * past + (1 - weight) * entry
        past = entry
    return past


def smooth(stream: Iterable[Scores], half_life: float) -> Iterator[Scores]:
    """The scores of a stream, batch by batch, smoothed with a half-life in seconds."""
    smoother = Smoother(half_life)
    for scores in stream:
        smoother, smoothed = smoother.push(scores)
        yield smoothed


def smooth_boxes(boxes: Floats, before: Floats, weight: float) -> Floats:
    """(n, 5): boxes whose value is a mean with that of the same thing one frame before, 0 where
    nothing was.

    So a box's value is smoothed as a cell of a map is that the thing covers.
    """
    past = np.zeros(len(boxes))
    if len(boxes) and len(before):
        same = np.where(overlap(boxes, before) >= SAME_THING, before[None, :, 4], 0.0)
        past = same.max(axis=1)
    smoothed = np.array(boxes)
    smoothed[:, 4] = weight * past + (1 - weight) * smoothed[:, 4]
    return smoothed
