"""A causal running mean of scores, with a half-life in seconds: what a score was decays as time
passes.

N frames; a score's past counts 2^(−Δt / half-life) where Δt seconds lie between two frames, so that
neither the frame rate nor a dropped frame changes for how long it counts. Behind a jump of the
clock the mean begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from oddframe.types import Floats, Scores
from oddframe.video.filmed_time import Clock

SAME_THING = (
    0.3  # intersection over union from which on two boxes of following frames are one thing
)


@dataclass(frozen=True)
class Smoother:
    """The mean so far of one stream. `push` gives the next; nothing else changes."""

    half_life: float  # seconds after which a score counts half; 0 switches smoothing off
    clock: Clock = field(default_factory=Clock)
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
        heat = None if scores.map is None else np.array(scores.map, np.float32)
        boxes = None if scores.boxes is None else list(scores.boxes)
        clock, values, past_map, past_boxes = self.clock, self.values, self.map, self.boxes
        for t, seconds in enumerate(scores.seconds):
            weight = self.weight(clock, float(seconds))
            clock = clock.at(float(seconds))
            if values is not None and weight:
                rows[:, t] = weight * values + (1 - weight) * rows[:, t]
            values = rows[:, t]
            if heat is not None:
                if past_map is not None and weight:
                    heat[t] = weight * past_map + (1 - weight) * heat[t]
                past_map = heat[t]
            if boxes is not None:
                if past_boxes is not None and weight:
                    boxes[t] = smooth_boxes(boxes[t], past_boxes, weight)
                past_boxes = boxes[t]
        after = replace(self, clock=clock, values=values, map=past_map, boxes=past_boxes)
        smoothed = replace(
            scores,
            value=rows[0],
            map=heat,
            boxes=None if boxes is None else tuple(boxes),
            components=components,
        )
        return after, smoothed

    def weight(self, clock: Clock, seconds: float) -> float:
        """How much the past counts for a frame of this time, from 0 to 1; 0 at the start and behind
        a jump.
        """
        if clock.last is None or clock.jumps_to(seconds):
            return 0.0
        return float(2.0 ** (-(seconds - clock.last) / self.half_life))


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
        overlap = overlaps(boxes, before)  # (n, m)
        same = np.where(overlap >= SAME_THING, before[None, :, 4], 0.0)
        past = same.max(axis=1)
    smoothed = np.array(boxes)
    smoothed[:, 4] = weight * past + (1 - weight) * smoothed[:, 4]
    return smoothed


def overlaps(one: Floats, other: Floats) -> Floats:
    """(n, m) intersection over union of boxes (n, 4 or more) and (m, 4 or more), x1 y1 x2 y2."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:4], other[None, :, 2:4])
    common = (high - low).clip(0).prod(axis=2)
    areas = [(boxes[:, 2:4] - boxes[:, :2]).prod(axis=1) for boxes in (one, other)]
    union = areas[0][:, None] + areas[1][None] - common
    return np.asarray(common / np.maximum(union, 1e-12))
