"""How long was filmed. A clock may jump (a pause in the file, a date that is set): jumps are not filmed time.

T frames with ascending times in seconds.
"""

import numpy as np

from oddframe.types import Floats

JUMP = 5.0  # steps this many times the median step, and longer than LONGEST_STEP, are jumps of the clock
LONGEST_STEP = 1.0  # seconds: a shorter step is a dropped frame, never a jump
ONLY_STEP = 1 / 25  # seconds that the only frame of a video lasts: nothing tells its rate


def usual_step(seconds: Floats) -> float:
    """Seconds from one frame to the next, in the mean without jumps of the clock; 1 / 25 for a single frame.

    >>> round(usual_step(np.array([0.0, 0.1, 0.2, 3600.2, 3600.3])), 6)
    0.1
    """
    steps = ordinary_steps(seconds)
    return float(steps.mean()) if len(steps) else ONLY_STEP


def filmed_seconds(seconds: Floats) -> float:
    """Seconds that T frames cover: their number times the usual step. 0 without frames.

    >>> round(filmed_seconds(np.array([0.0, 0.1, 0.2, 3600.2, 3600.3])), 6)
    0.5
    """
    T = len(seconds)
    if T > 1 and len(ordinary_steps(seconds)) == T - 1:
        return float(seconds[-1] - seconds[0]) * T / (T - 1)  # the same, without rounding
    return usual_step(seconds) * T


def ordinary_steps(seconds: Floats) -> Floats:
    """The steps between frames without the jumps of the clock, in seconds."""
    steps = np.diff(seconds)
    if not len(steps):
        return np.asarray(steps)
    longest = max(JUMP * float(np.median(steps)), LONGEST_STEP)
    return np.asarray(steps[steps <= longest])
