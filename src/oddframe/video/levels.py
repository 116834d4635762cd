"""Which values of grey pictures of more than 8 bits are black and which are white: one stretch for
a whole camera.

Thermal cameras fill a narrow band of 16 bits, and floating-point pictures have no range of their
own. The band is read from normal video when a detector is fitted and kept in its run, so that later
video is shown in the same way.
"""

import re
from collections.abc import Sequence
from math import ceil

import numpy as np

from oddframe.errors import BadVideo
from oddframe.types import Video
from oddframe.video.damage import DamageReport
from oddframe.video.ignored import touched_pixels
from oddframe.video.reader import decoding
from oddframe.video.scaling import DEEP_PIXELS, FLOAT_PIXELS, turns_of
from oddframe.video.source import open_source

# videos, and pictures of each, from which the band is read
BAND_VIDEOS = 8
BAND_PICTURES = 10
BAND_MARGIN = 0.25  # of the band, on either side: what is odd may be hotter than anything normal
NARROW = 0.25  # of all values: a wider band is shown well enough by the upper eight bits
OUTLIERS = 0.1  # percent of pixels, on either side, that are not counted: dead ones
SMALLEST_BAND = 16.0  # values of integers: less is noise


def learn_levels(videos: Sequence[Video]) -> tuple[float, float] | None:
    """The values to be shown as black and as white in all videos of a camera.

    None where the upper eight bits will do: for ordinary video, and where the values fill much of
    their range.
    """
    deep = []
    for video in videos:
        if open_source(video.source).facts.pixels in DEEP_PIXELS:
            deep.append(video)
    lows = []
    highs = []
    every = max(1, ceil(len(deep) / BAND_VIDEOS))
    for video in deep[::every]:
        for low, high in bands_of(video):
            lows.append(low)
            highs.append(high)
    if not lows:
        return None
    low = min(lows)
    high = max(highs)
    kind = open_source(deep[0].source).facts.pixels
    if kind not in FLOAT_PIXELS:
        bits = int(re.sub(r"\D", "", kind))
        if high - low > NARROW * 2**bits:
            return None
        high = max(high, low + SMALLEST_BAND)
    elif high <= low:
        high = low + 1.0
    margin = BAND_MARGIN * (high - low)
    return low - margin, high + margin


def bands_of(video: Video) -> list[tuple[float, float]]:
    """The lowest and highest value of a few pictures of a video, without outliers."""
    count = len(open_source(video.source).seconds)
    evenly = np.linspace(0, count - 1, BAND_PICTURES).astype(int)
    wanted = np.unique(evenly).tolist()
    bands = []
    try:
        with decoding(video, 1, DamageReport(video.source.name)) as pictures:
            for _, picture in pictures.at(wanted):
                if picture.format.name in DEEP_PIXELS:
                    values = np.asarray(picture.to_ndarray(), np.float64)
                    if video.ignored is not None and not turns_of(picture):
                        height, width = values.shape
                        looked_at = ~touched_pixels(video.ignored, (height, width))
                        values = values[looked_at]
                    low, high = np.percentile(values, [OUTLIERS, 100 - OUTLIERS])
                    bands.append((float(low), float(high)))
    except BadVideo:
        pass  # the rest of the band is read from other videos; fitting names this one
    return bands
