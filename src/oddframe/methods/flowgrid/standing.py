"""What FlowGrid learns of standing: the background, and for how long things stand where.

S frames sampled; a grid of h × w cells; V videos.
"""

from collections.abc import Sequence

import numpy as np

from oddframe.methods.flowgrid.features import MotionFeatures
from oddframe.types import Floats
from oddframe.video.background import Background, local_contrast, median_picture, noise_of

BACKGROUND_FRAMES = 400  # over all training videos, from which the background is learned
LOOK_SECONDS = 0.5  # from one look at what stands to the next
LEAST_STANDING = 3.0  # seconds that a thing must stand longer than any did in normal video
UNLIKE = 10.0  # grey levels, the least by which a standing thing differs from its background
UNLIKE_NOISES = 4.0  # the same in standard deviations of the noise
UNLIKE_CONTRAST = 0.15  # the same as a share of the background's own contrast, which light scales


def learn_background(features: Sequence[MotionFeatures]) -> Background:
    """The local contrast (h, w) of the picture without what moves, and the grey levels (h, w) by
    which a thing differs from it.
    """
    frames = sum(len(one.small) for one in features)
    every = max(1, frames // BACKGROUND_FRAMES)
    sample = []
    for one in features:
        for small in one.small[::every]:
            sample.append(local_contrast(small))
    contrasts = np.stack(sample)  # (S, h, w)
    picture = median_picture(contrasts)
    noise = UNLIKE_NOISES * noise_of(contrasts, picture)
    level = noise + UNLIKE_CONTRAST * np.abs(picture)
    least = np.maximum(UNLIKE, level)
    return Background(picture.astype(np.float32), least.astype(np.float32))


def learn_longest_dwell(longest_of: Sequence[Floats]) -> Floats:
    """(h, w) looks for which a thing may stand, from the most in each video (V, h, w).

    A short recording does not hold all standing that is normal: as far as one video goes beyond all
    others, a new one may go beyond all of these.
    """
    margin = LEAST_STANDING / LOOK_SECONDS
    if len(longest_of) > 1:
        for k, longest in enumerate(longest_of):
            others = [*longest_of[:k], *longest_of[k + 1 :]]
            beyond = longest - np.max(others, axis=0)
            margin = max(margin, beyond.max())
    longest_dwell = np.max(longest_of, axis=0) + margin
    return np.asarray(longest_dwell, np.float32)
