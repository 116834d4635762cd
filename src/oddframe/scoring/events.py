"""Scores to events: opened at one level, kept open down to a lower one, joined over short gaps,
dropped when too short.

    rarity   ..  threshold ───────╭─╮────────╭╮───────────
                 release   ──────╭╯ ╰──╮────╭╯╰╮──────────
                                       ╰────╯   ╰─────────
    event                         [────────────]              one: the gap is under merge_seconds

Every decision reads what has come so far and nothing later, so a camera and a file give the same
events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from oddframe.errors import BadInput
from oddframe.scoring.components import place_of_peak
from oddframe.types import Bools, Event, Floats, Ints, Scores
from oddframe.video.filmed_time import JUMP, LONGEST_STEP, usual_step

Box = tuple[float, float, float, float]

# A rarity is −log10 p, so 0.7 of it is p^0.7: of a threshold that one normal frame in 1,000 passes,
# a release that one in 126 passes. High enough that an event ends soon after what caused it, low
# enough that noise does not tear it.
RELEASE = 0.7
USUAL_STEP = 1 / 25  # seconds that the only frame of a stream lasts: nothing tells its rate
SLACK = 1e-6  # seconds: 25 frames of 0.04 s are one second, whatever floating point makes of it


@dataclass(frozen=True)
class EventRule:
    """When an event opens, how long it lasts, and which are too short to report."""

    threshold: float
    release: float
    merge_seconds: float = 1.0
    least_seconds: float = 0.2

    def __post_init__(self) -> None:
        if not self.release <= self.threshold:
            raise BadInput(
                f"the release level is at most the threshold, {self.threshold:g}; "
                f"got {self.release:g}"
            )
        for name in ("merge_seconds", "least_seconds"):
            if not getattr(self, name) >= 0:
                raise BadInput(f"{name} is zero or more, got {getattr(self, name):g}")


@dataclass(frozen=True)
class Watch:
    """Where a stream stands between two frames. `see` gives the next; nothing else changes.

    `event` lasts, or ended less than `merge_seconds` ago and may go on: it is what a live view
    shows as soon as `event.end - event.start` has reached the rule's least.
    """

    rule: EventRule
    event: Event | None = None
    loud: bool = False  # the last frame kept the event open
    last: float | None = None  # the last frame's time
    step: float | None = None  # how long after the frame before it came

    def see(
        self, video: str, seconds: float, value: float, place: Callable[[], Box | None]
    ) -> tuple[Watch, Event | None]:
        """The watch after one more frame, and an event that is now over. `place` is asked only at a
        new peak.
        """
        rule = self.rule
        event = self.event
        done: Event | None = None
        step = self.step_to(seconds)
        gap = 0.0
        if event is not None:
            if self.loud:
                event = replace(event, end=self.end_of_last(seconds))
            gap = seconds - event.end
        bridged = gap < rule.merge_seconds - SLACK or gap <= 0
        goes_on = self.loud and bridged and value >= rule.release
        if event is not None and not goes_on and gap >= rule.merge_seconds - SLACK:
            done = event
            event = None
        loud = goes_on or value >= rule.threshold
        if loud:
            # as far as is known: the next frame's coming settles it
            end = seconds + (step or USUAL_STEP)
            if event is None:
                event = Event(video, seconds, end, value, seconds, place(), over=False)
            elif value > event.peak:
                event = replace(event, end=end, peak=value, peak_seconds=seconds, box=place())
            else:
                event = replace(event, end=end)
        return Watch(rule, event, loud, seconds, step), self.worth_reporting(done)

    def step_to(self, seconds: float) -> float | None:
        """Seconds since the frame before; after a leap of the clock, twice the step before it."""
        if self.last is None:
            return None
        step = seconds - self.last
        if self.step is None:
            return step
        return min(step, 2 * self.step)

    def finish(self, final: bool = True) -> Event | None:
        """What is left when no more frames come. `over` is False when the video ended before the
        event did.

        With `final` False more is to come, and an event that may still go on is never over.
        """
        return self.worth_reporting(self.event, over=final and not self.loud)

    def end_of_last(self, seconds: float) -> float:
        """A frame lasts until the next one comes, but a camera that drops out does not stretch it
        for long.
        """
        assert self.last is not None
        if self.step is None:
            return seconds
        return min(seconds, self.last + 2 * self.step)

    def worth_reporting(self, event: Event | None, over: bool = True) -> Event | None:
        """The event where it lasted long enough, as over or not."""
        if event is None or event.end - event.start < self.rule.least_seconds - SLACK:
            return None
        return replace(event, over=over)


def rule_of(
    threshold: float,
    release: float | None = None,
    merge_seconds: float = 1.0,
    least_seconds: float = 0.2,
) -> EventRule:
    """The rule for a threshold, with a release at 0.7 of it where none is given."""
    if release is None:
        release = min(threshold, RELEASE * threshold)
    return EventRule(threshold, release, merge_seconds, least_seconds)


def events_of(stream: Iterable[Scores], rule: EventRule, *, final: bool = True) -> Iterator[Event]:
    """The events of one video's batches of rarities, each as soon as it is over; the last may have
    `over` False.
    """
    watch = Watch(rule)
    for scores in stream:
        for n in range(len(scores)):
            seconds = float(scores.seconds[n])
            value = float(scores.value[n])
            place = partial(place_at, scores, n, rule.threshold)
            watch, done = watch.see(scores.video, seconds, value, place)
            if done is not None:
                yield done
    rest = watch.finish(final)
    if rest is not None:
        yield rest


def find_events(
    scores: Scores,
    threshold: float,
    *,
    release: float | None = None,
    merge_seconds: float = 1.0,
    least_seconds: float = 0.2,
    final: bool = True,
) -> list[Event]:
    """The events of a video whose `scores.value` is rarity.

    An event opens at rarity ≥ threshold and lasts while it is ≥ release (0.7 of the threshold
    unless given). When two are less than `merge_seconds` apart they are one; shorter than
    `least_seconds` they are none. `box` is the region of the map, or the strongest box, at the
    peak.
    """
    rule = rule_of(threshold, release, merge_seconds, least_seconds)
    return list(events_of([scores], rule, final=final))


def segments(flags: Bools) -> Ints:
    """The runs of True, (S, 2) indexes [start, end).

    >>> segments(np.array([True, False, True, True])).tolist()
    [[0, 1], [2, 4]]
    """
    bounded = np.concatenate(([False], np.asarray(flags, bool), [False]))
    edges = np.diff(bounded.astype(np.int8))
    starts = np.flatnonzero(edges == 1)
    ends = np.flatnonzero(edges == -1)
    return np.stack([starts, ends], axis=1)


def frame_ends(seconds: Floats) -> Floats:
    """When each frame gives way to the next, (T,) seconds; the last lasts as long as the one before
    it.

    A frame before a leap of the clock lasts as long as frames usually do.
    """
    if not len(seconds):
        return seconds
    usual = usual_step(seconds)
    steps = np.diff(seconds)
    steps = np.where(steps > max(JUMP * usual, LONGEST_STEP), usual, steps)
    last = USUAL_STEP
    if len(steps):
        last = steps[-1]
    return np.asarray(seconds + np.append(steps, last))


def place_at(scores: Scores, n: int, threshold: float) -> Box | None:
    """Where frame n is odd: its strongest box, or else the region of its map's peak."""
    if scores.boxes is not None and len(scores.boxes[n]):
        boxes = scores.boxes[n]
        x1, y1, x2, y2 = boxes[boxes[:, 4].argmax(), :4].tolist()
        return x1, y1, x2, y2
    if scores.map is None:
        return None
    return place_of_peak(scores.map[n], threshold)
