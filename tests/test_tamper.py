"""Anomalies made from normal film: all kinds can be made, and the mask marks what was changed."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from oddframe.datasets.base import open_data
from oddframe.synthetic.tamper import TAMPERINGS, tamper
from oddframe.types import Bytes, ClipSpec
from oddframe.video.reader import read
from scenes import SIZE, scene, walkers


@pytest.fixture(scope="module")
def film() -> Bytes:
    return scene(walkers(3, 4, size=(18, 9)), 100, seed=3)


@pytest.mark.parametrize("kind", TAMPERINGS)
@pytest.mark.parametrize("seed", range(5))
def test_the_mask_marks_what_was_changed(film: Bytes, kind: str, seed: int) -> None:
    before = film.copy()
    made = tamper(film, kind, np.random.default_rng(seed))
    assert made is not None
    np.testing.assert_array_equal(film, before, "the film itself is left alone")
    assert made.kind == kind
    assert made.frames.shape == made.mask.shape == film.shape
    assert made.frames.dtype == np.uint8
    changed = made.frames != film
    odd = made.mask.any((1, 2))
    assert odd.any()
    assert not odd.all(), "some frames stay normal"
    touched = changed.any((1, 2))
    assert not (odd & ~touched).any(), "a frame as it was is not odd"
    assert np.flatnonzero(odd)[-1] - np.flatnonzero(odd)[0] < 41, "four seconds at most"
    marked_and_changed = (changed & made.mask).sum() / made.mask.sum()
    assert marked_and_changed > 0.6
    if kind in ("fast", "big", "foreign"):
        np.testing.assert_array_equal(touched & ~odd, np.zeros(len(film), bool))
        around = np.stack(
            [cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8)) for mask in made.mask]
        )
        assert not (changed & (around == 0)).any(), "nothing but the thing and its soft edge"


@pytest.mark.parametrize("kind", TAMPERINGS)
def test_a_film_without_things_cannot_be_tampered_with(kind: str) -> None:
    assert tamper(scene([], 30), kind, np.random.default_rng(0)) is None


def test_the_same_draw_gives_the_same_film(film: Bytes) -> None:
    one, again, other = (tamper(film, "fast", np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one is not None
    assert again is not None
    assert other is not None
    np.testing.assert_array_equal(one.frames, again.frames)
    assert not np.array_equal(one.frames, other.frames)


def test_what_is_pasted_goes_faster_than_what_walks(film: Bytes) -> None:
    """A walker of 18 pixels makes 4.5 % of its height a frame; fast is 1.6 to 3 times that."""
    made = tamper(film, "fast", np.random.default_rng(0))
    assert made is not None
    columns = [np.flatnonzero(mask.any(0)).mean() for mask in made.mask if mask.any()]
    inner = [c for c in columns if 12 < c < SIZE[1] - 12]
    pace = np.abs(np.diff(inner)).mean()
    assert 1.3 * 0.045 * 18 < pace < 3.3 * 0.045 * 24


def test_all_kinds_can_be_made_of_the_street(street: Path) -> None:
    spec = ClipSpec(length=1, size=360, colour="grey")
    films = [
        np.stack([frame.pixels[..., 0] for frame in read(video, spec)])
        for video in open_data("simulated", street)[1].train
    ]
    for kind in TAMPERINGS:
        made = [tamper(film, kind, np.random.default_rng(k)) for k, film in enumerate(films)]
        assert any(one is not None and one.mask.any() for one in made), kind
