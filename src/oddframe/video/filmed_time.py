"""How long was filmed. A clock may jump (a pause in the file, a date that is set): jumps are not
filmed time.

T frames with ascending times in seconds.
"""

from dataclasses import dataclass
from statistics import median

import numpy as np

from oddframe.types import Floats

# steps this many times the median step, and longer than LONGEST_STEP, are jumps of the clock
JUMP = 5.0
LONGEST_STEP = 1.0  # seconds: a shorter step is a dropped frame, never a jump
REMEMBERED = 15  # steps from which a stream knows its rate
ONLY_STEP = 1 / 25  # seconds that the only frame of a video lasts: nothing tells its rate
# seconds that a frame stands for at most: what happens between two pictures of a time-lapse, one a day perhaps, was
# not filmed, and counting it would turn a few hundred pictures into thousands of hours without a false alarm
LONGEST_COUNTED = 60.0


def usual_step(seconds: Floats) -> float:
    """Seconds from one frame to the next, in the mean without jumps of the clock; 1 / 25 for a
    single frame.

    Not more than LONGEST_COUNTED, however seldom a picture was taken.

    >>> round(usual_step(np.array([0.0, 0.1, 0.2, 3600.2, 3600.3])), 6)
    0.1
    """
    steps = ordinary_steps(seconds)
    if not len(steps):
        return ONLY_STEP
    return min(float(steps.mean()), LONGEST_COUNTED)


def filmed_seconds(seconds: Floats) -> float:
    """Seconds that T frames cover: their number times the usual step. 0 without frames.

    >>> round(filmed_seconds(np.array([0.0, 0.1, 0.2, 3600.2, 3600.3])), 6)
    0.5
    """
    T = len(seconds)
    step = usual_step(seconds)
    no_jumps = T > 1 and len(ordinary_steps(seconds)) == T - 1
    if step < LONGEST_COUNTED and no_jumps:
        covered = float(seconds[-1] - seconds[0])
        return covered * T / (T - 1)  # the same, without rounding
    return step * T


def ordinary_steps(seconds: Floats) -> Floats:
    """The steps between frames without the jumps of the clock, in seconds."""
    steps = np.diff(seconds)
    if not len(steps):
        return np.asarray(steps)
    longest = max(JUMP * float(np.median(steps)), LONGEST_STEP)
    return np.asarray(steps[steps <= longest])


@dataclass(frozen=True)
class StreamClock:
    """Follows the times of a stream and tells a jump from a step, by the steps so far alone.

    >>> clock, jumped = StreamClock(), []
    >>> for seconds in (0.0, 0.1, 0.2, 3600.2, 3600.3):
    ...     jumped.append(clock.jumps_to(seconds))
    ...     clock = clock.at(seconds)
    >>> jumped
    [False, False, False, True, False]
    """

    last: float | None = None  # seconds of the latest frame
    steps: tuple[float, ...] = ()  # the latest ordinary steps, at most REMEMBERED

    def jumps_to(self, seconds: float) -> bool:
        """Whether the clock has jumped before a frame of this time.

        A step is a jump when it goes back, or when it is longer than LONGEST_STEP and than JUMP
        times the median of the steps before it; the first step of a stream is none, for nothing
        tells its rate yet.
        """
        if self.last is None:
            return False
        step = seconds - self.last
        if step < 0:
            return True
        if step <= LONGEST_STEP or not self.steps:
            return False
        return step > JUMP * median(self.steps)

    def at(self, seconds: float) -> "StreamClock":
        """The clock after a frame of this time."""
        if self.last is None or self.jumps_to(seconds):
            return StreamClock(seconds, self.steps)
        steps = (*self.steps, seconds - self.last)
        return StreamClock(seconds, steps[-REMEMBERED:])
