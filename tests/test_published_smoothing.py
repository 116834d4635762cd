"""Smoothing as the papers do it, against their own steps written out."""

import numpy as np
import pytest

from oddframe.evaluation.evaluated_video import EvaluatedVideo
from oddframe.evaluation.metrics import min_max
from oddframe.evaluation.published_smoothing import (
    gaussian_49,
    mean_43,
    peaks_of_mean_3d,
    published_aucs,
)
from oddframe.types import Floats, Truth

RANDOM = np.random.default_rng(0)


def test_the_gaussian_is_the_authors() -> None:
    values = RANDOM.random(200)
    weights = np.exp(-0.5 * ((np.arange(1, 50) - 24) / 20.0) ** 2) / (20 * np.sqrt(2 * np.pi))
    assert weights.sum() == pytest.approx(0.7789, abs=1e-4), "they are not normalised"
    padded = np.concatenate([values[:24], values, values[-24:]])
    slow = [float(padded[t : t + 49] @ weights) for t in range(200)]
    np.testing.assert_allclose(gaussian_49(values), slow)


@pytest.mark.parametrize("frames", [1, 2, 23, 24, 42, 43])
def test_short_videos_are_smoothed_too(frames: int) -> None:
    values = RANDOM.random(frames)
    assert gaussian_49(values).shape == mean_43(values).shape == (frames,)
    assert np.isfinite(gaussian_49(values)).all()


def test_the_mean_of_43_leaves_the_ends_as_they_are() -> None:
    values = RANDOM.random(100)
    smoothed = mean_43(values)
    np.testing.assert_array_equal(smoothed[:21], values[:21])
    np.testing.assert_array_equal(smoothed[-21:], values[-21:])
    np.testing.assert_allclose(smoothed[21], values[:43].mean())
    np.testing.assert_allclose(smoothed[50], values[29:72].mean())
    np.testing.assert_array_equal(mean_43(values[:42]), values[:42])


def with_maps(maps: Floats) -> EvaluatedVideo:
    n = np.arange(len(maps))
    flags = n % 2 == 0
    return EvaluatedVideo("v", n * 1.0, n * 1.0, Truth(flags), n / 10, map=maps, map_frame=n)


@pytest.mark.parametrize("frames", [1, 2, 4, 5, 9])
def test_the_mean_over_space_and_time_is_that_of_the_padded_volume(frames: int) -> None:
    maps = RANDOM.random((frames, 6, 7))
    volume = np.pad(maps - maps.min(), 2)
    slow = np.zeros(frames)
    for t in range(frames):
        for row in range(6):
            for column in range(7):
                mean = volume[t : t + 5, row : row + 5, column : column + 5].mean()
                slow[t] = max(slow[t], mean)
    np.testing.assert_allclose(peaks_of_mean_3d(with_maps(maps)), slow)


def test_aucs_with_a_smoothing_are_those_of_smoothed_scores() -> None:
    flags = np.arange(120) >= 60
    noisy = flags + 2 * RANDOM.random(120)
    video = EvaluatedVideo("v", noisy, noisy, Truth(flags), np.arange(120) / 25)
    plain, smoothed = published_aucs([video])[0], published_aucs([video], "gaussian")[0]
    assert plain is not None
    assert smoothed is not None
    assert smoothed > plain, "noise goes, a long event stays"
    assert published_aucs([video], "mean_3d") == (None, None), "there is no map"
    assert min_max(noisy).max() == 1
