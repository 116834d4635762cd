"""Smoothing of test scores as papers do it, for the column `as published`. All of it reads the
future.

T frames of one video; M maps of h × w cells. Values are anomaly scores stretched to [0, 1] within
their video. Source: Wang et al., Video Anomaly Detection by Solving Decoupled Spatio-Temporal
Jigsaw Puzzles (ECCV 2022), the authors' code, tool/evaluate.py and aggregate.py.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from oddframe.evaluation.evaluated_video import EvaluatedVideo, have_maps, last_scored, truth_frames
from oddframe.evaluation.metrics import min_max, stretched_aucs
from oddframe.types import Floats

SMOOTHINGS: Mapping[str, str] = {
    "": "",
    "gaussian": "Gaussian of 49 frames (σ 20)",
    "mean_43": "mean of 43 frames, then the Gaussian (their ShanghaiTech)",
    "mean_3d": "mean of 5 × 5 cells and 5 frames, then the Gaussian (their Ped2 and Avenue)",
}
TAPS = 49
SIGMA = 20.0
SUPPORT_MEAN = 24  # the authors' support is 1 … 49 and its mean 24: one off its centre
MEAN_FRAMES = 43
SIDE = 5  # of the 3-D mean filter


def published_aucs(
    videos: Sequence[EvaluatedVideo], smoothing: str = ""
) -> tuple[float | None, float | None]:
    """Micro and macro AUC of each video's stretched raw scores, smoothed in one of the ways of
    SMOOTHINGS.

    None where the frames are of one class, or where the smoothing needs maps and a video has none.
    """
    if smoothing == "mean_3d" and not have_maps(videos):
        return None, None
    stretched = [smooth_as_published(video, smoothing) for video in videos]
    return stretched_aucs(truth_frames(videos), stretched)


def smooth_as_published(video: EvaluatedVideo, smoothing: str) -> Floats:
    """(T,) the scores of one video, stretched to [0, 1] by its own extremes and smoothed."""
    if smoothing == "gaussian":
        return gaussian_49(min_max(video.raw))
    if smoothing == "mean_43":
        return gaussian_49(mean_43(min_max(video.raw)))
    if smoothing == "mean_3d":
        return gaussian_49(min_max(peaks_of_mean_3d(video)))
    return min_max(video.raw)


def gaussian_49(values: Floats) -> Floats:
    """The authors' 49 weights, which lie one frame off their centre, over a video whose ends are
    continued by its own first and last 24 values in their order.
    """
    half = TAPS // 2
    support = np.arange(1, TAPS + 1)
    scale = SIGMA * np.sqrt(2 * np.pi)
    weights = np.exp(-((support - SUPPORT_MEAN) ** 2) / (2 * SIGMA**2)) / scale
    before = values[:half]
    after = values[-half:]
    if len(values) < half:  # their code fails on these
        before = after = np.resize(values, half)
    continued = np.concatenate([before, values, after])
    return np.correlate(continued, weights, mode="valid")


def mean_43(values: Floats) -> Floats:
    """A centred mean of 43 frames; the first and last 21 frames stay as they are."""
    smoothed = np.array(values, float)
    if len(values) >= MEAN_FRAMES:
        half = MEAN_FRAMES // 2
        weights = np.full(MEAN_FRAMES, 1 / MEAN_FRAMES)
        smoothed[half : len(values) - half] = np.convolve(values, weights, mode="valid")
    return smoothed


def peaks_of_mean_3d(video: EvaluatedVideo) -> Floats:
    """(T,) the highest cell of each map after a 5 × 5 × 5 mean; beyond the video's ends and sides
    nothing is odd.

    Maps are read one after another, five in memory.
    """
    if video.map is None or video.map_frame is None:
        raise ValueError(f"{video.video} has no maps")
    maps = video.map
    M = len(maps)
    half = SIDE // 2
    lowest = min(float(np.min(map)) for map in maps)
    window: dict[int, Floats] = {}
    peaks = np.zeros(M)
    for k in range(M + half):
        if k < M:
            window[k] = mean_of_25(np.asarray(maps[k], float) - lowest)
        centre = k - half
        window.pop(centre - half - 1, None)
        if centre >= 0:
            peaks[centre] = np.sum(list(window.values()), axis=0).max() / SIDE
    return peaks[last_scored(video.map_frame, len(video.value))]


def mean_of_25(map: Floats) -> Floats:
    """(h, w) the mean of the 5 × 5 cells around each; 0 beyond the sides."""
    h, w = map.shape
    padded = np.pad(map, SIDE // 2)
    total = np.zeros((h, w))
    for row in range(SIDE):
        for column in range(SIDE):
            total += padded[row : row + h, column : column + w]
    return total / SIDE**2
